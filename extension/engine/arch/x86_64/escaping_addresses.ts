// Does code give away an address that it forms: store it where it outlives the call, pass it on or return it? Follows
// registers along the code and its jumps, as far as compilers put such a use behind the instruction that forms the
// address; of a conditional jump, the way on.
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

/** Instructions that are followed behind the one that forms the address. */
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

export function escapeOf(code: Uint8Array, field: number): 'stored' | 'passed' | undefined {
  const holding = new Set<Register>();
  let followed = 0;
  return withDecoder(code, (decoder, instruction) => {
    for (let at = 0; decoder.canDecode && followed <= FOLLOWED; at += instruction.length) {
      decoder.decodeOut(instruction);
      if (at + instruction.length <= field) continue;
      if (followed++ === 0) {
        const formed = formedBy(instruction);
        if (formed === 'stored' || formed === undefined) return formed;
        holding.add(formed);
        continue;
      }
      switch (instruction.flowControl) {
        case FlowControl.Return:
          return holding.has(Register.RAX) ? 'passed' : undefined;
        case FlowControl.Call:
        case FlowControl.IndirectCall:
          if (isPassed(holding)) return 'passed';
          for (const register of holding) if (!isKeptByCalls(register)) holding.delete(register);
          break;
        case FlowControl.IndirectBranch:
          return isPassed(holding) ? 'passed' : undefined;
        case FlowControl.UnconditionalBranch: {
          const end = at + instruction.length;
          const target = Number(BigInt.asIntN(64, instruction.nearBranchTarget));
          // A call in tail position: out of the function, or not known yet (no jump leads to what is behind it).
          if (target < 0 || target >= code.length || target === end)
            return isPassed(holding) ? 'passed' : undefined;
          decoder.position = target;
          at = target - instruction.length;
          break;
        }
        default:
          if (isStored(instruction, holding)) return 'stored';
          follow(instruction, holding);
      }
      if (holding.size === 0) return undefined;
    }
    return undefined;
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
