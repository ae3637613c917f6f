// The tests of the runtime with its code under sanitizers (`npm run test:sanitized`): which build they use, what has to
// be in a program for it, and where the sanitizers write what they find.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { dist } from './paths';

/** The libraries of each, in the order in which a program must load them. */
const LIBRARIES = { address: ['asan', 'ubsan'], thread: ['tsan'] } as const;
type Sanitizer = keyof typeof LIBRARIES;

/** HOT_PATCH_SANITIZER: `address` (with undefined behaviour) or `thread`; without it the runtime is as it is shipped. */
export const sanitizer = process.env['HOT_PATCH_SANITIZER'] as Sanitizer | undefined;

/** Where the runtime is that the tests use. */
export const nativeDirectory = join(dist, sanitizer === undefined ? 'native' : `native-${sanitizer}`);

const names: readonly string[] = sanitizer === undefined ? [] : LIBRARIES[sanitizer];

/** What stands before the runtime in LD_PRELOAD. */
export const preloadedBefore: readonly string[] = names.map((name) =>
  realpathSync(execFileSync('gcc', [`-print-file-name=lib${name}.so`], { encoding: 'utf8' }).trim()),
);

/** Arguments of the link of a program that has the runtime in it; they stand before everything else. */
export const linkedBefore: readonly string[] =
  names.length === 0
    ? []
    : ['-Wl,--push-state,--no-as-needed', ...names.map((name) => `-l${name}`), '-Wl,--pop-state'];

/**
 * The sanitizers handle no signal themselves, as a program's dispositions are what the tests look at, and write what they
 * find to files of that directory.
 */
export function sanitizerEnvironment(directory: string): NodeJS.ProcessEnv {
  if (sanitizer === undefined) return {};
  const signals = ['segv', 'sigbus', 'abort', 'sigill', 'sigfpe'].map((signal) => `handle_${signal}=0`);
  const options = [`log_path=${join(directory, 'finding')}`, ...signals, 'use_sigaltstack=0'];
  return {
    ASAN_OPTIONS: [...options, 'detect_leaks=0'].join(':'),
    UBSAN_OPTIONS: [...options, 'print_stacktrace=1'].join(':'),
    TSAN_OPTIONS: [...options, 'halt_on_error=1', 'die_after_fork=0'].join(':'),
  };
}

/** A test cannot be done with the runtime under sanitizers; the message says why. It counts as skipped. */
export class NotUnderSanitizers extends Error {}

/** Says at the begin of a test that it cannot be done with them, or with that one, and why. */
export function notUnderSanitizers(why: string, which = sanitizer): void {
  if (sanitizer !== undefined && sanitizer === which) throw new NotUnderSanitizers(why);
}

/** Said of any program that makes contexts. */
const NO_FINDING = /^==\d+==WARNING: ASan doesn't fully support makecontext.*$/gm;

/** Throws what the sanitizers found. */
export function failOnFindings(directory: string): void {
  if (sanitizer === undefined) return;
  const found = readdirSync(directory)
    .filter((name) => name.startsWith('finding.'))
    .map((name) => readFileSync(join(directory, name), 'utf8').replaceAll(NO_FINDING, ''))
    .find((text) => text.trim() !== '');
  if (found !== undefined) throw new Error(found);
}
