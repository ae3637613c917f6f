// Does code give away an address that it forms: store it where it outlives the call, pass it on or return it? Follows
// registers along all ways that the code may go. A register for arguments that is left as it is holds the address for
// long, so that only calls which come soon are taken for ones that pass it on.
import {
  ConditionCode,
  FlowControl,
  type Instruction,
  Mnemonic,
  OpKind,
  Register,
  RegisterExt,
} from 'iced-x86';
import { withDecoder } from './decoder';
import { hasPrologueData, PROLOGUE_DATA_SIZE } from './prologue_data';

/** Instructions behind the one that forms the address, up to a call that it is passed to. */
const FOLLOWED = 24;

/** psABI, figure 3.4. */
function isArgument(register: Register): boolean {
  switch (register) {
    case Register.RDI:
    case Register.RSI:
    case Register.RDX:
    case Register.RCX:
    case Register.R8:
    case Register.R9:
      return true;
    default:
      return false;
  }
}

function isKeptByCalls(register: Register): boolean {
  return (
    register === Register.RBX ||
    register === Register.RBP ||
    (register >= Register.R12 && register <= Register.R15)
  );
}

/** What is known where code goes on. */
interface State {
  /** Registers that may hold the address. */
  holding: Set<Register>;
  /** Instructions since it was formed, on the shortest way. */
  followed: number;
}

export function escapeOf(code: Uint8Array, field: number): 'stored' | 'passed' | undefined {
  const states = new Map<number, State>();
  const waiting: number[] = [];
  const goOn = (at: number, { holding, followed }: State): void => {
    const known = states.get(at);
    const isMore = !known || [...holding].some((register) => !known.holding.has(register));
    if (holding.size === 0 || at < 0 || at >= code.length || !isMore) return;
    const all = new Set([...(known?.holding ?? []), ...holding]);
    states.set(at, { holding: all, followed: known?.followed ?? followed + 1 });
    waiting.push(at);
  };
  return withDecoder(code, (decoder, instruction) => {
    let begin = hasPrologueData(code) ? PROLOGUE_DATA_SIZE : 0;
    decoder.position = begin;
    for (; decoder.canDecode && begin <= field; begin += instruction.length) decoder.decodeOut(instruction);
    const formed = begin > field ? formedBy(instruction) : undefined;
    if (formed === 'stored' || formed === undefined) return formed;
    goOn(begin, { holding: new Set([formed]), followed: 0 });
    let found: 'passed' | undefined;
    for (let at = waiting.shift(); at !== undefined; at = waiting.shift()) {
      const { holding: before, followed } = states.get(at)!;
      const holding = new Set(before);
      const state = { holding, followed };
      decoder.position = at;
      decoder.decodeOut(instruction);
      const end = at + instruction.length;
      const target = Number(BigInt.asIntN(64, instruction.nearBranchTarget));
      const pass = (isGiven: boolean): void => {
        if (isGiven && followed <= FOLLOWED) found = 'passed';
      };
      switch (instruction.flowControl) {
        case FlowControl.Return:
          pass(holding.has(Register.RAX));
          break;
        case FlowControl.Call:
        case FlowControl.IndirectCall:
          pass(isPassed(holding));
          for (const register of holding) if (!isKeptByCalls(register)) holding.delete(register);
          goOn(end, state);
          break;
        case FlowControl.IndirectBranch:
          pass(isPassed(holding));
          break;
        case FlowControl.UnconditionalBranch:
          // A call in tail position: out of the function, or not known yet (no jump leads to what is behind it).
          if (target < 0 || target >= code.length || target === end) pass(isPassed(holding));
          else goOn(target, state);
          break;
        case FlowControl.ConditionalBranch:
          goOn(target, state);
          goOn(end, state);
          break;
        default:
          if (isStored(instruction, holding)) return 'stored';
          follow(instruction, holding);
          goOn(end, state);
      }
    }
    return found;
  });
}

function isPassed(holding: ReadonlySet<Register>): boolean {
  return [...holding].some(isArgument);
}

/** Moves of general and of vector registers: of two pointers that are stored at once, a vector register holds both. */
function moves(mnemonic: Mnemonic): boolean {
  switch (mnemonic) {
    case Mnemonic.Mov:
    case Mnemonic.Movq:
    case Mnemonic.Movaps:
    case Mnemonic.Movups:
    case Mnemonic.Movdqa:
    case Mnemonic.Movdqu:
      return true;
    default:
      return false;
  }
}

/** Does it put a second pointer beside what the vector register holds? */
function joins(mnemonic: Mnemonic): boolean {
  switch (mnemonic) {
    case Mnemonic.Punpcklqdq:
    case Mnemonic.Unpcklpd:
    case Mnemonic.Movhps:
    case Mnemonic.Pinsrq:
      return true;
    default:
      return false;
  }
}

function compares(mnemonic: Mnemonic): boolean {
  return mnemonic === Mnemonic.Cmp || mnemonic === Mnemonic.Test || mnemonic === Mnemonic.Push;
}

/** The register that an instruction puts the address into; `stored` for one that stores it as an immediate. */
function formedBy(instruction: Instruction): Register | 'stored' | undefined {
  const { mnemonic, op0Kind, op1Kind, op0Register } = instruction;
  const isLoad = op1Kind === OpKind.Memory && mnemonic !== Mnemonic.Lea;
  if (isLoad || (mnemonic !== Mnemonic.Lea && mnemonic !== Mnemonic.Mov)) return undefined;
  if (op0Kind === OpKind.Register)
    return op1Kind === OpKind.Register ? undefined : RegisterExt.fullRegister(op0Register);
  return op1Kind === OpKind.Register || isOnStack(instruction) ? undefined : 'stored';
}

function isStored(instruction: Instruction, holding: ReadonlySet<Register>): boolean {
  return (
    moves(instruction.mnemonic) &&
    instruction.op0Kind === OpKind.Memory &&
    instruction.op1Kind === OpKind.Register &&
    !isOnStack(instruction) &&
    holding.has(RegisterExt.fullRegister(instruction.op1Register))
  );
}

function isOnStack({ memoryBase }: Instruction): boolean {
  return memoryBase === Register.RSP || memoryBase === Register.RBP;
}

/** Copies from register to register hold the address too; whatever else is written does not. */
function follow(instruction: Instruction, holding: Set<Register>): void {
  const { mnemonic, opCount, op0Kind, op1Kind } = instruction;
  if (opCount === 0 || op0Kind !== OpKind.Register || compares(mnemonic)) return;
  const written = RegisterExt.fullRegister(instruction.op0Register);
  const isConditional = instruction.conditionCode !== ConditionCode.None;
  const isFromHolder =
    opCount > 1 &&
    op1Kind === OpKind.Register &&
    holding.has(RegisterExt.fullRegister(instruction.op1Register));
  if (isFromHolder && (moves(mnemonic) || joins(mnemonic) || isConditional)) holding.add(written);
  else if (!isConditional && !joins(mnemonic)) holding.delete(written);
}
