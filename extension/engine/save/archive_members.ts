// What an ordinary link would supply of static libraries: functions of the compiler's and the C library's static parts (`__divti3` of
// libgcc.a, `atexit` of libc_nonshared.a), and of static libraries of the build, which the program did not need until this
// edit. A member becomes a unit of the patch.
import { NO_DECLARATIONS } from '../compare/static_variables';
import { UnitComparison } from '../compare/unit';
import type { CompileEntry } from '../context';
import { Archive, type ArchiveMember } from '../elf/archive';
import * as abi from '../elf/constants';
import { ElfFile } from '../elf/file';
import { ObjectFile } from '../elf/object';
import { isThere } from '../host';
import type { ImportResolver } from '../link/imports';
import { HotPatchError } from '../model/errors';
import { addLibrary } from './added_libraries';
import { builtMember } from './built_archives';
import type { Save } from './progress';
import type { ModulePlan, UnitPlan } from './unit';

/** Both drivers link these with every program (gcc's `-print-libgcc-file-name`; the linker script libc.so). */
const ARCHIVES = ['libgcc.a', 'libc_nonshared.a'];
/** Links, and once more with what was missing, until nothing is. Throws what the link throws. */
export async function withArchiveMembers<T>(
  save: Save,
  plan: ModulePlan,
  imports: ImportResolver,
  link: () => Promise<T>,
): Promise<T> {
  const taken = new Set<string>();
  for (;;) {
    try {
      return await link();
    } catch (thrown) {
      if (!(thrown instanceof HotPatchError) || thrown.code !== 'unresolved-symbol') throw thrown;
      const symbol = thrown.place.symbol;
      const entry = entryOf(save, plan, symbol);
      // A symbol that is missing a second time is one that the member did not bring.
      if (symbol === undefined || !entry || taken.has(symbol)) throw thrown;
      taken.add(symbol);
      const unit = await unitDefining(save, plan, entry, symbol);
      if (unit) plan.units = [...plan.units, unit];
      else await addLibrary(save, plan, imports, entry, thrown);
    }
  }
}

/** Of a unit that refers to the symbol; else, of one that is patched. */
function entryOf(save: Save, { units }: ModulePlan, symbol: string | undefined): CompileEntry | undefined {
  const entries = units.flatMap(({ comparison: { object } }) => {
    const entry = save.fresh.get(object)?.compiled.entry;
    return entry ? [{ entry, refers: object.symbols.some(({ name }) => name === symbol) }] : [];
  });
  return (entries.find(({ refers }) => refers) ?? entries[0])?.entry;
}

async function unitDefining(
  save: Save,
  plan: ModulePlan,
  entry: CompileEntry,
  symbol: string,
): Promise<UnitPlan | undefined> {
  for (const name of ARCHIVES) {
    const path = await save.context.compile.libraryFile(entry, name);
    if (path === undefined || !isThere(path)) continue;
    const member = new Archive(path).defining(symbol);
    const object = member && objectOf(path, member);
    if (object) return unitOf(save, plan, symbol, object);
  }
  const built = builtMember(entry.database, symbol);
  const object = built && objectOf(built.path, built.member);
  return object && unitOf(save, plan, symbol, object);
}

function unitOf(save: Save, plan: ModulePlan, symbol: string, object: ObjectFile): UnitPlan {
  save.context.log('info', `${symbol} is taken from ${object.source}`);
  return {
    comparison: new UnitComparison(object, plan.live.image, plan.live.bodies, {
      entries: () => undefined,
      decides: () => false,
      closures: { fresh: () => undefined, of: () => undefined },
      declarations: NO_DECLARATIONS,
    }),
    roles: new Map(),
    start: [],
    fixes: [],
    guards: [],
    conventions: undefined,
    mayUseIpaRa: false,
    reverts: [],
    problems: [],
    warnings: [],
    startWarnings: [],
  };
}

/** Undefined for a member whose own initialisation would have to run, or that has variables of each thread. */
function objectOf(path: string, { name, bytes }: ArchiveMember): ObjectFile | undefined {
  const source = `${path}(${name})`;
  const elf = ElfFile.parse(source, bytes);
  const isPlain = elf.sections.every(
    ({ type, flags, name: section }) =>
      type !== abi.SHT_INIT_ARRAY && !/^\.[cd]tors/.test(section) && !(flags & abi.SHF_TLS),
  );
  return isPlain ? new ObjectFile(elf, source) : undefined;
}
