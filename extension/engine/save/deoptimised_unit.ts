// A unit with some of its functions not optimised, so that a debugger shows all of them. It is compiled whole, by its own
// command, from its text with an attribute on these functions; what differs in the process is for the comparison to find.
// Looks at no process.
import { CompileError } from '../compile/run_compiler';
import type { CompiledUnit, CompileEntry, CompileRequest } from '../context';
import { functionLines, type FunctionPlace } from '../dwarf/functions';
import { readUnits } from '../dwarf/units';
import type { ElfFile } from '../elf/file';
import type { ObjectFile } from '../elf/object';
import { type Definition, definitionsOf, withAttribute } from '../fast/attribute';
import { isThere, realPathOrSelf } from '../host';
import { HotPatchError } from '../model/errors';
import { readUnit } from './compile';
import type { Save } from './progress';
import { readSourceIfThere } from './source_text';
import type { FreshUnit } from './unit';

/** By compiler. Neither is inlined, nor made a clone of; nobody is to assume anything of the body; and local ones keep all
 * their parameters. */
const ATTRIBUTES = {
  gcc: '__attribute__((optimize("O0"), noipa, used)) ',
  clang: '__attribute__((optnone, noinline, used)) ',
};
/** What it replaces may be `inline`, or `always_inline`: of that both warn. And an error that the build makes of a warning
 * may be of what an optimiser sees. */
const FLAGS = ['-Wno-attributes', '-Wno-ignored-attributes', '-Wno-error'];

/** Compiles a unit with its own command, and these functions without optimisation (symbols). What cannot be kept so, because
 * the text has it no more, is compiled as ever, with a warning.
 * Throws what compileUnit throws. */
export async function compileDeoptimised(
  save: Save,
  entry: CompileEntry,
  symbols: ReadonlySet<string> | undefined,
  request: CompileRequest,
): Promise<CompiledUnit> {
  const compilePlain = (): Promise<CompiledUnit> => save.context.compile.compileUnit(entry, request);
  if (!symbols?.size) return compilePlain();
  const text = readSourceIfThere(entry.source) ?? '';
  const names = await save.context.demangle([...symbols]);
  const guesses = [...symbols].map((symbol, index) => {
    const name = unqualified(names[index]!);
    return { symbol, name, definitions: definitionsOf(text, name) };
  });
  // Mostly the text alone tells.
  if (guesses.every(({ definitions }) => definitions.length === 1)) {
    const wanted = guesses.map(({ symbol, definitions }) => ({ symbol, definition: definitions[0]! }));
    const made = await compileWith(save, entry, likelyCompiler(entry), text, wanted, request).catch(
      (thrown: unknown) => {
        if (thrown instanceof CompileError) return undefined;
        throw thrown;
      },
    );
    if (made && !('reason' in made)) return made;
  }
  const plain = await compilePlain();
  const unit = readUnit(plain);
  const wanted = guesses.flatMap(({ symbol, name, definitions }) => {
    // One that is inlined everywhere has no symbol, and a local one then only its name.
    const named = linesNamed(unit.object, name);
    const line = lineOf(unit.object, symbol) ?? (named.size === 1 ? [...named][0] : undefined);
    const definition = definitions.find((one) => one.line === line);
    return definition ? [{ symbol, definition }] : [];
  });
  const made = await compileWith(save, entry, compilerOf(unit), text, wanted, request);
  const kept = 'reason' in made ? [] : wanted.map(({ symbol }) => symbol);
  const lost = [...symbols].filter((symbol) => !kept.includes(symbol));
  for (const symbol of lost)
    save.warnings.push({
      code: 'optimised-again',
      message: `${names[[...symbols].indexOf(symbol)]!} is not at -O0 any more: ${'reason' in made ? made.reason : 'its definition was not found in the file'}`,
      symbol,
      ...save.locate(unit.object, symbol),
    });
  return 'reason' in made ? plain : made;
}

/** The unit with one more function without optimisation.
 * @param unit compiled from the same text
 * @param isWanted by its symbol, its name for people, and its unqualified one
 * @returns undefined when the unit has no such function
 * Throws HotPatchError cannot-deoptimise, or what compileUnit throws. */
export async function deoptimise(
  save: Save,
  unit: FreshUnit,
  name: string,
  isWanted: (symbol: string, demangled: string, unqualified: string) => boolean,
): Promise<FreshUnit | undefined> {
  const { entry, deoptimised = new Set() } = unit.compiled;
  const all = placesIn(unit.object);
  const names = await save.context.demangle(all.map(({ symbol }) => symbol));
  const places = all.filter((place, index) => isWanted(place.symbol, names[index]!, place.name));
  const source = unit.object.source;
  const read = readSourceIfThere(entry.source);
  const text = read ?? '';
  const [written] = places.length > 0 ? [] : definitionsOf(text, unqualified(name));
  if (places.length === 0 && !written && unit.producer()) return undefined;
  const line = places[0]?.line ?? written?.line;
  const refuse = (why: string): HotPatchError =>
    new HotPatchError('cannot-deoptimise', `${name} cannot be compiled at -O0: ${why}`, {
      file: source,
      ...(line && { line }),
    });
  const reason = objectionTo(unit);
  if (reason !== undefined) throw refuse(reason);
  if (read === undefined) throw refuse('its file cannot be read as UTF-8');
  const compiler = compilerOf(unit);
  if (written) throw refuse(NO_CODE);
  if (!compiler || !places[0])
    throw refuse('its compiler is neither gcc nor clang, or its unit has no debug information');
  const here = places.filter(({ file }) => realPathOrSelf(file) === source);
  if (!here[0]) throw refuse(`it is written in ${places[0].file}`);
  const definitions = definitionsOf(text, unqualified(here[0].name));
  const found = new Map(
    here.flatMap(({ line }) => {
      const definition = definitions.find((one) => one.line === line);
      return definition ? [[line, definition] as const] : [];
    }),
  );
  if (found.size === 0) throw refuse(`no definition of it stands at line ${here[0].line}`);
  if ([...found.values()].some(({ isCoroutine }) => isCoroutine)) throw refuse('it is a coroutine');
  const wanted = [...deoptimised].flatMap((symbol) => {
    const line = lineOf(unit.object, symbol);
    const known = all.find((place) => place.line === line);
    const definition = known && definitionsOf(text, unqualified(known.name)).find((one) => one.line === line);
    return definition ? [{ symbol, definition }] : [];
  });
  wanted.push(...[...found.values()].map((definition) => ({ symbol: '', definition })));
  const { signal } = save.request;
  let made: CompiledUnit | { reason: string };
  try {
    made = await compileWith(save, entry, compiler, text, wanted, { signal });
  } catch (thrown) {
    if (thrown instanceof CompileError) throw refuse(thrown.message);
    throw thrown;
  }
  if ('reason' in made) throw refuse(made.reason);
  return readUnit(made, unit.object.twin);
}

function objectionTo({ producer, compiled }: FreshUnit): string | undefined {
  const { compiler, optimisation, lto } = producer() ?? {};
  if (lto) return 'it is optimised together with other files (-flto)';
  // clang does not record it.
  const level =
    compiler === 'gcc' ? optimisation : compiled.argv.findLast((word) => /^-O/.test(word))?.slice(2);
  return level === undefined || level === '0'
    ? 'it is not optimised as it is; there is nothing to do'
    : undefined;
}

function compilerOf({ producer }: FreshUnit): keyof typeof ATTRIBUTES | undefined {
  const compiler = producer()?.compiler;
  return compiler === 'other' ? undefined : compiler;
}

/** As the command spells it; the object tells. */
function likelyCompiler({ arguments: words }: CompileEntry): keyof typeof ATTRIBUTES {
  return /clang/.test(
    words
      .slice(
        0,
        words.findIndex((word) => word.startsWith('-')),
      )
      .join(' '),
  )
    ? 'clang'
    : 'gcc';
}

const NO_CODE = 'it has no code of its own (nothing uses it, or it is evaluated by the compiler)';

interface Wanted {
  /** Empty: whatever is defined there. */
  symbol: string;
  definition: Definition;
}

/** @returns the reason when it cannot be done, or is not what was wanted */
async function compileWith(
  save: Save,
  entry: CompileEntry,
  compiler: keyof typeof ATTRIBUTES | undefined,
  text: string,
  wanted: readonly Wanted[],
  request: CompileRequest,
): Promise<CompiledUnit | { reason: string }> {
  const { directory, spelledSource: spelled, source } = entry;
  if (wanted.length === 0) return { reason: 'its definition was not found in the file' };
  if (!compiler)
    return { reason: 'its compiler is neither gcc nor clang, or its unit has no debug information' };
  const definitions = wanted.map(({ definition }) => definition);
  const changed = withAttribute(text, definitions, ATTRIBUTES[compiler], {
    ...{ language: 'c++', spelled, directory, isThere },
  });
  if ('reason' in changed)
    return { reason: `the file cannot be compiled from another place: ${changed.reason}` };
  const extraFlags = [...(request.extraFlags ?? []), ...changed.flags, ...FLAGS];
  const compiled = await save.context.compile.compileUnit(entry, {
    ...request,
    text: changed.text,
    extraFlags,
  });
  const { object, producer } = readUnit(compiled);
  if (producer()?.compiler !== compiler) return { reason: 'its compiler is another one than it seemed' };
  const symbols = new Set<string>();
  for (const { symbol, definition } of wanted) {
    const made = object.functions.filter((fn) =>
      fn.aliases.some(({ name }) => lineOf(object, name) === definition.line),
    );
    if (symbol !== '' && !made.some((fn) => fn.aliases.some(({ name }) => name === symbol)))
      return { reason: 'its definition was not found in the file' };
    if (made.length === 0) return { reason: NO_CODE };
    for (const fn of made) symbols.add(fn.symbol.name);
  }
  // What was compiled from is beside the object and says nothing.
  const files = compiled.files?.map((file) =>
    file.startsWith(directoryOf(compiled.object)) ? source : file,
  );
  return { ...compiled, ...(files && { files }), deoptimised: symbols };
}

const directoryOf = (path: string): string => path.slice(0, path.lastIndexOf('/') + 1);

const readPlaces = (elf: ElfFile): FunctionPlace[] =>
  readUnits(elf).flatMap((unit) => functionLines(elf, unit));

const placesIn = ({ elf }: ObjectFile): readonly FunctionPlace[] => elf.derived(readPlaces);

/** Where a function is declared in the source of its unit. Compilers leave out the linkage names of local functions. */
function lineOf(object: ObjectFile, symbol: string): number | undefined {
  const fn = object.functions.find(({ aliases }) => aliases.some(({ name }) => name === symbol));
  const isHere = ({ section, address, isSplit, symbol: name }: FunctionPlace): boolean =>
    fn && !isSplit ? section === fn.section.index && address === fn.offset : name === symbol;
  const all = placesIn(object);
  const place = all.find(isHere) ?? all.find((one) => anyVariant(one.symbol) === anyVariant(symbol));
  return place && realPathOrSelf(place.file) === object.source ? place.line : undefined;
}

/** Constructors and destructors have several symbols, of which debug information names one (Itanium C++ ABI, 5.1.4.3). */
const anyVariant = (symbol: string): string => symbol.replace(/([CD])[0-5](?=E)/g, '$1');

/** Where functions of an unqualified name are declared in the source of a unit. */
function linesNamed(object: ObjectFile, name: string): Set<number> {
  const here = placesIn(object).filter(
    (place) => unqualified(place.name) === name && realPathOrSelf(place.file) === object.source,
  );
  return new Set(here.map(({ line }) => line));
}

/** Of a demangled name: `ns::Class<int>::method(int) const` is `method`. */
export function unqualified(name: string): string {
  let depth = 0;
  let bare = '';
  for (const character of name.replace(/\(anonymous namespace\)/g, '_').replace(/\[abi:[^\]]*\]/g, '')) {
    if (character === '(' && depth === 0) break;
    if (character === '<') depth++;
    if (depth === 0) bare += character;
    if (character === '>') depth--;
  }
  return bare.split(/::|\s|~/).at(-1) ?? '';
}
