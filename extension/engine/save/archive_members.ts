// What an ordinary link would supply: functions of the compiler's and the C library's static parts (`__divti3` of
// libgcc.a, `atexit` of libc_nonshared.a), and of static libraries of the build, which the program did not need until this
// edit. A member becomes a unit of the patch.
import { NO_DECLARATIONS } from '../compare/static_variables';
import { UnitComparison } from '../compare/unit';
import type { CompileEntry } from '../context';
import { Archive, type ArchiveMember } from '../elf/archive';
import * as abi from '../elf/constants';
import { ElfFile } from '../elf/file';
import { ObjectFile } from '../elf/object';
import { readExports } from '../elf/symbol_versions';
import { isThere } from '../host';
import { HotPatchError } from '../model/errors';
import { builtMember } from './built_archives';
import type { Save } from './progress';
import type { ModulePlan, UnitPlan } from './unit';

/** Both drivers link these with every program (gcc's `-print-libgcc-file-name`; the linker script libc.so). */
const ARCHIVES = ['libgcc.a', 'libc_nonshared.a'];
/** What a program may not be linked with, though its source uses it. */
const LIBRARIES = ['libm.so.6', 'libatomic.so.1', 'libgcc_s.so.1', 'libgomp.so.1', 'libstdc++.so.6'];

/** Links, and once more with what was missing, until nothing is. Throws what the link throws. */
export async function withArchiveMembers<T>(
  save: Save,
  plan: ModulePlan,
  link: () => Promise<T>,
): Promise<T> {
  const taken = new Set<string>();
  for (;;) {
    try {
      return await link();
    } catch (thrown) {
      if (!(thrown instanceof HotPatchError) || thrown.code !== 'unresolved-symbol') throw thrown;
      const symbol = thrown.place.symbol;
      const entry = plan.units.flatMap(
        ({ comparison }) => save.fresh.get(comparison.object)?.compiled.entry ?? [],
      )[0];
      // A symbol that is missing a second time is one that the member did not bring.
      if (symbol === undefined || !entry || taken.has(symbol)) throw thrown;
      taken.add(symbol);
      const unit = await unitDefining(save, plan, entry, symbol);
      if (!unit) throw await withLibrary(save, entry, symbol, thrown);
      plan.units = [...plan.units, unit];
    }
  }
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

/** The same refusal with the library that has the symbol, where one of the usual ones does. */
async function withLibrary(
  save: Save,
  entry: CompileEntry,
  symbol: string,
  refusal: HotPatchError,
): Promise<HotPatchError> {
  for (const name of LIBRARIES) {
    const path = await save.context.compile.libraryFile(entry, name);
    if (path === undefined || !isThere(path) || !isExportedBy(path, symbol)) continue;
    return new HotPatchError(
      'unresolved-symbol',
      `${symbol} is in ${name}, which the process has not loaded: link the program with it and restart`,
      refusal.place,
    );
  }
  return refusal;
}

function isExportedBy(path: string, symbol: string): boolean {
  const library = ElfFile.open(path);
  try {
    return readExports(library).has(symbol);
  } finally {
    library.close();
  }
}
