// Sources of real programs, and the C library of an older release, from the distribution's own archive, fetched when
// the tests run and kept under .cache/.
// apt runs with lists and configuration of its own there, for each program by itself, because the suites run side by
// side and apt locks its lists; the system's sources are read and never changed.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../support/paths';

export const cache = join(root, '.cache', 'programs');

interface Archive {
  uri: string;
  suites: string[];
  signedBy: string;
}

/** The distribution's archives among the system's sources, in either of apt's two formats. */
function systemArchives(): Archive[] {
  const directory = '/etc/apt/sources.list.d';
  const files = [
    '/etc/apt/sources.list',
    ...(existsSync(directory) ? readdirSync(directory).map((name) => join(directory, name)) : []),
  ].filter((file) => existsSync(file));
  const archives = files.flatMap((file) => {
    const text = readFileSync(file, 'utf8').replace(/^#.*\n/gm, '');
    return file.endsWith('.sources') ? text.split(/\n\s*\n/).flatMap(stanza) : text.split('\n').flatMap(line);
  });
  return archives.filter(({ uri }) => /\/(debian|ubuntu|debian-security)\/?$/.test(uri));
}

function stanza(text: string): Archive[] {
  const field = (name: string) => new RegExp(`^${name}:\\s*(.*)$`, 'mi').exec(text)?.[1]?.trim() ?? '';
  const suites = field('Suites').split(/\s+/);
  const uris = field('URIs').split(/\s+/).filter(Boolean);
  return uris.map((uri) => ({ uri, suites, signedBy: field('Signed-By') }));
}

function line(text: string): Archive[] {
  const match = /^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s/.exec(text);
  if (!match) return [];
  const signedBy = /signed-by=(\S+)/.exec(match[1] ?? '')?.[1] ?? '';
  return [{ uri: match[2]!, suites: [match[3]!], signedBy }];
}

/** Writes what apt reads instead of the system's configuration. */
function aptOptions(place: string, archives: readonly Archive[], type: 'deb' | 'deb-src'): string[] {
  const directory = join(place, 'apt');
  for (const folder of ['lists/partial', 'archives/partial'])
    mkdirSync(join(directory, folder), { recursive: true });
  const sources = archives.map(
    ({ uri, suites, signedBy }) =>
      `Types: ${type}\nURIs: ${uri}\nSuites: ${suites.join(' ')}\nComponents: main\n` +
      (signedBy === '' ? '' : `Signed-By: ${signedBy}\n`),
  );
  writeFileSync(join(directory, 'archive.sources'), sources.join('\n'));
  return [
    `Dir::Etc::sourcelist=/dev/null`,
    `Dir::Etc::sourceparts=${directory}`,
    `Dir::State::lists=${join(directory, 'lists')}`,
    `Dir::Cache=${directory}`,
    'APT::Sandbox::User=',
  ].flatMap((option) => ['-o', option]);
}

/** Directory with the unpacked, patched source of a Debian source package.
 * @param folder of the cache, for one that is built in its own tree more than once */
export function debianSource(name: string, folder = name): string {
  const place = join(cache, folder);
  const directory = join(place, 'source');
  if (existsSync(directory)) return directory;
  rmSync(place, { recursive: true, force: true });
  mkdirSync(place, { recursive: true });
  const run = (command: string, args: string[]) =>
    execFileSync(command, args, { cwd: place, stdio: ['ignore', 'ignore', 'inherit'] });
  const download = (archives: readonly Archive[]) => {
    const options = aptOptions(place, archives, 'deb-src');
    run('apt-get', [...options, '-qq', 'update']);
    run('apt-get', [...options, '-qq', '--download-only', 'source', name]);
  };
  const archives = systemArchives();
  try {
    download(archives);
  } catch {
    // Archives of security updates drop files that mirrors still list. The release has its own version.
    rmSync(join(place, 'apt', 'lists'), { recursive: true });
    download(archives.filter(({ uri }) => !/security/.test(uri)));
  }
  const description = readdirSync(place).find((file) => file.endsWith('.dsc'));
  run('dpkg-source', ['--no-check', '-x', description!, `${directory}.part`]);
  renameSync(`${directory}.part`, directory);
  return directory;
}

/** Directory with the files of binary packages of another release; throws where its archive has none. */
export function debianPackages(suite: string, names: readonly string[]): string {
  const directory = join(cache, suite, 'root');
  if (existsSync(directory)) return directory;
  const place = join(cache, suite);
  rmSync(place, { recursive: true, force: true });
  mkdirSync(place, { recursive: true });
  const archives = systemArchives()
    .filter(({ uri }) => /\/debian\/?$/.test(uri))
    .map((archive) => ({ ...archive, suites: [suite] }));
  const options = aptOptions(place, archives, 'deb');
  const run = (command: string, args: string[]) =>
    execFileSync(command, args, { cwd: place, stdio: ['ignore', 'ignore', 'pipe'] });
  // The system's own packages are of no interest, and newer.
  const download = [...options, '-o', 'Dir::State::status=/dev/null', '-qq', 'download', ...names];
  run('apt-get', [...options, '-qq', '-o', 'APT::Update::Error-Mode=any', 'update']);
  run('apt-get', download);
  for (const file of readdirSync(place).filter((name) => name.endsWith('.deb')))
    run('dpkg-deb', ['-x', file, `${directory}.part`]);
  renameSync(`${directory}.part`, directory);
  return directory;
}
