// What becomes of first light when the whole unit was compiled and compared: confirmed, replaced, corrected, or taken
// back. Last step of a save that took it.
import type { LiveTarget, RuntimeClient } from '../context';
import { HotPatchError, toProblem } from '../model/errors';
import type {
  ChangedFunction,
  FirstLightReport,
  LoadedPatch,
  PatchedFunction,
  PatchResult,
  ProcessResult,
} from '../model/result';
import { wholeOf } from './edited_code';
import type { FirstLight } from './first_light';
import type { Save } from './progress';

/** @param exact what the exact way came to, behind first light */
export async function concludeFirstLight(
  save: Save,
  targets: readonly LiveTarget[],
  light: FirstLight,
  exact: PatchResult,
): Promise<PatchResult> {
  const { result: first, delivered, standsIn, live } = light;
  const times = { live, exact: exact.timings['total'] ?? 0 };
  switch (exact.outcome) {
    case 'unchanged':
      return {
        ...exact,
        outcome: first.outcome,
        processes: first.processes,
        changed: [...delivered],
        firstLight: { outcome: 'confirmed', ...times },
      };
    case 'patched':
    case 'reverted': {
      const known = new Set(standsIn ? delivered.map(({ symbol }) => wholeOf(symbol)) : []);
      const beyond = exact.changed.filter(({ symbol }) => !known.has(wholeOf(symbol)));
      const report: FirstLightReport =
        beyond.length > 0
          ? { outcome: 'corrected', ...times, corrected: beyond.map(({ name }) => name) }
          : { outcome: 'replaced', ...times };
      const all = {
        ...exact,
        processes: mergedProcesses(first.processes, exact.processes),
        // What is new and nobody's edit was only for first light; the whole unit says what else is.
        changed: mergedChanges(
          delivered.filter((change) => change.kind !== 'new' || first.changed.includes(change)),
          exact.changed,
        ),
        firstLight: report,
      };
      if (!standsIn) return all;
      try {
        for (const target of targets) await takeBackUnknown(save, save.client(target), light);
      } catch (thrown) {
        // The code of the whole unit runs all the same.
        save.context.log('warn', `what only first light has is not taken back: ${toProblem(thrown).message}`);
      }
      return sinceBefore(save, all, light);
    }
    case 'refused':
    case 'failed': {
      // A newer save has taken over: it finds what was delivered, and confirms it.
      if (save.request.signal?.aborted) return exact;
      const refusals = [...exact.refusals];
      for (const target of targets) {
        try {
          await withdraw(save.client(target), light);
        } catch (thrown) {
          const problem = toProblem(thrown);
          refusals.push({
            ...problem,
            pid: target.process.pid,
            message: `What was delivered first could not be taken back: ${problem.message}`,
          });
        }
      }
      return { ...exact, refusals, firstLight: { outcome: 'withdrawn', ...times } };
    }
  }
}

/** Leaves out the functions that only came along with the edited ones: they are back at what ran before the save, or the
 * whole unit has none of their name. */
function sinceBefore(
  { fresh }: Save,
  { processes: all, changed, ...result }: PatchResult,
  { before }: FirstLight,
): PatchResult {
  const names = namesIn(fresh);
  const isNews = (pid: number, { address, version, symbol }: PatchedFunction): boolean =>
    names.has(symbol) && version !== (before.get(pid)?.get(address) ?? 0);
  const reported = new Set(all.flatMap(({ functions }) => functions.map(({ symbol }) => symbol)));
  const processes = all.map((process) => ({
    ...process,
    functions: process.functions.filter((fn) => isNews(process.pid, fn)),
  }));
  const left = processes.flatMap(({ functions }) => functions);
  const news = new Set(left.map(({ symbol }) => symbol));
  const outcome = left.some(({ version }) => version > 0) ? 'patched' : 'reverted';
  return {
    ...result,
    processes,
    changed: changed.filter(({ symbol, kind }) =>
      reported.has(symbol) ? news.has(symbol) : kind !== 'new' || names.has(symbol),
    ),
    outcome: left.length === 0 ? 'unchanged' : outcome,
  };
}

const namesIn = (fresh: Save['fresh']): ReadonlySet<string> =>
  new Set([...fresh.keys()].flatMap((object) => object.symbols.map(({ name }) => name)));

/** A part of a unit may have functions that the whole has none of, because there they are inlined or cloned: an earlier
 * first light brought them, and this one redirected them there. The code of the whole unit does not lead to them, so that
 * no later save would take that back. While a thread is still in what first light brought, they stay as they are. */
async function takeBackUnknown(
  { fresh }: Save,
  client: RuntimeClient,
  { result, before }: FirstLight,
): Promise<void> {
  const { pid } = client.process;
  const names = namesIn(fresh);
  const unknown = (result.processes.find((process) => process.pid === pid)?.functions ?? []).filter(
    ({ symbol }) => !names.has(symbol),
  );
  if (unknown.length === 0) return;
  const {
    status: { patches, functions },
  } = await client.status();
  const isIn = (address: string, { base, length }: LoadedPatch): boolean =>
    Number(address) >= Number(base) && Number(address) < Number(base) + length;
  const brought = new Set(unknown.map(({ versions }) => versions.at(-1)!.patch));
  if (patches.some(({ id, activeThreads }) => brought.has(id) && activeThreads > 0)) return;
  const back = functions.filter(
    ({ address }) =>
      unknown.some((one) => one.address === address) && patches.some((patch) => isIn(address, patch)),
  );
  await goBack(client, back, before.get(pid));
}

/** Back to the versions that ran before. */
async function withdraw(client: RuntimeClient, { result, before }: FirstLight): Promise<void> {
  const { pid } = client.process;
  const functions = result.processes.find((process) => process.pid === pid)?.functions ?? [];
  await goBack(client, functions, before.get(pid));
}

async function goBack(
  client: RuntimeClient,
  functions: readonly PatchedFunction[],
  versions: ReadonlyMap<string, number> | undefined,
): Promise<void> {
  if (functions.length === 0) return;
  const answer = await client.revert(
    functions.map(({ address }) => ({ address: Number(address), version: versions?.get(address) ?? 0 })),
  );
  if (!answer.ok)
    throw new HotPatchError(
      answer.error?.code ?? 'internal',
      answer.error?.message ?? 'no reason was given',
      {
        pid: client.process.pid,
      },
    );
}

function mergedProcesses(first: readonly ProcessResult[], then: readonly ProcessResult[]): ProcessResult[] {
  const merged = new Map(first.map((process) => [process.pid, process]));
  for (const process of then) {
    const known = merged.get(process.pid);
    const functions = new Map(known?.functions.map((fn) => [fn.address, fn]));
    for (const fn of process.functions) functions.set(fn.address, fn);
    merged.set(process.pid, { ...process, functions: [...functions.values()] });
  }
  return [...merged.values()];
}

function mergedChanges(
  first: readonly ChangedFunction[],
  then: readonly ChangedFunction[],
): ChangedFunction[] {
  return [...new Map([...first, ...then].map((fn) => [`${fn.file}:${fn.symbol}`, fn])).values()];
}
