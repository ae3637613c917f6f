// What a relocated field became in linked code: the linker may have rewritten the instruction around it
// (psABI "Optimize GOTPCRELX Relocations"; "Thread-Local Storage", linker optimisations). Given the relocation of
// the fresh object and the live bytes at the same place, says which bytes belong to the reference and what they
// refer to. Knows no symbols: it ends at addresses and offsets.
import type { Relocation } from '../../elf/file';
import type { LinkedForm, Relocations } from '../architecture';
import * as abi from './abi';

type Referring = Pick<Relocation, 'type' | 'addend'>;

export const linkedForm: Relocations['linkedForm'] = (relocation, fresh, at, live, liveAt, base) => {
  const width = relocation.type === abi.R_X86_64_PC8 ? 1 : 4;
  if (liveAt < 0 || liveAt + width > live.length) return undefined;
  const plain = { start: liveAt, end: liveAt + 4, covers: 0 };
  const address = base + liveAt;
  switch (relocation.type) {
    case abi.R_X86_64_PC32:
    case abi.R_X86_64_PLT32:
      return {
        ...plain,
        kind: 'address',
        value: address + live.readInt32LE(liveAt),
        isZero: live.readInt32LE(liveAt) === 0,
      };
    case abi.R_X86_64_PC8:
      return {
        start: liveAt,
        end: liveAt + 1,
        covers: 0,
        kind: 'address',
        value: address + live.readInt8(liveAt),
      };
    case abi.R_X86_64_32:
      return { ...plain, kind: 'address', value: live.readUInt32LE(liveAt) };
    case abi.R_X86_64_32S:
      return { ...plain, kind: 'address', value: live.readInt32LE(liveAt) };
    case abi.R_X86_64_64:
      if (liveAt + 8 > live.length) return undefined;
      return {
        start: liveAt,
        end: liveAt + 8,
        covers: 0,
        kind: 'address',
        value: live.readUInt32LE(liveAt) + live.readInt32LE(liveAt + 4) * 0x1_0000_0000,
      };
    case abi.R_X86_64_GOTPCREL:
    case abi.R_X86_64_GOTPCRELX:
    case abi.R_X86_64_REX_GOTPCRELX:
      return readGotReference(relocation, fresh, at, live, liveAt, address);
    case abi.R_X86_64_TPOFF32:
      return { ...plain, kind: 'thread-offset', value: live.readInt32LE(liveAt) };
    case abi.R_X86_64_GOTTPOFF:
      return readInitialExec(relocation, fresh, at, live, liveAt, address);
    case abi.R_X86_64_TLSGD:
      return readGeneralDynamic(live, liveAt, address);
    case abi.R_X86_64_TLSLD:
      return readLocalDynamic(fresh, at, live, liveAt);
    case abi.R_X86_64_DTPOFF32:
      return { ...plain, kind: 'module-offset', value: live.readInt32LE(liveAt) };
    default:
      return undefined;
  }
};

function readGotReference(
  { addend }: Referring,
  fresh: Buffer,
  at: number,
  live: Buffer,
  liveAt: number,
  address: number,
): LinkedForm | undefined {
  if (at < 2 || liveAt < 2) return undefined;
  const opcode = fresh[at - 2]!;
  const modrm = fresh[at - 1]!;
  const field = live.readInt32LE(liveAt);
  const liveOpcode = live[liveAt - 2]!;
  // The REX prefix moves with the register when the operand becomes an immediate: it is part of the reference.
  const rex =
    at >= 3 && (fresh[at - 3]! & 0xf0) === 0x40 && liveAt >= 3 && (live[liveAt - 3]! & 0xf0) === 0x40;
  const here = { start: liveAt - (rex ? 3 : 2), end: liveAt + 4, covers: 0 };
  // The addend is the way from the end of the instruction, behind an immediate perhaps, back to the field.
  if (opcode === liveOpcode && modrm === live[liveAt - 1]!)
    return { ...here, kind: 'slot', slot: address - addend + field };
  if (opcode === 0xff && modrm === 0x15) {
    // call *foo@GOTPCREL(%rip) → addr32 call foo, or nop; call foo
    if (live[liveAt - 1] === 0xe8 && (liveOpcode === 0x67 || liveOpcode === 0x90 || liveOpcode === 0x2e))
      return { ...here, kind: 'target', value: address + 4 + field };
    // call foo; nop
    if (liveOpcode === 0xe8 && live[liveAt + 3] === 0x90)
      return { ...here, kind: 'target', value: address + 3 + live.readInt32LE(liveAt - 1) };
    return undefined;
  }
  if (opcode === 0xff && modrm === 0x25) {
    // jmp *foo@GOTPCREL(%rip) → jmp foo; nop, of mold nop; jmp foo
    if (liveOpcode === 0xe9)
      return { ...here, kind: 'target', value: address + 3 + live.readInt32LE(liveAt - 1) };
    if (liveOpcode === 0x90 && live[liveAt - 1] === 0xe9)
      return { ...here, kind: 'target', value: address + 4 + field };
    return undefined;
  }
  if (opcode === 0x8b && liveOpcode === 0x8d && modrm === live[liveAt - 1]!)
    return { ...here, kind: 'target', value: address + 4 + field };
  // mov → mov $foo; test → test $foo; add, or, … → the same with an immediate (non-PIE only)
  const register = (modrm >> 3) & 7;
  const immediate = 0xc0 | register;
  if (opcode === 0x8b && liveOpcode === 0xc7 && live[liveAt - 1] === immediate)
    return { ...here, kind: 'target', value: field };
  if (opcode === 0x85 && liveOpcode === 0xf7 && live[liveAt - 1] === immediate)
    return { ...here, kind: 'target', value: field };
  if ((opcode & 0xc7) === 0x03 && liveOpcode === 0x81 && live[liveAt - 1] === ((opcode & 0x38) | immediate))
    return { ...here, kind: 'target', value: field };
  return undefined;
}

function readInitialExec(
  { addend }: Referring,
  fresh: Buffer,
  at: number,
  live: Buffer,
  liveAt: number,
  address: number,
): LinkedForm | undefined {
  if (at < 3 || liveAt < 3) return undefined;
  const here = { start: liveAt - 3, end: liveAt + 4, covers: 0 };
  const field = live.readInt32LE(liveAt);
  const opcode = fresh[at - 2]!;
  const liveOpcode = live[liveAt - 2]!;
  if (opcode === liveOpcode && fresh[at - 1] === live[liveAt - 1])
    return { ...here, kind: 'slot', slot: address - addend + field };
  // mov → mov $x@tpoff; add → add $x@tpoff or lea x@tpoff(%reg)
  if (liveOpcode === 0xc7 || liveOpcode === 0x81 || liveOpcode === 0x8d)
    return { ...here, kind: 'thread-offset', value: field - 4 };
  return undefined;
}

/** `data16 lea x@tlsgd(%rip),%rdi; data16 data16 rex.W call __tls_get_addr`, 16 bytes from 4 before the field. */
function readGeneralDynamic(live: Buffer, liveAt: number, address: number): LinkedForm | undefined {
  const start = liveAt - 4;
  if (start < 0 || start + 16 > live.length) return undefined;
  if (live.readUInt32BE(start) === 0x66488d3d)
    return { start, end: liveAt + 4, covers: 0, kind: 'slot', slot: address + 4 + live.readInt32LE(liveAt) };
  // mov %fs:0,%rax (64 48 8b 04 25 00 00 00 00), then lea x@tpoff(%rax),%rax, of mold add $x@tpoff,%rax, or
  // add x@gottpoff(%rip),%rax
  if (live.readUInt32BE(start) !== 0x64488b04) return undefined;
  const whole = { start, end: start + 16, covers: 1 };
  const field = live.readInt32LE(start + 12);
  if (live[start + 10] === 0x8d || live[start + 10] === 0x81)
    return { ...whole, kind: 'thread-offset', value: field - 4 };
  if (live[start + 10] === 0x03) return { ...whole, kind: 'slot', slot: address + 12 + field };
  return undefined;
}

/** `lea x@tlsld(%rip),%rdi; call __tls_get_addr`; in an executable `data16 data16 data16 mov %fs:0,%rax`, of mold
 * `xor %eax,%eax; mov %fs:(%rax),%rax; sub $size,%rax`, behind which offsets are those in the module's image. */
function readLocalDynamic(fresh: Buffer, at: number, live: Buffer, liveAt: number): LinkedForm | undefined {
  const start = liveAt - 3;
  if (start < 0) return undefined;
  const begin = live.readUInt32BE(start);
  if (begin >>> 8 === 0x488d3d) return { start: liveAt, end: liveAt + 4, covers: 0, kind: 'nothing' };
  if (live[start] !== 0x66 && begin !== 0x31c06448) return undefined;
  const isThroughGot = fresh[at + 4] === 0xff;
  const length = isThroughGot ? 13 : 12;
  if (start + length > live.length) return undefined;
  return { start, end: start + length, covers: 1, kind: 'nothing' };
}
