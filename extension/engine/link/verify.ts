// The last look at a finished patch file before it is delivered. It only checks, and shares nothing with the link: the
// file is read back as any ELF file, every field of its code that counts from an instruction is decoded again, and the
// units are compared with the process as it will be. What it finds is refused as `verify-failed`, never lost in silence.
import type { UnitComparison } from '../compare/unit';
import * as abi from '../elf/constants';
import { ElfFile, type ElfSymbol } from '../elf/file';
import { isConstant, type Locate, type ObjectFile, type ObjectFunction } from '../elf/object';
import type { Bodies, Body, LiveFunction } from '../live/functions';
import { Image, LiveImage, type LiveSymbol } from '../live/live_image';
import { HotPatchError } from '../model/errors';
import type { Problem } from '../model/result';
import { readFixes } from '../patch_format/note';
import type { ImportResolver } from './imports';
import type { PlannedFix } from './input';
import type { SelectedUnit } from './select';

export interface VerifyInput {
  units: readonly (SelectedUnit & { warnings: readonly Problem[] })[];
  /** What the status will show as redirected. */
  fixes: readonly PlannedFix[];
  /** The process before the patch. */
  live: LiveImage;
  bodies: Bodies;
  imports: ImportResolver;
  locate: Locate;
}

/** Throws HotPatchError verify-failed.
 * @param bytes the patch file, or none when the plan redirects nothing */
export function verifyPatch(bytes: Buffer | undefined, input: VerifyInput): void {
  const image = bytes && new Image(ElfFile.parse('patch', bytes), 0, 'patch', Infinity);
  // Every function that changed is there, or named with the reason why it need not be.
  for (const { comparison, roles, warnings } of input.units)
    for (const [fn, role] of roles)
      if (
        !warnings.some(({ symbol }) => symbol === fn.symbol.name) &&
        (role !== 'direct' || isReferred(fn, comparison))
      )
        checkPresent(fn, image, input);
  if (!image) return;
  // Exactly the planned entries are redirected, each to its own function.
  checkFixes(image, input);
  // Every branch leads to the begin of something, every operand to something that is there.
  for (const fn of functionsOf(image)) checkFields(fn, image, input);
  // No variable that lives in the process has a second home.
  for (const { comparison } of input.units) checkVariables(comparison, image, input);
  // Compared with the process as it will be, nothing is left to do: every reference means what it meant in the object.
  const after = withPatch(image, input);
  for (const unit of input.units) checkMeaning(unit, image, after, input);
}

function failed(message: string, { locate }: VerifyInput, object: ObjectFile, symbol: string): HotPatchError {
  return new HotPatchError('verify-failed', message, { ...locate(object, symbol), symbol });
}

/** Does any other function of the unit refer to it? What was inlined everywhere may be there all the same (clang, -O0). */
function isReferred(fn: ObjectFunction, { functions, references, object }: UnitComparison): boolean {
  return functions.some(
    (caller) =>
      caller.fn !== fn &&
      references.of(caller.fn).some(({ symbol: index, addend, beyond }) => {
        const symbol = object.symbol(index);
        const section = object.sectionOf(symbol);
        return section !== undefined && object.functionAt(section, symbol.value + addend + beyond) === fn;
      }),
  );
}

function checkPresent(fn: ObjectFunction, image: Image | undefined, input: VerifyInput): void {
  if (image?.named(fn.symbol.name).some(({ type }) => type === abi.STT_FUNC)) return;
  const message = `The new ${fn.symbol.name} would not be reached: nothing that is redirected calls it`;
  throw failed(message, input, fn.object, fn.symbol.name);
}

function checkFixes(image: Image, input: VerifyInput): void {
  const written = new Map(readFixes(image.elf).map((fix) => [fix.entry, fix]));
  for (const { fn, entry } of input.fixes) {
    const fix = written.get(entry);
    const names = new Set(fn.aliases.map(({ name }) => name));
    if (!fix || fix.target > fix.body || !image.symbolsAt(fix.body).some(({ name }) => names.has(name)))
      throw failed(
        `The patch does not redirect ${fn.symbol.name} to its new version`,
        input,
        fn.object,
        fn.symbol.name,
      );
    written.delete(entry);
  }
  if (written.size > 0)
    throw new HotPatchError(
      'verify-failed',
      `The patch redirects ${written.size} entries that were not planned`,
    );
}

function functionsOf(image: Image): LiveSymbol[] {
  return image.symbols.filter(({ type, size }) => type === abi.STT_FUNC && size > 0);
}

function checkFields({ name, address, size }: LiveSymbol, image: Image, input: VerifyInput): void {
  const code = image.bytes(address, size);
  for (const { offset, target, use } of code ? image.arch.relativeFields(code) : []) {
    if (target >= 0 && target <= size) continue;
    const to = address + target;
    if (use === 'operand' ? isThere(to, image, input) : isBegin(to, image, input)) continue;
    throw new HotPatchError(
      'verify-failed',
      `${name}+${offset} in the patch refers to ${to.toString(16)}, where nothing is that it could mean`,
      { ...placeOf(name, input), symbol: name },
    );
  }
}

function placeOf(name: string, { units, locate }: VerifyInput): ReturnType<Locate> | undefined {
  for (const { roles } of units)
    for (const { object, symbol } of roles.keys()) if (symbol.name === name) return locate(object, name);
  return undefined;
}

/** Does a branch lead to a function, a stub, or (between the parts of one function) into code? */
function isBegin(address: number, image: Image, { live }: VerifyInput): boolean {
  const section = image.sectionAt(address);
  if (!section) {
    const other = live.imageAt(address);
    if (!other) return false;
    return other.symbolsAt(address).length > 0 || other.stubTarget(address) !== undefined;
  }
  if (section.name === '.plt') return (address - section.address) % image.arch.stubSize === 0;
  const covering = image.covering(address);
  // Into the middle only from a part to its function; the comparison below says whether it is the right place.
  if (covering) return covering.type === abi.STT_FUNC;
  const bytes = image.bytes(address, image.arch.jumpSize);
  const through = bytes && image.arch.jumpTarget(bytes, address);
  return through !== undefined && (image.symbolsAt(through).length > 0 || live.symbolsAt(through).length > 0);
}

/** Is there anything of the patch, of the module, or of a library that an operand may address? */
function isThere(address: number, image: Image, { live, imports }: VerifyInput): boolean {
  // One past the end of an object is an address too.
  for (const at of [address, address - 1]) {
    const section = image.sectionAt(at);
    if (section) return !/^\.(hot_fix|note|dyn|hash|gnu)/.test(section.name);
    if (live.imageAt(at)) return true;
  }
  return imports.isAt(address);
}

function checkVariables(comparison: UnitComparison, image: Image, input: VerifyInput): void {
  const { object } = comparison;
  const candidates = new Map(writable(object).map((symbol) => [symbol.name, symbol]));
  for (const { name, sectionIndex, group, binding } of image.symbols) {
    const section = image.elf.sections[sectionIndex];
    if (!section || !(section.flags & abi.SHF_WRITE)) continue;
    const own = binding !== abi.STB_LOCAL || image.groups[group]?.name === object.identity;
    const symbol = own ? candidates.get(name) : undefined;
    if (!symbol || !comparison.variable(symbol)) continue;
    throw failed(`The patch has a copy of ${name}, which lives in the process`, input, object, name);
  }
}

function writable(object: ObjectFile): ElfSymbol[] {
  return object.symbols.filter((symbol) => {
    const section = object.sectionOf(symbol);
    return section && section.flags & abi.SHF_WRITE && !isConstant(section) && symbol.size > 0;
  });
}

/** The process as it will be. */
function withPatch(image: Image, { live, bodies, fixes }: VerifyInput): { live: LiveImage; bodies: Bodies } {
  const after = new Map<number, Pick<LiveFunction, 'current' | 'versions'>>(bodies);
  const written = new Map(readFixes(image.elf).map((fix) => [fix.entry, fix]));
  for (const { entry, fn } of fixes) {
    const current: Body = { address: written.get(entry)!.body, size: fn.size, preserved: 0 };
    after.set(entry, { current, versions: [...(bodies.get(entry)?.versions ?? []), current] });
  }
  return { live: new LiveImage(live.module, [...live.patches, image]), bodies: after };
}

function checkMeaning(
  { comparison, roles }: SelectedUnit,
  image: Image,
  { live, bodies }: { live: LiveImage; bodies: Bodies },
  input: VerifyInput,
): void {
  if (roles.size === 0) return;
  const again = comparison.against(live, bodies);
  for (const fn of roles.keys()) {
    // Compared with what refers to it.
    if (fn.object.isPrivate(fn)) continue;
    if (again.of(fn).status === 'same' || !image.named(fn.symbol.name).length) continue;
    const message = `The new ${fn.symbol.name} would not mean in the process what it means in the object`;
    throw failed(message, input, fn.object, fn.symbol.name);
  }
}
