// The debug adapter as a client of DAP meets it: the real adapter over standard input and output, a real program, real
// patches. What is awaited are the adapter's own events and answers.
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { DebugClient } from '@vscode/debugadapter-testsupport';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { readMemory } from '../support/memory';
import { dist, samples } from '../support/paths';
import type { Program } from '../support/program';
import { inSession, type Session } from '../support/session';

const source = `
static long calls;
__attribute__((noinline)) static long scaled(long n) { calls++; return n * 3; }
long value(long n) { return scaled(n) + 100 * calls; }
`;

/** A client with its adapter; what it started ends with it. */
async function withClient(session: Session, test: (client: Client) => Promise<void>): Promise<void> {
  const client = new Client(session);
  await client.start();
  try {
    await test(client);
  } finally {
    await client.stop();
  }
}

class Client extends DebugClient {
  private readonly output: string[] = [];
  private wake: (() => void) | undefined;
  pid = 0;
  /** Of the terminal that the adapter asked for. */
  terminalKind: string | undefined;

  constructor(readonly session: Session) {
    super(process.execPath, join(dist, 'debug_adapter.js'), 'hotPatch', session.options);
    this.defaultTimeout = 60_000;
    this.on('output', ({ body }: DebugProtocol.OutputEvent) => {
      this.output.push(body.output);
      this.wake?.();
    });
    this.on('process', ({ body }: DebugProtocol.ProcessEvent) => {
      this.pid = body.systemProcessId!;
    });
  }

  /** Opens a "terminal" for the adapter, with pipes instead of a screen. The library knows no requests of adapters. */
  terminal(): Promise<Program> {
    const inner = this as unknown as { dispatch(body: string): void; outputStream: Writable };
    const dispatch = inner.dispatch.bind(this);
    return new Promise((resolve, reject) => {
      inner.dispatch = (body) => {
        const request = JSON.parse(body) as DebugProtocol.RunInTerminalRequest;
        if (request.type !== 'request') return dispatch(body);
        this.terminalKind = request.arguments.kind;
        const [command, ...args] = request.arguments.args;
        this.session.startCommand(command!, args).then((program) => {
          const answer = {
            type: 'response',
            seq: 0,
            request_seq: request.seq,
            success: true,
            command: request.command,
            body: {},
          };
          const json = JSON.stringify(answer);
          inner.outputStream.write(`Content-Length: ${Buffer.byteLength(json)}\r\n\r\n${json}`);
          resolve(program);
        }, reject);
      };
    });
  }

  /** Until the program (or the adapter) has printed this. */
  async prints(text: string): Promise<void> {
    while (!this.output.join('').includes(text)) await new Promise<void>((resolve) => (this.wake = resolve));
  }

  async begin(configuration: object, request: 'launch' | 'attach' = 'launch'): Promise<void> {
    await this.initializeRequest({
      adapterID: 'hotPatch',
      supportsRunInTerminalRequest: true,
      pathFormat: 'path',
    });
    const seen = this.waitForEvent('process');
    if (request === 'launch') await this.launchRequest(configuration);
    else await this.attachRequest(configuration);
    await this.configurationDoneRequest();
    await seen;
  }

  async console(line: string): Promise<string> {
    return (await this.evaluateRequest({ expression: line, context: 'repl' })).body.result;
  }

  /** Resolves when the runtime is in the program. */
  async ready(): Promise<void> {
    for (;;) {
      const { stdout } = await this.session.hotPatch('ps', '--json');
      const processes = JSON.parse(stdout) as { pid: number; runtime?: unknown }[];
      if (processes.some(({ pid, runtime }) => pid === this.pid && runtime)) return;
    }
  }

  /** value(n) by way of the console and the program's output. */
  async value(n: number, expected: number): Promise<void> {
    this.output.length = 0;
    await this.console(`send ${n}`);
    await this.prints(`${expected}\n`);
  }
}

async function build(session: Session, unit = source): Promise<void> {
  session.write('unit.cc', unit);
  session.write('main.cc', readFileSync(join(samples, 'driver', 'main.cc'), 'utf8'));
  await session.build({ sources: ['main.cc', 'unit.cc'], flags: ['-O1', '-g'] });
}

const inClient = (test: (client: Client, session: Session) => Promise<void>) =>
  inSession(async (session) => {
    await build(session);
    await withClient(session, (client) => test(client, session));
  });

/** Does that process run? */
function lives(pid: number): boolean {
  try {
    return !/^State:\s*[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

describe('the debug adapter', () => {
  it(
    'launches a program with the runtime in it, shows its output, and patches it from the console',
    inClient(async (client, session) => {
      await client.begin({ program: session.path('program'), cwd: session.directory });
      await client.prints('ready');
      await client.ready();
      await client.value(2, 106);
      const module = client.waitForEvent('module');
      const loaded = client.waitForEvent('loadedSource');
      const result = client.waitForEvent('hotPatch.result');
      session.edit('unit.cc', 'n * 3', 'n * 5');
      assert.match(await client.console('patch unit.cc'), /patched: 1 function in process \d+/);
      const { body } = (await result) as { body: { outcome: string; processes: { pid: number }[] } };
      assert.equal(body.outcome, 'patched');
      assert.equal(body.processes[0]!.pid, client.pid);
      assert.match(((await module) as DebugProtocol.ModuleEvent).body.module.name, /patch 1 of program/);
      assert.equal(
        ((await loaded) as DebugProtocol.LoadedSourceEvent).body.source.path,
        session.path('unit.cc'),
      );
      await client.value(2, 210);
      const { modules } = (await client.modulesRequest({})).body;
      assert.deepEqual(
        modules.map(({ version, symbolStatus }) => [version, symbolStatus]),
        [['live', 'symbols loaded']],
      );
      assert.match(await client.console('status'), /scaled\(long\).*version 1[\s\S]*trampoline {2}0x/);
      assert.match(await client.console('where'), /scaled\(long\): no thread in old code[\s\S]*\* version 1/);
      const offered = await client.completionsRequest({ text: 'revert sc', column: 10 });
      assert.deepEqual(
        offered.body.targets.map(({ label }) => label),
        ['scaled'],
      );
      const files = await client.completionsRequest({ text: 'patch u', column: 8 });
      assert.deepEqual(
        files.body.targets.map(({ label }) => label),
        ['unit.cc'],
      );
      assert.match(await client.console('revert scaled'), /reverted/);
      await client.value(2, 306);
      await assert.rejects(client.console('patch'), /Which file/);
    }),
  );

  it(
    'shows the compiler’s message for an edit that does not compile, and the program runs on',
    inClient(async (client, session) => {
      await client.begin({ program: session.path('program'), cwd: session.directory });
      await client.ready();
      session.edit('unit.cc', 'n * 3', 'm * 3');
      assert.match(await client.console('patch unit.cc'), /unit\.cc:3:.*error: .*m[\s\S]*failed/);
      await client.value(2, 106);
    }),
  );

  it(
    'pauses: names threads, and shows the trampoline as frame, instructions and memory',
    inClient(async (client, session) => {
      await client.begin({ program: session.path('program'), cwd: session.directory });
      await client.ready();
      const seen = client.waitForEvent('module');
      session.edit('unit.cc', 'n * 3', 'n * 5');
      await client.console('patch unit.cc');
      await seen;
      const stopped = client.waitForEvent('stopped');
      await client.pauseRequest({ threadId: client.pid });
      await stopped;
      const { threads } = (await client.threadsRequest()).body;
      assert.ok(threads.some(({ name }) => name.startsWith('program (')));
      assert.ok(threads.some(({ name }) => name.startsWith('hot_fix (')));
      const own = threads.find(({ id }) => id === client.pid)!;
      const [top] = (await client.stackTraceRequest({ threadId: own.id })).body.stackFrames;
      assert.match(top!.instructionPointerReference!, /^0x/);
      const trampolines = threads.find(({ name }) => name.includes('Trampolines'))!;
      const [frame] = (await client.stackTraceRequest({ threadId: trampolines.id })).body.stackFrames;
      assert.match(frame!.name, /scaled\(long\): jmp-rel32(\+island)? to 0x\w+ \(version 1\)/);
      assert.equal(frame!.source!.path, session.path('unit.cc'));
      assert.equal(frame!.line, 3);
      const memoryReference = frame!.instructionPointerReference!;
      const { instructions } = (
        await client.disassembleRequest({ memoryReference, instructionOffset: -3, instructionCount: 6 })
      ).body!;
      assert.equal(instructions.length, 6);
      assert.equal(instructions[3]!.address, memoryReference);
      assert.match(instructions[3]!.instruction, /^jmp 0x/);
      assert.match(instructions[3]!.symbol!, /scaled/);
      const memory: DebugProtocol.ReadMemoryResponse = await client.customRequest('readMemory', {
        memoryReference,
        count: 5,
      });
      const bytes = Buffer.from(memory.body?.data ?? '', 'base64').toString('hex');
      assert.equal(bytes, readMemory(client.pid, memoryReference, 5));
      assert.match(bytes, /^e9/);
      const { scopes } = (await client.scopesRequest({ frameId: frame!.id })).body;
      const { variables } = (
        await client.variablesRequest({ variablesReference: scopes[0]!.variablesReference })
      ).body;
      assert.ok(variables.some(({ name, value }) => name === 'verified' && value === 'yes'));
      const nowhere: DebugProtocol.ReadMemoryResponse = await client.customRequest('readMemory', {
        memoryReference: '0x10',
        count: 8,
      });
      assert.equal(nowhere.body!.unreadableBytes, 8);
      await client.continueRequest({ threadId: own.id });
      await client.value(2, 110);
    }),
  );

  it(
    'restarts the program and brings its live patches over',
    inClient(async (client, session) => {
      await client.begin({ program: session.path('program'), cwd: session.directory });
      await client.ready();
      session.edit('unit.cc', 'n * 3', 'n * 5');
      await client.console('patch unit.cc');
      const first = client.pid;
      const again = client.waitForEvent('process');
      const result = client.waitForEvent('hotPatch.result');
      await client.restartRequest({});
      await again;
      assert.notEqual(client.pid, first);
      assert.equal(lives(first), false);
      await result;
      await client.value(2, 110);
    }),
  );

  it(
    'restarts a program that was built again without its patches, which it has by itself',
    inClient(async (client, session) => {
      await client.begin({ program: session.path('program'), cwd: session.directory });
      await client.ready();
      session.edit('unit.cc', 'n * 3', 'n * 5');
      await client.console('patch unit.cc');
      await build(session, session.read('unit.cc'));
      const again = client.waitForEvent('process');
      await client.restartRequest({});
      await again;
      await client.prints('The program was built again');
      await client.ready();
      await client.value(2, 110);
      assert.equal(await client.console('where'), 'Nothing is patched.');
    }),
  );

  it(
    'ends the program on terminate, and tells its exit status',
    inClient(async (client, session) => {
      await client.begin({ program: session.path('program') });
      await client.prints('ready');
      const ended = Promise.all([client.waitForEvent('exited'), client.waitForEvent('terminated')]);
      await client.terminateRequest();
      const [exited] = await ended;
      assert.equal((exited as DebugProtocol.ExitedEvent).body.exitCode, 143);
      assert.equal(lives(client.pid), false);
    }),
  );

  it(
    'lets a program that it launched live on when it is disconnected from',
    inClient(async (client, session) => {
      await client.begin({ program: session.path('program'), cwd: session.directory });
      await client.ready();
      const { pid } = client;
      try {
        await client.disconnectRequest({ terminateDebuggee: false });
        assert.equal(lives(pid), true);
        session.edit('unit.cc', 'n * 3', 'n * 5');
        await session.patch(['unit.cc', '--pid', String(pid)]);
      } finally {
        process.kill(pid, 'SIGKILL');
      }
    }),
  );

  it(
    'attaches to a running program, sees the patches of others, and leaves it running',
    inClient(async (client, session) => {
      const program = await session.start();
      await session.status(String(program.pid));
      await client.begin({ processId: String(program.pid) }, 'attach');
      const module = client.waitForEvent('module');
      session.edit('unit.cc', 'n * 3', 'n * 5');
      await session.patch('unit.cc');
      await module;
      const { sources } = (await client.customRequest('loadedSources')).body as {
        sources: { path: string }[];
      };
      assert.deepEqual(
        sources.map(({ path }) => path),
        [session.path('unit.cc')],
      );
      await client.disconnectRequest({});
      assert.equal(await program.ask('2'), '110');
    }),
  );

  it(
    'says why it cannot attach to a program without the runtime',
    inClient(async (client, session) => {
      const program = await session.startPlain();
      await client.initializeRequest();
      await assert.rejects(
        client.attachRequest({ processId: program.pid } as object),
        /no runtime.*hot-patch run/,
      );
    }),
  );

  for (const kind of ['integrated', 'external'])
    it(
      `runs the program in an ${kind} terminal that the client opens, where a pause is no business of its shell`,
      inClient(async (client, session) => {
        const opened = client.terminal();
        const begun = client.begin({
          program: session.path('program'),
          cwd: session.directory,
          console: `${kind}Terminal`,
          env: { COLOUR: 'blue' },
        });
        const terminal = await opened;
        await begun;
        assert.equal(client.terminalKind, kind);
        await terminal.line('ready');
        assert.equal(await terminal.ask('pid'), String(client.pid));
        assert.match(readFileSync(`/proc/${client.pid}/environ`, 'latin1'), /(^|\0)COLOUR=blue\0/);
        await client.ready();
        const stopped = client.waitForEvent('stopped');
        await client.pauseRequest({ threadId: client.pid });
        await stopped;
        await client.continueRequest({ threadId: client.pid });
        assert.equal(await terminal.ask('2'), '106');
        const exited = client.waitForEvent('exited');
        terminal.endInput();
        assert.equal(((await exited) as DebugProtocol.ExitedEvent).body.exitCode, 0);
      }),
    );
});
