// Machine code as text, for people: the tooltip of a trampoline, the disassembly view. Shows code of this machine.
export { type Disassembled, disassemble, LONGEST_INSTRUCTION } from './x86_64/disassembler';
