// The check of a finished patch: links that are right pass, and every way of spoiling one is seen. Real objects and
// modules, no process.
import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NO_DECLARATIONS } from '../../extension/engine/compare/static_variables';
import { UnitComparison } from '../../extension/engine/compare/unit';
import { ElfFile } from '../../extension/engine/elf/file';
import { ObjectFile } from '../../extension/engine/elf/object';
import { ImportResolver } from '../../extension/engine/link/imports';
import { Link } from '../../extension/engine/link/link';
import { Selection } from '../../extension/engine/link/select';
import { verifyPatch, type VerifyInput } from '../../extension/engine/link/verify';
import { Image, LiveImage } from '../../extension/engine/live/live_image';
import { planUnit } from '../../extension/engine/save/plan';
import { removeTemporaryDirectory, temporaryDirectory } from '../support/temporary';

const BASE = 0x10000000;
const PAGE = 4096;

const original = `
  static long count = 3;
  static const long table[] = {1, 2, 3, 4, 5};
  __attribute__((noinline)) long helper(long n) { asm volatile(""); return n + count++; }
  long value(long n) { return helper(n) + table[n & 3] + 1; }
  long other(long n) { return helper(n) * 2; }
`;
const edited = original
  .replace('static long count = 3;', 'static long count = 3; static long fresh = 4;')
  .replace('+ 1; }', '+ 2 + ++fresh; }')
  .replace('3, 4, 5}', '3, 4, 6}');

describe('The check of a finished patch', () => {
  const directory = temporaryDirectory();
  after(() => removeTemporaryDirectory(directory));

  /** A module made of one source, as it would lie in a process. */
  function moduleOf(source: string, name: string): LiveImage {
    writeFileSync(join(directory, `${name}.c`), source);
    const path = join(directory, name);
    const args = ['-O1', '-g', '-nostdlib', '-shared', '-fPIC', '-fvisibility=hidden', '-o', path];
    execFileSync('gcc', [...args, '-x', 'c', join(directory, `${name}.c`)]);
    return new LiveImage(new Image(ElfFile.open(path), 0x1000000, path), []);
  }

  function objectOf(source: string, name: string): ObjectFile {
    const path = join(directory, `${name}.o`);
    writeFileSync(join(directory, `${name}.c`), source);
    const flags = ['-O1', '-g', '-fPIC', '-fvisibility=hidden', '-ffunction-sections', '-fdata-sections'];
    execFileSync('gcc', [...flags, '-c', '-o', path, join(directory, `${name}.c`)]);
    return new ObjectFile(ElfFile.open(path), join(directory, `${name}.c`));
  }

  function link(): { bytes: Buffer; input: VerifyInput } {
    const live = moduleOf(original, 'unit');
    const comparison = new UnitComparison(objectOf(edited, 'unit'), live, new Map(), {
      entries: () => undefined,
      decides: () => true,
      closures: { fresh: () => undefined, of: () => undefined },
      declarations: NO_DECLARATIONS,
    });
    const locate = (object: ObjectFile) => ({ file: object.source });
    const unit = planUnit(comparison, {
      layout: undefined,
      separated: [],
      foreignBuild: undefined,
      producers: undefined,
      locate,
      declaredIn: () => undefined,
      wanted: () => true,
    });
    assert.deepEqual(unit.problems, []);
    const imports = new ImportResolver(live.module, []);
    const selection = new Selection([unit], live, imports, locate);
    const { fixes, guards } = unit;
    const linker = new Link({
      ...{
        selection,
        fixes,
        guards,
        objects: [],
        marks: [],
        companions: [],
        live,
        imports,
        locate,
      },
      modulePath: live.module.path,
      buildId: undefined,
    });
    const input = { units: [unit], fixes, live, bodies: new Map(), imports, locate };
    return { bytes: linker.write(BASE), input };
  }

  /** File offset of a place in a section of the patch. */
  function offsetIn(bytes: Buffer, name: string, offset = 0): number {
    const section = ElfFile.parse('patch', bytes).section(name);
    assert.ok(section, name);
    return section.offset + offset;
  }

  function isCaught(bytes: Buffer, input: VerifyInput): void {
    assert.throws(() => verifyPatch(bytes, input), { code: 'verify-failed' });
  }

  /** File offset of the first instruction of the new code with an opcode, behind the opcode. */
  function behindOpcode(bytes: Buffer, ...opcode: number[]): number {
    const text = ElfFile.parse('patch', bytes).section('.text')!;
    const at = bytes.indexOf(Buffer.from(opcode), text.offset);
    assert.ok(at >= 0 && at < text.offset + text.size);
    return at + opcode.length;
  }

  it('maps no debug information with the data, where addresses in it would be taken for those of callers', () => {
    const { bytes } = link();
    const { sections } = ElfFile.parse('patch', bytes);
    const data = sections.find(({ name }) => name === '.data')!;
    const end = data.offset + data.size;
    assert.ok(sections.some(({ name, offset }) => name === '.debug_info' && offset > end));
    const rest = bytes.subarray(end, Math.ceil(end / PAGE) * PAGE);
    assert.ok(rest.length > 0 && rest.every((byte) => byte === 0));
  });

  it('lets a link pass that is right', () => {
    const { bytes, input } = link();
    verifyPatch(bytes, input);
  });

  for (const distance of [1, 0x40, 0x100000])
    it(`sees a call that leads ${distance} bytes beside its function`, () => {
      const { bytes, input } = link();
      const at = behindOpcode(bytes, 0xe8);
      bytes.writeInt32LE(bytes.readInt32LE(at) + distance, at);
      isCaught(bytes, input);
    });

  it('sees an operand that addresses what nobody has', () => {
    const { bytes, input } = link();
    const at = behindOpcode(bytes, 0x48, 0x8d);
    bytes.writeInt32LE(0x7000000, at + 1);
    isCaught(bytes, input);
  });

  it('sees an operand that addresses another variable', () => {
    const { bytes, input } = link();
    const at = behindOpcode(bytes, 0x48, 0x8d);
    const count = input.live.module.named('count')[0]!.address;
    const section = ElfFile.parse('patch', bytes).section('.text')!;
    bytes.writeInt32LE(count - (section.address + at + 5 - section.offset), at + 1);
    isCaught(bytes, input);
  });

  it('sees a byte of a constant that differs', () => {
    const { bytes, input } = link();
    bytes[offsetIn(bytes, '.rodata', 32)]! ^= 1;
    isCaught(bytes, input);
  });

  it('sees an entry that was not planned', () => {
    const { bytes, input } = link();
    const at = offsetIn(bytes, '.hot_fix.fixes');
    bytes.writeUInt32LE(input.live.module.named('other')[0]!.address, at);
    isCaught(bytes, input);
  });

  it('sees an entry that leads to another function', () => {
    const { bytes, input } = link();
    const at = offsetIn(bytes, '.hot_fix.fixes', 16);
    bytes.writeUInt32LE(bytes.readUInt32LE(at) + 16, at);
    isCaught(bytes, input);
  });

  it('sees a planned function that is not redirected', () => {
    const { bytes, input } = link();
    const [fix] = input.fixes;
    isCaught(bytes, { ...input, fixes: [fix!, { ...fix!, entry: fix!.entry + 64 }] });
  });

  it('sees a variable of the process that was copied', () => {
    const { bytes, input } = link();
    // In this process there is one of that name already.
    const live = moduleOf(edited, 'unit');
    const units = input.units.map((unit) => ({
      ...unit,
      comparison: unit.comparison.against(live, new Map()),
    }));
    isCaught(bytes, { ...input, units });
  });

  it('sees a changed function that nothing reaches', () => {
    const { input } = link();
    assert.throws(() => verifyPatch(undefined, { ...input, fixes: [] }), { code: 'verify-failed' });
  });
});
