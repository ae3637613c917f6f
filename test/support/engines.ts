// Engines in the process of the test, which see the programs of a session as the engine of an editor does.
import { createEngine } from '../../extension/engine/create_engine';
import type { Engine, EngineOptions } from '../../extension/engine/engine';
import type { PatchableProcess } from '../../extension/engine/model/result';
import type { Session } from './session';
import { until } from './until';

/** Makes another engine, which knows nothing of what the others did. */
type Create = (options?: Partial<EngineOptions>) => Engine;

/** For many saves and questions. All engines are disposed of in the end. */
export function withEngines<T>(session: Session, use: (create: Create) => Promise<T>): Promise<T> {
  return inControlDirectory(session, async () => {
    const engines: Engine[] = [];
    try {
      return await use((options) => {
        const engine = createEngine({
          temporaryDirectory: session.path('tmp'),
          preambleDirectory: session.path('preambles'),
          layoutDirectory: session.path('layouts'),
          roots: [session.directory],
          ...options,
        });
        engines.push(engine);
        return engine;
      });
    } finally {
      for (const engine of engines) await engine.dispose();
    }
  });
}

export function withEngine<T>(
  session: Session,
  use: (engine: Engine) => Promise<T>,
  options: Partial<EngineOptions> = {},
): Promise<T> {
  return withEngines(session, (create) => use(create(options)));
}

/** An engine looks for the control directories of programs where the environment of its own process says. */
export async function inControlDirectory<T>(session: Session, call: () => Promise<T>): Promise<T> {
  const before = process.env['XDG_RUNTIME_DIR'];
  process.env['XDG_RUNTIME_DIR'] = session.environment['XDG_RUNTIME_DIR'];
  try {
    return await call();
  } finally {
    if (before === undefined) delete process.env['XDG_RUNTIME_DIR'];
    else process.env['XDG_RUNTIME_DIR'] = before;
  }
}

/** Waits until the runtime of a process, which introduces itself from its own thread, is known. */
export async function ready(engine: Engine, pid: number): Promise<PatchableProcess> {
  const isReady = (one: PatchableProcess) => one.pid === pid && one.runtime !== undefined;
  const processes = await until(
    () => engine.processes(),
    (all) => all.some(isReady),
  );
  return processes.find(isReady)!;
}
