// Machine code as text, for people: the tooltip of a trampoline, the disassembly view. A bundle of its own
// (dist/disassembler.js), to be imported by the first who needs it: its decoder is a hundred times as large as the rest
// of the extension. Shows code of this machine.
export { type Disassembled, disassemble, LONGEST_INSTRUCTION } from './x86_64/disassembler';
