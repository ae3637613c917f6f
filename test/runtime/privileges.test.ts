// Who decides what runs in a process: programs with more rights than their user, patch files and directories that
// somebody else made. Other users are numbers that nobody has; taking their place needs root.
import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { findRuntimes } from '../../extension/engine/process/control_directory';
import type { Program } from '../support/program';
import { until } from '../support/until';
import {
  includeDirectory,
  inRuntimeSession,
  preload,
  type ProgramOptions,
  RuntimeProcess,
  type RuntimeSession,
} from '../support/runtime_process';

const USER = 61_111;
const STRANGER = 61_112;
const isRoot = process.getuid!() === 0;
const asRoot = isRoot ? it : (name: string) => it.skip(`${name} (needs root)`);

const SOURCE = `
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <signal.h>
#include "hot_fix.h"
__attribute__((noipa)) int value(int n) { return n; }
int main(void) {
  char line[64];
  setvbuf(stdout, 0, _IOLBF, 0);
  errno = 0;
  int result = init_hot_fix_signal();
  printf("%d %s\\n", result, result == 0 ? "-" : strerror(errno));
  while (fgets(line, sizeof line, stdin)) printf("%d\\n", value(1));
  return 0;
}`;
const PATCH = `
#include <unistd.h>
#include "hot_fix.h"
int value(int);
static int new_value(int n) { return n + 10; }
FIXTABLE fix_table = {(void *)new_value, (void *)value};
__attribute__((constructor)) static void loaded(void) { write(1, "loaded\\n", 7); }`;

function buildPatch(session: RuntimeSession, path: string): string {
  writeFileSync(session.path('patch.c'), PATCH);
  const flags = ['-O1', '-shared', '-fPIC', `-I${includeDirectory}`];
  execFileSync('gcc', [...flags, session.path('patch.c'), '-o', path]);
  return path;
}

const compile = (session: RuntimeSession) =>
  session.compile('program', SOURCE, { runtime: 'embedded', flags: ['-rdynamic'] });

/** A directory of USER in the session, which all may enter; the sources are in one that only root may. */
function homeOf(session: RuntimeSession): string {
  chmodSync(session.directory, 0o755);
  const home = session.path('home');
  mkdirSync(home);
  chownSync(home, USER, USER);
  return home;
}

/** Starts a program as another user, in that user's directory. */
async function startAs(session: RuntimeSession, user: number, directory: string, executable: string) {
  const rights = [`--reuid=${user}`, `--regid=${user}`, '--clear-groups'];
  const run = session.path(`run-${user}`);
  if (!existsSync(run)) mkdirSync(run, { mode: 0o700 });
  chownSync(run, user, user);
  const words = ['env', '-C', directory, `XDG_RUNTIME_DIR=${run}`, executable];
  return session.startCommand('setpriv', [...rights, ...words]);
}

class OtherUsersProcess extends RuntimeProcess {
  override get controlDirectory(): string {
    return this.session.path(`run-${USER}`, `hot_fix-${USER}`, String(this.pid));
  }
}

const outcome = async (session: RuntimeSession, program: Program, executable: string) => {
  assert.equal(await program.line(), '0 -');
  const process = new OtherUsersProcess(session, program, executable, program.pid);
  process.signal('SIGUSR1');
  const { error } = await process.answer('signal');
  return error === null ? 'loaded' : `${error.code}: ${error.message}`;
};

describe('a program with more rights than its user', () => {
  const kinds: [string, (file: string) => void][] = [
    ['set-user-ID', (file) => chmodSync(file, 0o4755)],
    ['set-group-ID', (file) => chmodSync(file, 0o2755)],
    ['with file capabilities', (file) => execFileSync('setcap', ['cap_net_bind_service+ep', file])],
  ];
  for (const [kind, give] of kinds) {
    asRoot(
      `does not start the runtime when it is ${kind}, and loads no patch of its user`,
      inRuntimeSession(async (session) => {
        const executable = compile(session);
        const home = homeOf(session);
        give(executable);
        chownSync(buildPatch(session, join(home, 'patch.so')), USER, USER);
        const program = await startAs(session, USER, home, executable);
        assert.equal(await program.line(), '-1 Operation not permitted');
        assert.equal(await program.ask(''), '1');
        assert.deepEqual(readdirSync(session.path(`run-${USER}`)), []);
        process.kill(program.pid, 'SIGUSR1');
        assert.equal(await program.exit(), 'SIGUSR1', 'the signal means what it always did');
        assert.ok(!program.lines.includes('loaded'));
      }),
    );
  }
});

describe('a hand-written patch', () => {
  asRoot(
    'is loaded from a directory of the user, and from nowhere that others can change',
    inRuntimeSession(async (session) => {
      const executable = compile(session);
      const home = homeOf(session);
      const patch = buildPatch(session, session.path('built.so'));
      const attempts: [string, (file: string, directory: string) => void, RegExp][] = [
        ['own', (file) => chownSync(file, USER, USER), /^loaded$/],
        ['of-root', (file) => chmodSync(file, 0o644), /^loaded$/],
        ['of-another', (file) => chownSync(file, STRANGER, STRANGER), /it belongs to user 61112/],
        ['writable', (file) => (chownSync(file, USER, USER), chmodSync(file, 0o666)), /write to it/],
        ['of-a-group', (file) => (chownSync(file, USER, STRANGER), chmodSync(file, 0o664)), /write to it/],
        ['sticky', (file, in_) => (chownSync(file, USER, USER), chmodSync(in_, 0o1777)), /its directory/],
        ['below', (file, in_) => (chownSync(file, USER, USER), chmodSync(in_, 0o777)), /others may write/],
        [
          'linked',
          (file) => {
            rmSync(file);
            symlinkSync(patch, file);
            lchownSync(file, STRANGER, STRANGER);
          },
          /a symbolic link of user 61112/,
        ],
      ];
      for (const [name, prepare, expected] of attempts) {
        const directory = join(home, name);
        mkdirSync(directory);
        chownSync(directory, USER, USER);
        copyFileSync(patch, join(directory, 'patch.so'));
        prepare(join(directory, 'patch.so'), directory);
        const program = await startAs(session, USER, directory, executable);
        const said = await outcome(session, program, executable);
        assert.match(said, expected, name);
        assert.equal(said === 'loaded' || said.startsWith('untrusted-patch-file: '), true, said);
        assert.equal(program.lines.includes('loaded'), said === 'loaded', name);
        await program.stop();
      }
    }),
  );

  asRoot(
    'is not loaded by a process that took on other ids after its start',
    inRuntimeSession(async (session) => {
      const source = SOURCE.replace('#include <errno.h>', '#include <errno.h>\n#include <unistd.h>').replace(
        'while (fgets',
        'if (setregid(7, -1) != 0) return 1; puts("other");\n  while (fgets',
      );
      const executable = session.compile('program', source, { runtime: 'embedded', flags: ['-rdynamic'] });
      buildPatch(session, session.path('patch.so'));
      const process = await session.start(executable, { runtime: 'embedded' });
      await process.program.line('other');
      process.signal('SIGUSR1');
      const { error } = await process.answer('signal');
      assert.equal(error?.code, 'untrusted-patch-file');
      assert.ok(!process.program.lines.includes('loaded'));
    }),
  );

  it(
    'is not looked for by a preloaded runtime, unless the environment or the program says so',
    inRuntimeSession(async (session) => {
      const executable = compile(session);
      const silent = session.compile('silent', SOURCE.replace('init_hot_fix_signal()', '0'), {
        flags: ['-rdynamic'],
      });
      const patch = buildPatch(session, session.path('patch.so'));
      const ignoring = await session.start(silent);
      ignoring.signal('SIGUSR1');
      await ignoring.done('status');
      assert.deepEqual((await ignoring.done('status')).patches, []);
      const told = await session.start(silent, { env: { HOT_FIX_PATCH: patch } });
      told.signal('SIGUSR1');
      assert.equal((await told.answer('signal')).ok, true);
      const asking = await session.start(executable, { runtime: 'both' });
      asking.signal('SIGUSR1');
      assert.equal((await asking.answer('signal')).ok, true);
    }),
  );
});

describe('a program that gives up its rights', () => {
  const ways: [string, string[]][] = [
    ['all of them', ['--clear-groups']],
    [
      'all but a capability',
      ['--clear-groups', '--inh-caps=+net_bind_service', '--ambient-caps=+net_bind_service'],
    ],
    [
      'those that it could get back',
      ['--clear-groups', '--inh-caps=-all', '--bounding-set=-all', '--no-new-privs'],
    ],
  ];
  for (const [name, words] of ways) {
    asRoot(
      `may give up ${name} with the runtime preloaded, and what it starts is patched`,
      inRuntimeSession(async (session) => {
        const silent = session.compile('silent', SOURCE.replace('init_hot_fix_signal()', '0'));
        homeOf(session);
        mkdirSync(session.path(`run-${USER}`), { mode: 0o700 });
        chownSync(session.path(`run-${USER}`), USER, USER);
        const rights = [`--reuid=${USER}`, `--regid=${USER}`, ...words];
        const env = { ...process.env, LD_PRELOAD: preload };
        for (let round = 0; round < 20; round++) execFileSync('setpriv', [...rights, 'true'], { env });
        const program = await session.startCommand('env', [
          `LD_PRELOAD=${preload}`,
          `XDG_RUNTIME_DIR=${session.path(`run-${USER}`)}`,
          ...['setpriv', ...rights, silent],
        ]);
        assert.equal(await program.line(), '0 -');
        const other = new OtherUsersProcess(session, program, silent, program.pid);
        await other.announced();
        await other.patch('int new_value(int n) { return n + 5; }', { value: 'new_value' });
        assert.equal(await other.ask(''), '6');
      }),
    );
  }

  const steps = `
    #define _GNU_SOURCE
    #include <grp.h>
    #include <linux/capability.h>
    #include <stdio.h>
    #include <stdlib.h>
    #include <sys/prctl.h>
    #include <sys/syscall.h>
    #include <sys/wait.h>
    #include <unistd.h>
    #include "hot_fix.h"
    __attribute__((noipa)) int value(int n) { return n; }
    static int give_up(void) {
      struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
      struct __user_cap_data_struct all[2], few[2] = {{1 << CAP_SETGID, 1 << CAP_SETGID, 0}}, none[2] = {{0}};
      if (syscall(SYS_capget, &h, all) || prctl(PR_SET_KEEPCAPS, 1)) return 1;
      if (setresuid(${USER}, ${USER}, ${USER})) return 2;
      all[0].effective = all[0].permitted;
      if (syscall(SYS_capset, &h, all) || setgroups(0, 0) || setresgid(${USER}, ${USER}, ${USER})) return 3;
      if (syscall(SYS_capset, &h, few) || setgroups(0, 0)) return 4;
      if (setresuid(0, 0, 0) == 0) return 5;
      if (syscall(SYS_capset, &h, none)) return 6;
      return setgroups(0, 0) == 0 ? 7 : 0;
    }
    int main(void) {
      char line[64];
      int status = 0;
      setvbuf(stdout, 0, _IOLBF, 0);
      puts("ready");
    #ifdef EMBEDDED
      init_hot_fix_signal();
    #endif
      if (fgets(line, sizeof line, stdin) == NULL) return 1;
      pid_t child = fork();
      if (child == 0) exit(give_up()); // not _exit, which leaves the directory to be swept
      waitpid(child, &status, 0);
      printf("%d %d\\n", status, give_up());
      while (fgets(line, sizeof line, stdin)) printf("%d\\n", value(1));
      return 0;
    }`;
  const ownRuntime: Record<string, ProgramOptions> = {
    preloaded: { runtime: 'preloaded' },
    'in it': { runtime: 'embedded', flags: ['-DEMBEDDED'] },
    'in it, linked statically': { runtime: 'embedded', flags: ['-DEMBEDDED', '-static'] },
    'brought into it when it ran': { runtime: 'attached' },
  };
  for (const [how, options] of Object.entries(ownRuntime))
    asRoot(
      `may do so step by step, in its own process and in a child, with the runtime ${how}`,
      inRuntimeSession(async (session) => {
        const executable = session.compile('steps', steps, options);
        for (let round = 0; round < 10; round++) {
          const process = await session.start(executable, options);
          assert.equal(await process.ask('go'), '0 0');
          assert.equal(await workerKeeps(process.pid), '0000000000000000');
          process.program.endInput();
          assert.equal(await process.program.exit(), 0);
        }
      }),
    );
});

/** The capabilities that the runtime's thread could use, when it has seen that the program has none. */
function workerKeeps(pid: number): Promise<string> {
  const permitted = () => {
    const tasks = readdirSync(`/proc/${pid}/task`).map((tid) =>
      readFileSync(`/proc/${pid}/task/${tid}/status`, 'utf8'),
    );
    return /^CapPrm:\s*(\w+)/m.exec(tasks.find((text) => text.startsWith('Name:\thot_fix'))!)![1]!;
  };
  return until(permitted, (set) => /^0+$/.test(set));
}

describe('HOT_FIX_SIGNAL', () => {
  it(
    'names only signals that a program can spare, also by number',
    inRuntimeSession(async (session) => {
      const executable = compile(session);
      for (const [text, expected] of [
        ['12', 12],
        ['11', undefined],
        ['9', undefined],
        ['5', undefined],
        ['33', undefined],
        ['RTMIN+200', undefined],
      ] as const) {
        const process = await session.start(executable, {
          runtime: 'embedded',
          env: { HOT_FIX_SIGNAL: text },
        });
        const { signal } = process.identity;
        assert.ok(expected === undefined ? signal >= 34 : signal === expected, `${text} gave ${signal}`);
      }
    }),
  );
});

describe('a directory that somebody else put in the place of the user’s', () => {
  const kinds: [string, (path: string) => void, RegExp][] = [
    [
      'of another user',
      (path) => (mkdirSync(path, { mode: 0o700 }), chownSync(path, STRANGER, STRANGER)),
      /belongs to user 61112$/,
    ],
    ['a file', (path) => writeFileSync(path, ''), /is not a directory$/],
    ['a link', (path) => symlinkSync('/tmp', path), /is not a directory$/],
    ['open to all', (path) => (mkdirSync(path), chmodSync(path, 0o777)), /belongs to user 0$/],
  ];
  kinds.forEach(([kind, plant, expected], i) => {
    asRoot(
      `is passed over when it is ${kind}, and that is said`,
      inRuntimeSession(async (session) => {
        const user = USER + 100 + i;
        const planted = `/tmp/hot_fix-${user}`;
        const executable = compile(session);
        chmodSync(session.directory, 0o755);
        rmSync(planted, { recursive: true, force: true });
        plant(planted);
        try {
          const words = [
            `--reuid=${user}`,
            `--regid=${user}`,
            '--clear-groups',
            'env',
            '-u',
            'XDG_RUNTIME_DIR',
          ];
          const program = await session.startCommand('setpriv', [...words, executable]);
          assert.equal(await program.line(), '0 -');
          const found = findRuntimes(
            user,
            ['/tmp'],
            () =>
              (
                JSON.parse(readFileSync(join(ours(user), String(program.pid), 'process.json'), 'utf8')) as {
                  startTime: number;
                }
              ).startTime,
            () => true,
          ).get(program.pid)?.address;
          assert.match(
            found?.controlDirectory ?? '',
            new RegExp(`^/tmp/hot_fix-${user}\\.[0-9a-f]{12}/${program.pid}$`),
          );
          assert.match(found?.passedOver ?? '', expected);
          assert.ok(found?.passedOver?.startsWith(planted));
          program.endInput();
          assert.equal(await program.exit(), 0);
          assert.deepEqual(
            readdirSync('/tmp').filter((name) => name.startsWith(`hot_fix-${user}.`)),
            [],
          );
        } finally {
          rmSync(planted, { recursive: true, force: true });
        }
      }),
    );
  });
});

function ours(user: number): string {
  const name = readdirSync('/tmp').find((entry) => entry.startsWith(`hot_fix-${user}.`));
  return join('/tmp', name ?? 'nothing');
}
