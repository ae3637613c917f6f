// Units whose text is given, linked with test/samples/driver, which answers each line of its input with value(n).
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { linesOf, must, start, workspace } from './bench_world.mjs';
import { root } from './setup.mjs';

/** What is edited is a constant behind this. */
const MARK = ' * 1000 + ';

/** A unit of a text.
 * @param text of the source, or what makes it, with one `* 1000 + 0` in what the answer for 1 is
 * @param build `more` makes other files by their names; `libraries` */
export function generated(title, text, { rounds, limits, isExtra, ...build }) {
  return {
    title,
    limits,
    rounds,
    isExtra,
    compiler: build.compiler,
    flags: build.flags,
    prepare: (name) => prepare(name, text, build),
  };
}

function prepare(name, text, build) {
  const source = typeof text === 'function' ? text() : text;
  if (source.split(`${MARK}0`).length !== 2) throw new Error(`${name} has no single ${MARK}0`);
  const patched = buildIn(`${name}-patched`, source, build);
  const rebuilt = buildIn(`${name}-rebuilt`, source, build, patched.directory);
  return {
    directory: patched.directory,
    file: patched.unit,
    original: source,
    text: (round) => source.replace(`${MARK}0`, `${MARK}${round}`),
    answer: (round) => String(1000 + round),
    start: (environment) => startDriver(patched.directory, environment),
    rebuilt: {
      write: (changed) => writeFileSync(rebuilt.unit, changed),
      compile: rebuilt.compile,
      link: rebuilt.link,
      start: (environment) => startDriver(rebuilt.directory, environment),
    },
  };
}

/** @param built a directory with all of it already, for a copy that is only built again */
function buildIn(name, source, { language, compiler, flags, more = () => ({}), libraries = [] }, built) {
  const directory = join(workspace, name);
  if (built) cpSync(built, directory, { recursive: true });
  else mkdirSync(directory);
  const main = `main.${language}`;
  const unit = `unit.${language}`;
  const texts = {
    [main]: readFileSync(join(root, 'test/samples/driver', main), 'utf8'),
    ...more(),
    [unit]: source,
  };
  const files = Object.keys(texts).filter((file) => !file.endsWith('.h'));
  for (const [file, text] of Object.entries(texts)) writeFileSync(join(directory, file), text);
  const options = (file) => [...flags, '-c', file, '-o', `${file}.o`];
  const database = files.map((file) => ({ directory, file, arguments: [compiler, ...options(file)] }));
  writeFileSync(join(directory, 'compile_commands.json'), JSON.stringify(database));
  const compile = (file = unit) => must(compiler, options(file), directory);
  const link = () =>
    must(compiler, [...files.map((file) => `${file}.o`), '-o', 'program', ...libraries], directory);
  if (!built) {
    files.forEach((file) => compile(file));
    link();
  }
  return { directory, unit: join(directory, unit), compile: () => compile(), link };
}

async function startDriver(directory, environment) {
  const { child, stop } = start(join(directory, 'program'), [], {
    env: environment,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const lines = linesOf(child.stdout);
  await lines.next();
  const ask = () => {
    const answer = lines.next();
    child.stdin.write('1\n');
    return answer;
  };
  return { pid: child.pid, ask, stop };
}
