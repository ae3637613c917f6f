// What gdb and lldb have in common, so that both can be asked the same: where a process stopped, and what is to be seen
// there. What each alone can say is asked in its own words (support/debuggers.ts).
import { passCommand } from '../../extension/debug/signal_pass';
import { Gdb, Lldb } from '../support/debuggers';
import type { Unit } from '../support/session';
import { runtimeSignal } from './traced_unit';

export interface Frame {
  readonly name: string;
  readonly line: number | undefined;
  /** gdb does not say it. */
  readonly isPatched?: boolean;
}

export interface Debugger {
  breakAtLine(line: number): Promise<unknown>;
  breakAtAddress(address: string): Promise<unknown>;
  deleteBreakpoints(): Promise<unknown>;
  /** Where the program's own version of a function begins. */
  originalEntry(name: string): Promise<string>;
  /** Lets the process run; resolves when it does. */
  resume(): Promise<void>;
  /** Why the process stops next: `breakpoint`, or what the debugger says of it. */
  stopped(): Promise<string>;
  /** Runs to the next line, `step`, or until the function has returned, `finish`; why it stopped. */
  run(how: 'step' | 'finish'): Promise<string>;
  /** The innermost first. */
  frames(): Promise<Frame[]>;
  /** Arguments and locals of the innermost frame, a line each: `sum = 12`. */
  variables(): Promise<string>;
  /** Has only the runtime's thread run, and carry out the save that waits; what it says of that. */
  serve(): Promise<string>;
  /** Detaches: the process lives on. */
  end(): Promise<void>;
}

export interface Kind {
  readonly name: 'gdb' | 'lldb';
  /** Attached to the unit's process, deaf to the runtime's own signal as our tracker makes it. */
  attach(unit: Unit): Promise<Debugger>;
}

export const gdb: Kind = {
  name: 'gdb',
  async attach(unit) {
    const one = await Gdb.attach(unit.program.pid, passCommand('gdb', await runtimeSignal(unit)));
    const stopped = async () => {
      const { reason } = await one.stop();
      return reason === 'breakpoint-hit' ? 'breakpoint' : reason;
    };
    return {
      breakAtLine: (line) => one.run(`break unit.cc:${line}`),
      breakAtAddress: (address) => one.run(`break *${address}`),
      deleteBreakpoints: () => one.run('delete'),
      originalEntry: async (name) =>
        /= \(void \*\) (0x[0-9a-f]+)/.exec(await one.run(`print (void *) &${name}`))![1]!,
      resume: () => one.resume(),
      stopped,
      async run(how) {
        await one.run(how === 'step' ? 'next' : 'finish');
        return stopped();
      },
      frames: async () =>
        [...(await one.run('backtrace')).matchAll(/^#\d+ +(?:0x[0-9a-f]+ in )?([^( ]+)(.*)$/gm)].map(
          ([, name, rest]) => ({ name: name!, line: lineIn(/:(\d+)$/, rest!) }),
        ),
      variables: async () => `${await one.run('info args')}${await one.run('info locals')}`,
      serve: () => one.serve(),
      end: () => one.end(),
    };
  },
};

export const lldb: Kind = {
  name: 'lldb',
  async attach(unit) {
    const { session, program } = unit;
    const pass = passCommand('lldb', await runtimeSignal(unit));
    const one = await Lldb.attach(session.path('program'), program.pid, pass);
    const reasonIn = (text: string) =>
      /stop reason = breakpoint 1\./.test(text) ? 'breakpoint' : /stop reason = (.*)/.exec(text)![1]!;
    return {
      breakAtLine: (line) => one.run(`breakpoint set --file unit.cc --line ${line}`),
      breakAtAddress: (address) => one.run(`breakpoint set --address ${address}`),
      deleteBreakpoints: () => one.run('breakpoint delete --force'),
      async originalEntry(name) {
        const found = await one.run(`image lookup --verbose --regex --symbol ${name} program`);
        return /range = \[(0x[0-9a-f]+)-/.exec(found)![1]!;
      },
      resume: () => one.resume(),
      stopped: async () => reasonIn(await one.stop()),
      run: async (how) => reasonIn(await (how === 'step' ? one.next() : one.finish())),
      async frames() {
        const text = await one.run('thread backtrace');
        // What was said of a frame before may come with it.
        return [
          ...text
            .slice(text.lastIndexOf('frame #0:'))
            .matchAll(/frame #\d+: 0x[0-9a-f]+ (.+?)`(?:::)?([^( ]+)(.*)$/gm),
        ].map(([, module, name, rest]) => ({
          name: name!,
          line: lineIn(/ at [^: ]+:(\d+)/, rest!),
          isPatched: module!.startsWith('JIT('),
        }));
      },
      variables: async () => (await one.run('frame variable')).replace(/^\(.*?\) /gm, ''),
      serve: () => one.serve(),
      end: () => one.end(),
    };
  },
};

function lineIn(pattern: RegExp, text: string): number | undefined {
  const line = pattern.exec(text)?.[1];
  return line === undefined ? undefined : Number(line);
}
