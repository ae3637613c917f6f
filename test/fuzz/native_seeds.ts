// Seeds of the native fuzz targets: a patch file with all of its tables, as the tests of the runtime write them, its
// unwind records, and a request of each command. Called as `node native_seeds.js DIRECTORY`.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writePatchFile } from '../support/patch_file';

const requests = [
  'patch\nfile /run/patches/1.so\nrevert 0x401000',
  'load\nfile /home/user/patch.so',
  'revert\nfunction 0x401000 0\nfunction 0x402000 12',
  'revert\nall',
  'status',
  'symbols\npatch 3\nfile /run/patches/3.debug',
  'detach',
  'wake',
];

const source = `
struct Keep { ~Keep(); };
Keep::~Keep() { __asm__ volatile(""); }
extern "C" void may_throw(int);
extern "C" int new_value(int n) { Keep keep; if (n > 3) throw n; return n + 1; }
extern "C" int new_other(int n) { return n * n; }
extern "C" void construct(void *) {}
`;

const directory = process.argv[2]!;
const folder = (name: string) => {
  mkdirSync(join(directory, name), { recursive: true });
  return join(directory, name);
};
requests.forEach((request, i) =>
  writeFileSync(join(folder('request'), String(i)), `hot_fix 1\ncommand ${request}\nend\n`),
);
const functions = ['value', 'other'].map((name, i) => ({
  name,
  entry: 0x401000n + BigInt(i) * 32n,
  target: `new_${name}`,
  original: '554889e5897dfc8b45fc5dc366909090',
  size: 12,
}));
const file = writePatchFile(directory, 'patch', {
  source,
  language: 'c++',
  flags: ['-Wl,--unresolved-symbols=ignore-all', '-Wl,-z,max-page-size=4096'],
  address: 0x1000000000n,
  module: { path: '/program', bias: 0n, buildId: '0123456789abcdef0123456789abcdef01234567' },
  functions,
  guards: [{ name: 'main', start: 0x402000n, length: 64 }],
  objects: [{ name: 'object', construct: 'construct' }],
});
const patch = readFileSync(file);
writeFileSync(join(folder('patch_file'), 'patch.so'), patch);

/** A section of the ELF file, by its name. */
function section(elf: Buffer, name: string): Buffer {
  const table = Number(elf.readBigUInt64LE(40));
  const row = (index: number) => elf.subarray(table + index * 64, table + (index + 1) * 64);
  const content = (header: Buffer) => {
    const start = Number(header.readBigUInt64LE(24));
    return elf.subarray(start, start + Number(header.readBigUInt64LE(32)));
  };
  const names = content(row(elf.readUInt16LE(62)));
  for (let i = 0; i < elf.readUInt16LE(60); i++) {
    const start = row(i).readUInt32LE(0);
    if (names.toString('latin1', start, names.indexOf(0, start)) === name) return content(row(i));
  }
  throw new Error(`${file} has no ${name}`);
}
writeFileSync(join(folder('unwind_records'), 'eh_frame'), section(patch, '.eh_frame'));
rmSync(file);
