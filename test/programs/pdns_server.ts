// Debian's PowerDNS, a C++17 server of over 100,000 lines, built by its own configure and make at -O2 -g, and what it is
// started with to answer for a zone on loopback.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cache, debianSource } from './debian_source';
import { SourceTree } from './real_program';

export interface PowerDns {
  server: string;
  tree: SourceTree;
  database: string;
}

const directory = join(cache, 'pdns', 'build');
const database = join(cache, 'pdns', 'compile_commands.json');
const server = join(directory, 'pdns', 'pdns_server');

/** It takes many minutes. */
export const isPowerDnsBuilt = (): boolean => existsSync(server) && existsSync(database);

export function buildPowerDns(progress: (text: string) => void): PowerDns {
  const source = debianSource('pdns');
  const tree = new SourceTree(source);
  if (!isPowerDnsBuilt()) {
    progress('building with its own configure and make (some minutes)');
    mkdirSync(directory, { recursive: true });
    const run = (command: string, args: string[]) =>
      execFileSync(command, args, { cwd: directory, stdio: ['ignore', 'ignore', 'inherit'] });
    run(join(source, 'configure'), [
      '-q',
      // As Debian does; without, two units have the time of their compilation in them.
      '--enable-reproducible',
      '--with-modules=bind',
      '--with-dynmodules=',
      '--with-lua=lua5.3',
      '--disable-lua-records',
      '--without-libsodium',
      '--without-lmdb',
      'CFLAGS=-O2 -g',
      'CXXFLAGS=-O2 -g',
    ]);
    // Its own rule for this file works only where sources and objects share a directory.
    const pages = execFileSync('./incfiles', ['api-swagger.yaml', 'api-swagger.json'], {
      cwd: join(source, 'pdns'),
    });
    writeFileSync(join(directory, 'pdns', 'apidocfiles.h'), pages);
    const make = 'make -s -j2 -C ext && make -s -j2 -C modules && make -s -j2 -C pdns pdns_server';
    run('bear', ['--output', database, '--', 'sh', '-c', make]);
  }
  return { server, tree, database };
}

/** Writes the configuration into a directory. Returns the arguments. */
export function configurePowerDns(place: string, port: number, controlPort: number): string[] {
  const zone = join(place, 'example.org.zone');
  writeFileSync(
    zone,
    '$TTL 1000\n@ IN SOA ns.example.org. admin.example.org. 1 3600 600 86400 60\n@ IN NS ns\nns IN A 127.0.0.1\nwww IN A 192.0.2.1\n',
  );
  const configuration = join(place, 'named.conf');
  writeFileSync(configuration, `zone "example.org" { type master; file "${zone}"; };\n`);
  writeFileSync(join(place, 'pdns.conf'), '');
  return [
    ...[`--config-dir=${place}`, `--socket-dir=${place}`, '--daemon=no', '--guardian=no'],
    ...['--launch=bind', `--bind-config=${configuration}`],
    ...['--local-address=127.0.0.1', `--local-port=${port}`, '--tcp-control-address=127.0.0.1'],
    ...['--tcp-control-secret=secret', `--tcp-control-port=${controlPort}`],
    ...['--cache-ttl=0', '--query-cache-ttl=0'],
  ];
}
