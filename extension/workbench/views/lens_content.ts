// What stands above each function: `⚡ Hot Patch` while its process runs, or version, time, threads, `Revert` and
// `Compare` once it is patched; that its edit is compiled already, or live and still being confirmed; above the file,
// why it cannot be patched; at a line, that a thread is held there. Pure; code_lens.ts shows it.
import { Command } from '../contributions';
import type { SourceFunction } from '../state/source_function';
import {
  inlinedInto,
  isDeoptimised,
  isOptimisedFile,
  liveAhead,
  plural,
  runningFunctions,
  runningSource,
  shortList,
  targetsOf,
  unpreparedOf,
  type RunningFunction,
} from '../state/queries';
import { cloneSuffix, isSameFunction, qualifiedName } from '../state/function_names';
import { versionKey, type State } from '../state/state';
import { confirmingText } from './first_light_text';
import { heldLenses } from './held_lenses';
import type { Lens } from './lens';

/** Parameters of the commands that a lens on a function runs. */
export interface FunctionTarget {
  readonly file: string;
  readonly name: string;
  readonly line: number;
}

/** VS Code trims a blank behind an icon. */
const VERDICTS: Record<string, string> = {
  'flags-differ': '$(warning)\u00a0Hot Patch: the running program was built with other flags',
  'no-command': '$(warning)\u00a0Hot Patch: no compile command for this file',
  'other-build': '$(warning)\u00a0Hot Patch: the running program is of another build',
  'compile-failed': '$(error)\u00a0Hot Patch: does not compile',
};

export function lensesOf(state: State, file: string, functions: readonly SourceFunction[]): Lens[] {
  const held = heldLenses(state, file);
  if (targetsOf(state, file).length === 0 && unpreparedOf(state, [file]).length === 0) return held;
  const check = state.checks.get(file);
  const verdict = check?.kind === 'done' ? VERDICTS[check.report.verdict] : undefined;
  const header = check?.kind === 'done' && verdict ? [fileLens(file, verdict, check.report.message)] : [];
  return [...held, ...header, ...functions.flatMap((source) => functionLenses(state, file, source))];
}

function fileLens(file: string, title: string, message: string): Lens {
  return { line: 0, title, tooltip: message, command: Command.checkFile, parameters: [file] };
}

function functionLenses(state: State, file: string, source: SourceFunction): Lens[] {
  const target: FunctionTarget = { file, name: source.name, line: source.nameLine };
  const lens = (title: string, tooltip: string, command: Command): Lens => ({
    line: source.startLine,
    title,
    tooltip,
    command,
    parameters: [target],
  });
  const ahead = state.ahead.get(file)?.changed.some(({ name }) => isSameFunction(name, source.name))
    ? [
        lens(
          'Compiled: live at the save',
          `Save, and ${source.name} runs at once as it reads now`,
          Command.save,
        ),
      ]
    : [];
  const running = runningFunctions(state, file, source);
  const patched = running.filter((one) => one.function.version > 0);
  const live = liveAhead(state, file, source);
  if (live) {
    const title = `⚡ ${confirmingText(live.milliseconds)}`;
    return [lens(title, 'The whole file is still compiled and compared', Command.showTrampolines)];
  }
  const optimisation = optimisationLenses(state, file, source, lens);
  if (patched.length === 0 && isDeoptimised(state, file, source)) return [...optimisation, ...ahead];
  if (patched.length === 0) {
    const hosts = inlinedInto(state, file, source);
    if (hosts.length > 0) return inlinedLenses(hosts, lens);
    return [
      lens(
        '⚡ Hot Patch',
        `Compile ${source.name} and redirect it in the running process`,
        Command.patchFunction,
      ),
      ...ahead,
      ...optimisation,
    ];
  }
  const threads = patched.reduce((sum, one) => sum + one.function.activeThreads, 0);
  return [
    lens(
      `⚡ ${versions(state, patched)}`,
      'Show the trampoline, its pages and versions',
      Command.showTrampolines,
    ),
    ...ahead,
    ...(threads > 0
      ? [
          lens(
            `${plural(threads, 'thread')} in old code`,
            'They go on there until they return from it',
            Command.showTrampolines,
          ),
        ]
      : []),
    lens('Revert', `Bring back the original code of ${source.name}`, Command.revertFunction),
    ...(patched.some((one) => runningSource(state, file, one))
      ? [lens('Compare', 'The source of the running version beside this file', Command.compare)]
      : []),
    ...optimisation,
  ];
}

function optimisationLenses(
  state: State,
  file: string,
  source: SourceFunction,
  lens: (title: string, tooltip: string, command: Command) => Lens,
): Lens[] {
  if (isDeoptimised(state, file, source))
    return [
      lens(
        '$(debug-alt)\u00a0at -O0 for debugging',
        `A debugger shows every variable of ${source.name} from its next call on; saves keep it so`,
        Command.showTrampolines,
      ),
      lens('Optimise Again', `Compile ${source.name} as the build does again`, Command.optimiseFunction),
    ];
  if (!isOptimisedFile(state, file)) return [];
  const tooltip = `Compile ${source.name} alone without optimisation in the running program, so that a debugger shows every variable of it`;
  return [lens('Debug at -O0', tooltip, Command.deoptimiseFunction)];
}

/** Its code is not a function of its own: it is live where it was compiled into. */
function inlinedLenses(
  hosts: ReturnType<typeof inlinedInto>,
  lens: (title: string, tooltip: string, command: Command) => Lens,
): Lens[] {
  const names = shortList([...new Set(hosts.map((host) => qualifiedName(host.function.name)))]);
  const title = `⚡ live in ${hosts[0]!.delivered.milliseconds} ms, inlined into ${names}`;
  return [
    lens(title, 'Show the trampolines', Command.showTrampolines),
    lens('Revert', `Bring back the original code of ${names}`, Command.revertFunction),
    lens('Compare', 'The source of the running version beside this file', Command.compare),
  ];
}

function versions(state: State, patched: readonly RunningFunction[]): string {
  // The version that people count is that of the function, where it is patched itself, not of its clones.
  const own = patched.filter((one) => cloneSuffix(one.function.symbol) === '');
  const counted = own.length > 0 ? own : patched;
  const numbers = [...new Set(counted.map((one) => one.function.version))].sort((a, b) => a - b);
  const milliseconds = patched
    .map(
      (one) =>
        state.delivered.get(versionKey(one.key, one.function.address, one.function.version))?.milliseconds,
    )
    .find((value) => value !== undefined);
  const version = `Version ${numbers.join(' and ')}`;
  const processes = new Set(patched.map((one) => one.key)).size;
  const where = processes > 1 ? ` in ${processes} processes` : '';
  return milliseconds === undefined
    ? `${version} is live${where}`
    : `${version} live in ${milliseconds} ms${where}`;
}
