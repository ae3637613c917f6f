// A save that lays types out otherwise while objects of them exist: refused, unless the text brings a function that makes
// them anew (hot_fix_migrate) and nothing else could have objects of the old layout: no variable, frame or other type, no
// code that is not compiled with the save, no code of the old text that could be running. Decides; the runtime carries it
// out, and has the last word on pointers and threads. The only thing written is the header with both layouts.
import { basename } from 'node:path';
import { changedConstants } from '../compare/changed_constants';
import { isCoroutinePart, isNumbered, stem } from '../compare/correlate';
import type { ComparedFunction } from '../compare/facts';
import type { LiveModule, RequestLine } from '../context';
import { undescribedSources } from '../dwarf/undescribed';
import { unitsIncluding } from '../dwarf/units';
import * as abi from '../elf/constants';
import type { ElfFile } from '../elf/file';
import type { ObjectFunction } from '../elf/object';
import { realPathOrSelf } from '../host';
import type { Problem } from '../model/result';
import { isInitialiser } from '../compare/start_code';
import type { ChangedLayout } from '../types/changed_layouts';
import type { LayoutComparison } from '../types/layout';
import { readable } from './owners';
import type { Save } from './progress';
import type { Migration, ModulePlan, OldCode, UnitPlan } from './unit';

/** The program's function, which has C linkage. */
export const MIGRATOR = 'hot_fix_migrate';
/** What a program calls that wants types to be migrated. */
const REGISTERS = 'hot_fix_add_migration';

/** Does a program say that objects of its types can be made anew? One that has the runtime in it may. */
export function mayMigrate(modules: readonly LiveModule[]): boolean {
  return modules.some(({ path, elf }) => !basename(path).startsWith(RUNTIME) && elf.derived(registers).value);
}

const RUNTIME = 'libhot_fix';

const registers = (elf: ElfFile): { value: boolean } => ({
  value: [abi.SHT_SYMTAB, abi.SHT_DYNSYM].some((table) =>
    elf.symbols(table).some(({ name }) => name === REGISTERS),
  ),
});

/**
 * Compares types that were migrated with their present layout: neither with the one that they were built with, nor with
 * that of another patch.
 * @param comparisons of a unit, with what was built and with what came since
 * @param live by type, the key of its layout
 */
export function withLiveLayouts(
  comparisons: readonly LayoutComparison[],
  live: ReadonlyMap<string, string>,
): Problem[] {
  const [built] = comparisons;
  const problems = comparisons.map((one) =>
    one.problems.filter(({ message }) => {
      const layout = one.layouts.find((each) => each.message === message);
      const present = layout && live.get(layout.name);
      return present === undefined || present === layout!.before;
    }),
  );
  const kept = new Set(
    comparisons.flatMap(({ layouts }, i) =>
      layouts.flatMap(({ name, message }) =>
        problems[i]!.some((problem) => problem.message === message) ? [name] : [],
      ),
    ),
  );
  // Of a type that does not fit what was built, it makes no difference that it does not fit a patch either.
  const named = new Set(problems[0]!.map(({ layouts }) => layouts?.type));
  const strange = [...live].flatMap(([name, present]): Problem[] => {
    const now = built!.layoutOf(name).after;
    if (now === undefined || now === present || kept.has(name)) return [];
    return [{ code: 'layout-changed', message: strangeLayout(name) }];
  });
  return [
    ...problems[0]!,
    ...problems
      .slice(1)
      .flatMap((list) => list.filter(({ layouts }) => layouts === undefined || !named.has(layouts.type))),
    ...strange,
  ];
}

const strangeLayout = (name: string): string =>
  `\`${name}\` differs from the one in the running process, where its objects were migrated to another layout since the program was built.`;

/** Gathers, over the units of a module, the layouts that changed. */
export class Migrations {
  private readonly found = new Map<string, { problem: Problem; layouts: ChangedLayout[] }>();
  private readonly strange: Problem[] = [];

  constructor(
    private readonly save: Save,
    private readonly plan: ModulePlan,
  ) {}

  /** Takes those of a unit out of its problems, where the program may migrate objects. */
  take(unit: UnitPlan, layouts: readonly ChangedLayout[]): void {
    if (!mayMigrate(this.plan.modules)) return;
    unit.problems = unit.problems.filter((problem) => {
      const layout = layouts.find(({ message }) => message === problem.message);
      const isStrange = /^`(.*?)` differs from/.exec(problem.message)?.[1];
      if (!layout) {
        if (isStrange === undefined || problem.message !== strangeLayout(isStrange)) return true;
        this.strange.push(problem);
        return false;
      }
      const known = this.found.get(layout.name);
      if (known) known.layouts.push(layout);
      else this.found.set(layout.name, { problem, layouts: [layout] });
      return false;
    });
  }

  /** What refuses the save, and else what is to be migrated: the plan says so from here on. */
  settle(): Problem[] {
    const { save, plan } = this;
    const strange = this.strange.filter(
      ({ message }) => ![...this.found.keys()].some((name) => message === strangeLayout(name)),
    );
    if (this.found.size === 0) return strange;
    const problems: Problem[] = [];
    const migrator = findMigrator(plan);
    const ofSave = obstaclesOfSave(save, plan);
    for (const { problem, layouts } of this.found.values()) {
      const obstacles = [...obstaclesOf(save, plan, layouts), ...ofSave];
      if (obstacles.length > 0) {
        problems.push(saying(problem, `Its objects cannot be migrated: ${listed(obstacles)}.`));
        continue;
      }
      const header = save.context.layoutHeaders.write(
        plan.target.process.exe,
        layouts[0]!.name,
        layouts[0]!.header(),
      );
      if (!migrator)
        problems.push(
          saying(
            problem,
            `To have its objects migrated, define ${MIGRATOR} (hot_fix.h) in the text; ${header.path} has both layouts. Then save the file that defines the type again.`,
          ),
        );
      // What was compiled may have the layouts of another change in it.
      else if (header.written >= save.began)
        problems.push(
          saying(
            problem,
            `${header.path} has both layouts since now: save again to have its objects migrated.`,
          ),
        );
    }
    if (problems.length > 0 || !migrator) return [...strange, ...problems];
    if (migrator.compared.status === 'new') migrator.unit.roles.set(migrator.compared.fn, 'at-start');
    plan.migration = {
      types: [...this.found.values()].map(({ layouts: [layout] }) => ({
        name: layout!.name,
        layout: layout!.after,
        before: layout!.sizes.before,
        after: layout!.sizes.after,
      })),
      migrator: migrator.compared.live?.entry,
      ...oldCode(plan, [...this.found.keys()]),
    };
    return strange;
  }
}

const saying = (problem: Problem, sentence: string): Problem => ({
  ...problem,
  message: `${problem.message} ${sentence}`,
});

function listed(texts: readonly string[]): string {
  const unique = [...new Set(texts)];
  const more = unique.length > 5 ? `; and ${unique.length - 5} more` : '';
  return unique.slice(0, 5).join('; ') + more;
}

function findMigrator({ units }: ModulePlan): { unit: UnitPlan; compared: ComparedFunction } | undefined {
  for (const unit of units)
    for (const compared of unit.comparison.functions)
      if (compared.fn.aliases.some(({ name, binding }) => name === MIGRATOR && binding !== abi.STB_LOCAL))
        return { unit, compared };
  return undefined;
}

/** Why objects of one type cannot be made anew. */
function obstaclesOf(save: Save, plan: ModulePlan, layouts: readonly ChangedLayout[]): string[] {
  const [first] = layouts;
  const { name, file } = first!;
  if (layouts.some(({ before, after }) => before !== first!.before || after !== first!.after))
    return [`units of the save have \`${name}\` in several layouts`];
  if (file === undefined) return ['the compiler did not say in which file it is defined'];
  if (!save.request.files.map(realPathOrSelf).includes(realPathOrSelf(file)))
    return [`that needs all code that uses it: save ${basename(file)} as well, which defines it`];
  const compiled = new Set(plan.units.map(({ comparison }) => comparison.object.source));
  const left = unitsIncluding(plan.module.elf, file).flatMap(({ unit }) =>
    compiled.has(realPathOrSelf(unit.path)) ? [] : [basename(unit.path)],
  );
  if (left.length > 0) return [`${left.join(', ')} use it as well, and were not compiled`];
  const others = plan.modules.filter(
    ({ path, elf }) =>
      path !== plan.module.path && (readable(() => unitsIncluding(elf, file)) ?? []).length > 0,
  );
  if (others.length > 0)
    return [`${others.map(({ path }) => basename(path)).join(', ')} has code that uses it as well`];
  const beside = readable(() => layouts.flatMap((layout) => layout.knownBeside()));
  if (beside === undefined) return ['debug information that says who else uses it cannot be read'];
  if (beside.length > 0) {
    const list = [...new Set(beside.map((path) => basename(path)))].join(', ');
    return [`${list} may use it without including ${basename(file)}, and would not be compiled`];
  }
  const obstacles = readable(() => layouts.flatMap((layout) => layout.obstacles()));
  return obstacles ?? ['debug information that says who has objects of it cannot be read'];
}

/** Warnings of a save of which the old code, or old values, may go on. */
const OLD_STAYS = ['signature-changed', 'initializer-kept', 'constant-kept', 'value-lost', 'old-code-stays'];

/** Why a save can migrate nothing. */
function obstaclesOfSave({ request }: Save, plan: ModulePlan): string[] {
  const obstacles: string[] = [];
  if (request.functionName !== undefined) obstacles.push('only one function was asked for');
  const sources = [...(readable(() => undescribedSources(plan.module.elf)) ?? ['code'])];
  if (sources.length > 0)
    obstacles.push(`${sources.slice(0, 3).join(', ')} was built without debug information, and may use it`);
  for (const { warnings, comparison, roles } of plan.units) {
    for (const { code, message } of warnings) if (OLD_STAYS.includes(code)) obstacles.push(message);
    for (const { fn, status, live } of comparison.functions) {
      if (!live || status !== 'changed' || isInitialiser(fn)) continue;
      if (isCoroutinePart(fn.symbol.name))
        obstacles.push(`${fn.symbol.name} is of a coroutine, which goes on in its old code`);
      else if (roles.get(fn) === 'at-start') obstacles.push(`${fn.symbol.name} initialises objects`);
    }
  }
  return obstacles;
}

/** All code that the save replaces, in each version that the process has of it. Its entry is where threads go on. And code
 * that stays, as far as it may have an object in its frame: it constructs one there. */
function oldCode(
  { units, live }: ModulePlan,
  types: readonly string[],
): Pick<Migration, 'quiet' | 'unreferenced'> {
  const quiet: OldCode[] = [];
  const unreferenced: OldCode[] = [];
  const constructors = types.map(constructorsOf);
  for (const { comparison, roles, reverts } of units) {
    const reverted = new Set(reverts.map(({ fn }) => fn));
    const constructs = (fn: ObjectFunction): boolean =>
      comparison.references.of(fn).some(({ symbol }) => {
        const { name } = fn.object.symbol(symbol);
        return constructors.some((prefix) => name.startsWith(prefix));
      });
    for (const { name, address, size } of changedConstants(comparison))
      unreferenced.push({ name, start: address, length: size });
    for (const { fn, live: at, status } of comparison.functions) {
      if (!at || isInitialiser(fn)) continue;
      const { name } = fn.symbol;
      if (!reverted.has(fn) && status !== 'changed') {
        if (!constructs(fn)) continue;
        const { current } = live.bodies.get(at.entry) ?? {};
        const body = current ?? { address: at.entry, size: at.size };
        quiet.push({ name, start: body.address + 1, length: body.size - 1 });
        continue;
      }
      const { versions = [] } = live.bodies.get(at.entry) ?? {};
      quiet.push({ name, start: at.entry + 1, length: at.size - 1 });
      for (const { address, size } of versions) quiet.push({ name, start: address, length: size });
      // A function that the compiler may have given a convention of its own is not redirected. Its clones are only called.
      const isClone = isNumbered(name) && stem(name) !== name;
      if (roles.get(fn) === 'direct' && !comparison.parentOf(fn) && !isClone)
        unreferenced.push({ name, start: at.entry, length: 1 });
    }
  }
  return { quiet, unreferenced };
}

/** How the symbols of a class's constructors begin (Itanium C++ ABI, 5.1). */
function constructorsOf(type: string): string {
  const parts = type.split('::').map((part) => (part === '(anonymous namespace)' ? '_GLOBAL__N_1' : part));
  return `_ZN${parts.map((part) => `${part.length}${part}`).join('')}C`;
}

const hexadecimal = (address: number): string => `0x${address.toString(16)}`;

/** For the runtime (docs/PROTOCOL.md, section 2).
 * @param migrator the entry of the function */
export function migrationLines({ types, quiet, unreferenced }: Migration, migrator: number): RequestLine[] {
  const range = ({ start, length, name }: OldCode): string => `${hexadecimal(start)} ${length} ${name}`;
  return [
    ['migrator', hexadecimal(migrator)],
    ...types.map(({ name, layout, before, after }): RequestLine => [
      'migrate',
      `${before} ${after} ${layout} ${name}`,
    ]),
    ...quiet.map((code): RequestLine => ['quiet', range(code)]),
    ...unreferenced.map((code): RequestLine => ['unreferenced', range(code)]),
  ];
}
