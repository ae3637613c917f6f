// What a reloaded window must know again and no process can tell: the source of each live version, and the history.
// Kept in the workspace's storage while the processes live; given back to the store process by process, as they are
// found again. Texts are files named by their hash: a save of fifty functions is one text.
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Delivered, HistoryEntry, ProcessKey, State } from '../state/state';
import { processKey } from '../state/state';
import type { Store } from '../state/store';

const INDEX = 'index.json';
/** Another form of the index is not read. */
const FORMAT = 3;

/** What is known of the versions in processes, as in `State`. */
export interface Versions {
  readonly delivered: ReadonlyMap<string, Delivered>;
  readonly history: readonly HistoryEntry[];
}

interface Index {
  readonly format: number;
  /** Start times of processes count from here. */
  readonly boot: string;
  readonly delivered: [string, Omit<Delivered, 'text'> & { readonly hash: string }][];
  readonly history: (Omit<HistoryEntry, 'after'> & { readonly after: [ProcessKey, [string, number][]][] })[];
}

export interface SavedVersions {
  /** Resolves when what is in the state is on disk. */
  written(): Promise<void>;
  dispose(): void;
}

/** @param directory ours alone; made when there is something to keep. */
export function saveVersions(store: Store, directory: string, log: (message: string) => void): SavedVersions {
  /** Of processes that were not found again yet. */
  let pending: Versions = { delivered: new Map(), history: [] };
  let work: Promise<void> = load();
  let scheduled = false;

  async function load(): Promise<void> {
    try {
      pending = onlyOf(isPresent, await read(directory));
    } catch (error) {
      log(`versions of an earlier window: ${String(error)}`);
    }
    giveBack(store.state);
  }

  /** Processes that are followed get what was kept of them. */
  function giveBack(state: State): void {
    const found = new Set((state.processes ?? []).map(processKey));
    const { delivered, history } = onlyOf((key) => found.has(key), pending);
    if (delivered.size === 0 && history.length === 0) return;
    pending = onlyOf((key) => !found.has(key), pending);
    store.dispatch({ type: 'versions-restored', delivered, history });
  }

  function save(): void {
    if (scheduled) return;
    scheduled = true;
    work = work.then(async () => {
      scheduled = false;
      const { delivered, history } = store.state;
      try {
        await write(directory, {
          delivered: new Map([...pending.delivered, ...delivered]),
          history: [...history, ...pending.history],
        });
      } catch (error) {
        log(`versions are not kept for a reload of the window: ${String(error)}`);
      }
    });
  }

  const subscription = store.subscribe((state, previous) => {
    if (state.processes !== previous.processes) giveBack(state);
    if (state.delivered !== previous.delivered || state.history !== previous.history) save();
  });
  return { written: () => work, dispose: () => subscription.dispose() };
}

/** The versions in these processes, and the entries of the history that are about one of them. */
function onlyOf(isWanted: (key: ProcessKey) => boolean, { delivered, history }: Versions): Versions {
  return {
    delivered: new Map([...delivered].filter(([key]) => isWanted(key.slice(0, key.indexOf(' '))))),
    history: history.filter((entry) => entry.processes.some(({ key }) => isWanted(key))),
  };
}

/** Whether there may still be the process: whether it is the same one is seen when it is found. */
function isPresent(key: ProcessKey): boolean {
  try {
    return process.kill(Number(key.slice(0, key.indexOf('@'))), 0);
  } catch {
    return false;
  }
}

function bootId(): Promise<string> {
  return readFile('/proc/sys/kernel/random/boot_id', 'utf8');
}

async function read(directory: string): Promise<Versions> {
  const none: Versions = { delivered: new Map(), history: [] };
  const json = await readFile(join(directory, INDEX), 'utf8').catch(() => undefined);
  if (json === undefined) return none;
  const index = JSON.parse(json) as Index;
  if (index.format !== FORMAT || index.boot !== (await bootId())) return none;
  const texts = new Map<string, string>();
  for (const [, { hash }] of index.delivered) {
    if (!texts.has(hash)) texts.set(hash, await readFile(join(directory, hash), 'utf8'));
  }
  return {
    delivered: new Map(
      index.delivered.map(([key, { hash, ...version }]) => [key, { ...version, text: texts.get(hash)! }]),
    ),
    history: index.history.map((entry) => ({
      ...entry,
      after: new Map(entry.after.map(([key, versions]) => [key, new Map(versions)])),
    })),
  };
}

/** Texts first, the index by one rename, then what it no longer names is removed: whenever the window goes, what is
 * there can be read. */
async function write(directory: string, { delivered, history }: Versions): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const present = new Set(await readdir(directory));
  const hashes = new Map<string, string>();
  for (const { text } of delivered.values()) {
    if (hashes.has(text)) continue;
    const hash = createHash('sha256').update(text).digest('hex');
    hashes.set(text, hash);
    if (!present.has(hash)) await put(join(directory, hash), text);
  }
  const index: Index = {
    format: FORMAT,
    boot: await bootId(),
    delivered: [...delivered].map(([key, { text, ...version }]) => [
      key,
      { ...version, hash: hashes.get(text)! },
    ]),
    history: history.map((entry) => ({
      ...entry,
      after: [...entry.after].map(([key, versions]) => [key, [...versions]]),
    })),
  };
  await put(join(directory, INDEX), JSON.stringify(index));
  const named = new Set([INDEX, ...hashes.values()]);
  for (const name of present) if (!named.has(name)) await rm(join(directory, name), { force: true });
}

async function put(path: string, text: string): Promise<void> {
  await writeFile(`${path}.part`, text, { mode: 0o600 });
  await rename(`${path}.part`, path);
}
