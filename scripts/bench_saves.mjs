// Saves one unit again and again beside a program that runs, as an editor with the engine would: milliseconds to live and
// to confirmed, beside the bare compile of the same text with the unit's own flags, in turn. Every round is checked: the
// process must answer with the new code.
import { writeFileSync } from 'node:fs';
import { saveAhead } from './bench_ahead.mjs';
import { atEnd, cli, env, linesOf, median, runtimeEnvironment, start, timed } from './bench_world.mjs';

/**
 * @typedef {object} Place a program that was built, with the unit that is edited
 * @property {string} directory to watch, with the compile commands
 * @property {string} file that is edited
 * @property {string} original its text, which is put back
 * @property {(round: number) => string} text of a round
 * @property {(round: number) => string} answer of the program that runs that text
 * @property {(environment: object) => Promise<Program>} start
 * @property {() => void} [compile] the file as it is, bare, to somewhere else; where nothing is rebuilt
 * @property {{ write: (text: string) => void, compile: () => void, link: () => void,
 *   start: (environment: object) => Promise<Program> }} [rebuilt] a second copy, which is rebuilt and started again
 * @typedef {{ pid: number, ask: () => Promise<string>, stop: () => Promise<void> }} Program
 */

/** There may be nothing to compile ahead, of which nothing is said. */
const AHEAD_MS = 30_000;

async function expectAnswer(place, program, round) {
  const answer = await program.ask();
  if (answer !== place.answer(round)) throw new Error(`round ${round}: the process answered ${answer}`);
}

/** `hot-patch watch` on a directory, as an editor would have the engine running. */
function startWatch(directory) {
  const { child, stop } = start(process.execPath, [cli, 'watch', '--json', '--verbose', directory], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const messages = linesOf(child.stderr);
  const results = linesOf(child.stdout);
  messages.on((line) => {
    if (/no (first light|part of it|part of)\b/.test(line)) console.error(line);
  });
  return {
    stop,
    watching: messages.next(/^watching/),
    /** First light. */
    live: () => messages.next(/^live in/),
    /** What there is to compile ahead was, and was tried, or cannot be. */
    ahead: () => messages.next(/over its preamble|no preamble of/, AHEAD_MS).catch(() => undefined),
    result: async () => JSON.parse(await results.next()),
  };
}

/** A save, with the milliseconds until it was live and until it was confirmed. */
async function save(watch, file, text) {
  const begin = performance.now();
  const done = watch.result();
  const live = watch.live().then(
    () => performance.now() - begin,
    () => undefined, // there was no first light
  );
  writeFileSync(file, text);
  const result = await done;
  const confirmed = performance.now() - begin;
  if (result.outcome !== 'patched') throw new Error(JSON.stringify(result.refusals));
  return { result, confirmed, live: result.firstLight ? await live : confirmed };
}

/** Compiles the text of a round bare, and where there is a second copy links and starts it: milliseconds. */
async function rebuild(place, restarted, round) {
  if (!place.rebuilt) return { bare: (await timed(place.compile)).milliseconds };
  const { write, compile, link, start: startAgain } = place.rebuilt;
  write(place.text(round));
  const { milliseconds: bare } = await timed(compile);
  const { milliseconds: rest } = await timed(async () => {
    link();
    await restarted.program?.stop();
    restarted.program = await startAgain(env);
  });
  await expectAnswer(place, restarted.program, round);
  return { bare, rebuild: bare + rest };
}

/**
 * @param {string} name of the unit
 * @param {{ prepare: (name: string) => Promise<Place> | Place }} unit
 * @param {number} rounds besides the first save
 * @returns medians: milliseconds, and those of each step of the exact way
 */
export async function measureSaves(name, { prepare }, rounds) {
  const place = await prepare(name);
  const restore = atEnd(() => writeFileSync(place.file, place.original));
  const programs = [];
  try {
    const live = await place.start(runtimeEnvironment());
    programs.push(live);
    const watch = startWatch(place.directory);
    programs.push(watch);
    await watch.watching;
    const restarted = {};
    programs.push({ stop: () => restarted.program?.stop() });
    const samples = [];
    // Round 0 is the first save: the engine has not seen the program before.
    for (let round = 0; round <= rounds; round++) {
      const ahead = round === 0 && /^#include/m.test(place.original) ? watch.ahead() : undefined;
      const saved = await save(watch, place.file, place.text(round + 1));
      await expectAnswer(place, live, round + 1);
      await ahead;
      const rebuilt = await rebuild(place, restarted, round + 1);
      const { result, ...times } = saved;
      samples.push({
        ...times,
        ...rebuilt,
        light: result.firstLight?.outcome ?? 'none',
        steps: result.timings,
      });
      console.error(
        `${name} ${round === 0 ? 'first save' : `${round}/${rounds}`}: ${shown({ ...times, ...rebuilt })}`,
      );
    }
    await watch.stop();
    const typed = await typedAhead(place, live, rounds);
    console.error(
      `${name} compiled ahead: live in ${typed.live.map(Math.round).join(', ')} ms; ${typed.reason ?? 'all'}`,
    );
    return {
      rounds,
      lines: place.original.split('\n').length - 1,
      ...(typed.live.length > 0 ? { typed: median(typed.live) } : {}),
      ...summary(samples),
    };
  } finally {
    for (const { stop } of programs) await stop();
    restore();
  }
}

const shown = (times) =>
  Object.entries(times)
    .map(([what, milliseconds]) => `${what} ${Math.round(milliseconds)} ms`)
    .join(', ');

/** Milliseconds from a save to live of texts that were compiled ahead. */
function typedAhead(place, live, rounds) {
  const first = rounds + 2;
  const texts = Array.from({ length: rounds }, (_, index) => place.text(first + index));
  return saveAhead({ file: place.file, pid: live.pid, env, texts }, (index) =>
    expectAnswer(place, live, first + index),
  );
}

function summary([first, ...later]) {
  const middle = (of) => median(later.map(of));
  const steps = Object.keys(first.steps).filter((step) =>
    [first, ...later].some((sample) => sample.steps[step] >= 0.05),
  );
  return {
    first: first.confirmed,
    bare: middle(({ bare }) => bare),
    live: middle(({ live }) => live),
    confirmed: middle(({ confirmed }) => confirmed),
    ...(first.rebuild === undefined ? {} : { rebuild: middle((sample) => sample.rebuild) }),
    lights: later.filter(({ light }) => light === 'confirmed').length,
    without: later.filter(({ light }) => light === 'none').length,
    steps: Object.fromEntries(steps.map((step) => [step, middle((sample) => sample.steps[step] ?? 0)])),
  };
}
