// What the code of an object refers to, as a table: instructions in, references out. Real assembler, no process.
import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { ObjectReferences } from '../../extension/engine/compare/object_references';
import { ElfFile } from '../../extension/engine/elf/file';
import { ObjectFile } from '../../extension/engine/elf/object';
import { removeTemporaryDirectory, temporaryDirectory } from '../support/temporary';

interface Row {
  name: string;
  /** Body of function `f`; `before` and `behind` are functions around it in its section. */
  code: string;
  /** `symbol + offset` of each reference's target, as the code means it. */
  means: string[];
}

const rows: Row[] = [
  { name: 'a call of another unit', code: 'call other; ret', means: ['other+0'] },
  { name: 'a displacement', code: 'lea value(%rip),%rax; ret', means: ['.data+0'] },
  {
    name: 'a displacement before an immediate of 4 bytes',
    code: 'movl $7,value+8(%rip); ret',
    means: ['.data+8'],
  },
  {
    name: 'a displacement before an immediate of 1 byte',
    code: 'cmpb $7,value+3(%rip); ret',
    means: ['.data+3'],
  },
  { name: 'a comparison of doubles', code: 'cmpltsd value+16(%rip),%xmm0; ret', means: ['.data+16'] },
  {
    name: 'an address and a displacement',
    code: 'movl $value,value+4(%rip); ret',
    means: ['.data+4', '.data+0'],
  },
  { name: 'a slot of the GOT', code: 'mov value@GOTPCREL(%rip),%rax; ret', means: ['.data+0'] },
  {
    name: 'a slot of the GOT before an immediate',
    code: 'cmpq $7,other@GOTPCREL(%rip); ret',
    means: ['other+0'],
  },
  { name: 'a call through a slot', code: 'call *before@GOTPCREL(%rip); ret', means: ['.text+0'] },
  { name: 'a short jump before it', code: 'nop; jmp before', means: ['.text+0'] },
  { name: 'a short jump behind it', code: 'test %eax,%eax; je behind; ret', means: ['.text+behind'] },
  { name: 'a long call before it', code: 'call before; ret', means: ['.text+0'] },
  { name: 'its own address', code: 'lea f(%rip),%rax; ret', means: ['.text+f'] },
  { name: 'a call of itself', code: 'call f; ret', means: [] },
  { name: 'a loop to its begin', code: 'dec %eax; jne f; ret', means: [] },
  { name: 'a label of its own', code: 'lea 1f(%rip),%rax; jmp *%rax; 1: ret', means: [] },
  {
    name: 'a distance from the entry in prologue data',
    code: '.byte 0xeb,6,0x76,0x32; .long value+8-f; ret',
    means: ['.data+8'],
  },
  { name: 'a jump into another function', code: 'jmp before+2', means: ['.text+2'] },
];

describe('ObjectReferences', () => {
  const directory = temporaryDirectory();
  after(() => removeTemporaryDirectory(directory));

  for (const { name, code, means } of rows)
    it(`finds ${name}`, () => {
      const path = join(directory, 'object.o');
      const source = `
        .local value; .data; value: .zero 64
        .text
        .type before,@function; before: nop; nop; nop; ret; .size before,.-before
        .type f,@function; f: ${code}; .size f,.-f
        .type behind,@function; behind: ret; .size behind,.-behind
      `;
      execFileSync('as', ['-o', path, '-'], { input: source.replaceAll(';', '\n') });
      const object = new ObjectFile(ElfFile.open(path), 'object.s');
      const fn = object.functions.find(({ symbol }) => symbol.name === 'f')!;
      const offsets = new Map(object.functions.map((other) => [other.symbol.name, other.offset]));
      const found = new ObjectReferences(object).of(fn).map(({ symbol: index, addend, beyond }) => {
        const symbol = object.symbol(index);
        const section = object.sectionOf(symbol);
        return `${section?.name ?? symbol.name}+${symbol.value + addend + beyond}`;
      });
      assert.deepEqual(
        found.sort(),
        means.map((text) => text.replace(/(f|behind)$/, (label) => String(offsets.get(label)))).sort(),
      );
    });
});
