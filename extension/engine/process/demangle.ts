// Display names of C++ symbols, by the `c++filt` of binutils (the assembler and linker every compile needs come with
// it). One run for all names that are new; names are for people, so failure leaves them mangled this time and is no
// error.
import { spawn } from 'node:child_process';
import type { Caches } from '../caches';
import type { EngineContext } from '../context';

/** Milliseconds after which names stay mangled: no name is worth holding up a patch. */
const TIMEOUT = 2000;
/** Those of some large units. */
const KEPT = 100_000;

export function createDemangler(caches: Caches, log: EngineContext['log']): EngineContext['demangle'] {
  const known = caches.create<string>({ limit: KEPT });
  /** The runs that names are being asked for in: whoever wants one of them as well waits for that run. */
  const asked = new Map<string, Promise<void>>();

  const ask = async (symbols: readonly string[]): Promise<void> => {
    try {
      const names = await filter(symbols);
      symbols.forEach((symbol, index) => known.get(symbol, () => names[index] ?? symbol));
    } catch (error) {
      log('debug', `c++filt: ${String(error)}`);
    } finally {
      for (const symbol of symbols) asked.delete(symbol);
    }
  };

  return async (symbols) => {
    const unknown = [...new Set(symbols)].filter(
      (symbol) => symbol.startsWith('_Z') && known.find(symbol) === undefined && !/\s/.test(symbol),
    );
    const unasked = unknown.filter((symbol) => !asked.has(symbol));
    if (unasked.length > 0) {
      const run = ask(unasked);
      for (const symbol of unasked) asked.set(symbol, run);
    }
    await Promise.all(new Set(unknown.flatMap((symbol) => asked.get(symbol) ?? [])));
    return symbols.map((symbol) => known.find(symbol) ?? symbol);
  };
}

function filter(symbols: readonly string[]): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const child = spawn('c++filt', [], { stdio: ['pipe', 'pipe', 'ignore'], timeout: TIMEOUT });
    let output = '';
    child.on('error', reject);
    child.stdin.on('error', reject);
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.on('close', (status) => {
      if (status === 0) resolve(output.split('\n'));
      else reject(new Error(`status ${status}`));
    });
    child.stdin.end(`${symbols.join('\n')}\n`);
  });
}
