// One function at -O0 in a server that is optimised and busy: redis, built by gcc and by clang at -O2, and a static function
// on the way of SET that the compiler put into its caller. gdb and lldb are attached before, then and afterwards; two
// clients send commands all the time, and what these took is printed.
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { Gdb, Lldb } from '../support/debuggers';
import { mappings, readMemory } from '../support/memory';
import type { Program } from '../support/program';
import { Session } from '../support/session';
import { LineClient } from './real_program';
import { buildRedis, progress, type Redis, reply, startRedis } from './redis_server';

interface Case {
  compiler: 'gcc' | 'clang';
  file: string;
  name: string;
  /** All arguments and locals. */
  variables: readonly string[];
  /** Text that the file has once, in the function; its first line is where the debuggers stop. */
  stop: string;
  /** A command that comes there. */
  command: (key: string, n: number) => string;
  /** Expressions that have these values there then. */
  values: (key: string, n: number) => readonly (readonly [expression: string, value: RegExp])[];
  /** An edit: what is put before the stop, and the local that it adds. */
  edit: { text: string; local: string };
}

const CASES: readonly Case[] = [
  {
    compiler: 'gcc',
    file: 'src/dict.c',
    name: '_dictKeyIndex',
    variables: ['d', 'key', 'hash', 'existing', 'idx', 'table', 'he'],
    stop: '        if (!dictIsRehashing(d)) break;\n    }\n    return idx;',
    command: (key) => `SET ${key} 1`,
    values: (key) => [
      ['(const char *) key', new RegExp(`"${key}"`)],
      ['idx == (hash & ((1UL << d->ht_size_exp[table]) - 1))', / = (1|true)$/m],
      ['he == 0 && existing == 0 && table <= 1', / = (1|true)$/m],
    ],
    edit: {
      text: '        unsigned long places = DICTHT_SIZE(d->ht_size_exp[table]);\n        if (idx >= places) return -1;\n',
      local: 'places',
    },
  },
  {
    compiler: 'clang',
    file: 'src/t_string.c',
    name: 'getExpireMillisecondsOrReply',
    variables: ['c', 'expire', 'flags', 'unit', 'milliseconds', 'ret'],
    stop: '    if (unit == UNIT_SECONDS) *milliseconds *= 1000;\n\n    if ((flags & OBJ_PX) || (flags & OBJ_EX)) {\n        *milliseconds += mstime();',
    command: (key, n) => `SET ${key} 1 EX ${5000 + n}`,
    values: (key, n) => [
      ['(const char *) c->argv[1]->ptr', new RegExp(`"${key}"`)],
      ['c->argv[4] == expire && ret == 0 && unit == 0 && flags == 4', / = (1|true)$/m],
      ['*milliseconds', new RegExp(` = ${5000 + n}$`, 'm')],
    ],
    edit: {
      text: '    long long limit = LLONG_MAX / 2000;\n    if (*milliseconds > limit) return C_ERR;\n',
      local: 'limit',
    },
  },
];

/** Clients that send commands one after another, as fast as they are answered: a new key, its value, its end. */
class Load {
  /** Milliseconds that commands took. */
  private took: number[] = [];
  private isPaused = false;
  private isOver = false;
  private readonly clients: LineClient[];
  private readonly loops: Promise<void>[];

  private constructor(clients: LineClient[]) {
    this.clients = clients;
    this.loops = clients.map((client, index) => this.run(client, `load:${index}`));
  }

  static async start(port: number, count: number): Promise<Load> {
    return new Load(await Promise.all(Array.from({ length: count }, () => LineClient.connect(port))));
  }

  private async run(client: LineClient, key: string): Promise<void> {
    for (let n = 0; !this.isOver; n++) {
      while (this.isPaused && !this.isOver) await new Promise((resolve) => setTimeout(resolve, 5));
      for (const [request, expected] of [
        [`SET ${key}:${n} ${n} EX 1000`, 'OK'],
        [`GET ${key}:${n}`, String(n)],
        [`DEL ${key}:${n}`, '1'],
      ] as const) {
        const begin = performance.now();
        const answer = await reply(client, request);
        this.took.push(performance.now() - begin);
        assert.equal(answer, expected, request);
      }
    }
  }

  /** What commands took while something was done. No command may fail. */
  async during<T>(title: string, what: () => Promise<T>): Promise<T> {
    this.took = [];
    this.isPaused = false;
    const failed = Promise.all(this.loops).then(() => assert.fail('the load has ended'));
    const begin = performance.now();
    const result = await Promise.race([what(), failed]);
    const seconds = (performance.now() - begin) / 1000;
    this.isPaused = true;
    const sorted = this.took.sort((a, b) => a - b);
    assert.ok(sorted.length > 0, 'no command was answered');
    const at = (share: number) => sorted[Math.floor(sorted.length * share)]!.toFixed(3);
    progress(
      `${title}, ${seconds.toFixed(1)} s: ${sorted.length} commands, ms: median ${at(0.5)}, 99 % ${at(0.99)}, 99.9 % ${at(0.999)}`,
    );
    return result;
  }

  async stop(): Promise<void> {
    this.isOver = true;
    await Promise.all(this.loops);
    for (const client of this.clients) client.close();
  }
}

const pause = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds));

/** What a debugger shows at the stop. */
interface Shown {
  /** That the debugger says to stand in. */
  function: string;
  variables: Map<string, string>;
  /** What it says of the expressions. */
  values: string[];
}

const variablesIn = (text: string) =>
  new Map([...text.matchAll(/^(?:\(.*?\) )?(\w+) = (.*)$/gm)].map(([, name, value]) => [name!, value!]));
const isShown = (value: string | undefined) =>
  value !== undefined && !/optimized out|not available|error:/.test(value);

interface Stop {
  server: string;
  pid: number;
  file: string;
  line: number;
  give: () => void;
  expressions: readonly string[];
}

/** Each attaches, breaks, has the command given and looks; undefined where it cannot break there. */
const debuggers = {
  gdb: async ({ pid, file, line, give, expressions }: Stop): Promise<Shown | undefined> => {
    const gdb = await Gdb.attach(pid);
    try {
      await gdb.run(`break ${file}:${line}`);
      await gdb.resume();
      give();
      assert.equal((await gdb.stop()).reason, 'breakpoint-hit');
      const at = /^#0 +(?:0x\w+ in )?(\w+)/.exec(await gdb.run('frame'))![1]!;
      const variables = variablesIn(`${await gdb.run('info args')}${await gdb.run('info locals')}`);
      const values: string[] = [];
      for (const expression of expressions) values.push(await gdb.run(`print ${expression}`));
      await gdb.run('delete');
      return { function: at, variables, values };
    } finally {
      await gdb.end();
    }
  },
  lldb: async ({ server, pid, file, line, give, expressions }: Stop): Promise<Shown | undefined> => {
    const lldb = await Lldb.attach(server, pid);
    try {
      const set = await lldb.run(`breakpoint set --file ${file} --line ${line}`);
      if (/no locations/.test(set)) return undefined;
      await lldb.resume();
      give();
      assert.match(await lldb.stop(), /stop reason = breakpoint/);
      const frame = await lldb.run('thread backtrace --count 1');
      const at = /frame #0: 0x\w+ .+?`(\w+)/.exec(frame)![1]!;
      const variables = variablesIn(await lldb.run('frame variable'));
      const values: string[] = [];
      for (const expression of expressions) values.push(await lldb.run(`expression -- ${expression}`));
      await lldb.run('breakpoint delete --force');
      return { function: at, variables, values };
    } finally {
      await lldb.end();
    }
  },
};
type Name = keyof typeof debuggers;

for (const {
  compiler,
  file: source,
  name: wanted,
  variables: all,
  stop,
  command,
  values: expected,
  edit,
} of CASES)
  describe(`a function of redis at -O0, built by ${compiler} at -O2`, () => {
    let session: Session;
    let built: Redis;
    let server: Program;
    let client: LineClient;
    let load: Load;
    let file: string;
    let keys = 0;
    let original: ReturnType<typeof code>;

    before(async () => {
      built = buildRedis(compiler);
      file = built.tree.toEdit(source);
      session = new Session();
      const started = await startRedis(session, built);
      server = started.program;
      client = await LineClient.connect(started.port);
      original = code();
      load = await Load.start(started.port, 2);
    });

    after(async () => {
      await load?.stop();
      client?.close();
      built?.tree.restore();
      await session?.dispose();
    });

    const ours = (command: string, ...more: string[]) =>
      session.hotPatch(command, ...more, '-p', built.directory, '--pid', String(server.pid));

    /** The program's code in the process's memory. */
    function code(): { start: bigint; bytes: string } {
      const own = mappings(server.pid).filter(
        ({ path, protection }) => path === built.server && protection.includes('x'),
      );
      const start = own[0]!.start;
      return { start, bytes: readMemory(server.pid, start, Number(own.at(-1)!.end - start)) };
    }

    /** What the debugger shows where the next command comes to the stop. */
    async function shownBy(name: Name, expressions: (key: string) => readonly string[] = () => []) {
      const [before] = readFileSync(file, 'utf8').split(stop);
      const key = `key-of-${name}-${keys}`;
      let answer: Promise<string> | undefined;
      const shown = await debuggers[name]({
        server: built.server,
        pid: server.pid,
        file: basename(file),
        line: before!.split('\n').length,
        give: () => {
          answer = reply(client, command(key, keys++));
        },
        expressions: expressions(key),
      });
      if (answer) assert.equal(await answer, 'OK');
      return shown;
    }

    async function assertEverythingIsShown(name: Name, ...more: string[]): Promise<void> {
      const n = keys;
      const values = (key: string) => expected(key, n);
      const shown = (await shownBy(name, (key) => values(key).map(([expression]) => expression)))!;
      assert.equal(shown.function, wanted);
      assert.deepEqual([...shown.variables.keys()].sort(), [...all, ...more].sort());
      for (const [variable, value] of shown.variables)
        assert.ok(isShown(value), `${name}: ${variable} = ${value}`);
      for (const [index, [expression, value]] of values(`key-of-${name}-${n}`).entries())
        assert.match(shown.values[index]!, value, expression);
    }

    async function assertIsOptimised(name: Name): Promise<void> {
      const shown = await shownBy(name);
      if (!shown) return progress(`${name} cannot break there in the optimised code`);
      const missing = all.filter((variable) => !isShown(shown.variables.get(variable)));
      progress(`${name} stands in ${shown.function}, and has no value of ${missing.join(', ')}`);
      assert.notDeepEqual(missing, []);
    }

    async function deoptimised(): Promise<string[]> {
      const [status] = await session.status(String(server.pid));
      return (status!.deoptimised ?? []).map(({ name }) => name);
    }

    it('hides variables from gdb and lldb while it is a part of its caller', async () => {
      await load.during('before', () => pause(5000));
      for (const name of ['gdb', 'lldb'] as const) await assertIsOptimised(name);
    });

    it('is taken out of the optimisation while clients are served', async () => {
      const { status, stderr, stdout } = await load.during('while it becomes -O0', () =>
        ours('deoptimize', wanted, file),
      );
      assert.equal(status, 0, stderr);
      progress(/patched: \d+ functions?/.exec(stdout)?.[0] ?? stdout);
      assert.deepEqual(await deoptimised(), [wanted]);
      await load.during('at -O0', () => pause(5000));
    });

    for (const name of ['gdb', 'lldb'] as const)
      it(`shows every argument and local in ${name}`, () => assertEverythingIsShown(name));

    it('stays so in a later save, also its new local, and when that is undone', async () => {
      built.tree.edit(source, stop, `${edit.text}${stop}`);
      await load.during('a save meanwhile', () => session.patch([file, '-p', built.directory]));
      assert.deepEqual(await deoptimised(), [wanted]);
      for (const name of ['gdb', 'lldb'] as const) await assertEverythingIsShown(name, edit.local);
      built.tree.undo(source);
      const undone = await ours('patch', file);
      assert.equal(undone.status, 0, undone.stderr);
      assert.deepEqual(await deoptimised(), [wanted]);
      await assertEverythingIsShown('gdb');
    });

    it('is optimised again, by the code that the program was built with', async () => {
      const { status, stderr, stdout } = await load.during('while it is optimised again', () =>
        ours('optimize', wanted, file),
      );
      assert.equal(status, 0, stderr);
      assert.match(stdout, /^reverted: /);
      assert.deepEqual(await deoptimised(), []);
      const [after] = await session.status(String(server.pid));
      for (const { version, trampoline, verifiedFromMemory } of after!.functions)
        assert.deepEqual([version, trampoline.kind, verifiedFromMemory], [0, 'none', true]);
      const now = code();
      assert.equal(now.start, original.start);
      assert.ok(now.bytes === original.bytes, 'the code differs from what it was');
      for (const name of ['gdb', 'lldb'] as const) await assertIsOptimised(name);
      await load.during('after', () => pause(5000));
      await load.stop();
      assert.equal(await reply(client, 'DBSIZE'), String(keys));
    });
  });
