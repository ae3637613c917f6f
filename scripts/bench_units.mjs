// The units that `npm run bench` saves: some that are generated (bench_texts.mjs), some of real programs. Each has a
// function whose code says which round it is of, and the program answers with it.
import { generated } from './bench_generated.mjs';
import { dnsServer, redis, sqlite } from './bench_programs.mjs';
import { containers, headers, large, small } from './bench_texts.mjs';

const c = { language: 'c', compiler: 'gcc' };
const cxx = { language: 'cc', compiler: 'g++' };
const clang = { language: 'cc', compiler: 'clang++' };
const flags = (level, ...more) => ({ flags: [level, '-g', ...more] });
const standard = '-std=c++17';
/** Rounds of those of which one takes a minute or more. */
const few = { rounds: 3 };
/** Of those that would make the whole run too long. */
const extra = { isExtra: true };

/**
 * By name, in the order of the report: `title` and `flags` are for it; `limits` are what live and confirmed are to be at
 * most, relative to the bare compile; `rounds` is there where they are fewer than elsewhere; `isThere` where a unit may
 * be missing; `isExtra` where it is only measured when it is named; `prepare` makes the program (the Place of
 * bench_saves.mjs).
 */
export const units = {
  'headers-O0': generated('ten STL headers', headers, {
    ...cxx,
    ...flags('-O0', standard),
    limits: [0.15, 1.15],
  }),
  'headers-O2': generated('ten STL headers', headers, {
    ...cxx,
    ...flags('-O2', standard),
    limits: [0.1, 1.15],
  }),
  'headers-clang': generated('ten STL headers, clang', headers, {
    ...clang,
    ...flags('-O2', standard),
    ...extra,
    limits: [0.1, 1.15],
  }),
  small: generated('with &lt;iostream>', small, { ...cxx, ...flags('-O2', standard), limits: [0.35, 0.6] }),
  'containers-O0': generated('containers', containers, {
    ...cxx,
    ...flags('-O0', standard),
    limits: [0.15, 1.15],
  }),
  'containers-O2': generated('containers', containers, {
    ...cxx,
    ...flags('-O2', standard),
    limits: [0.15, 1.15],
  }),
  'redis-O2': redis('redis, server.c', [0.2, 1.1]),
  'dns-O2': dnsServer('PowerDNS, dynhandler.cc', [0.2, 1.1]),
  'sqlite-O0': sqlite('sqlite3.c', { ...c, ...flags('-O0'), ...few, limits: [0.05, 1.1] }),
  'sqlite-O2': sqlite('sqlite3.c', { ...c, ...flags('-O2'), ...few, limits: [0.05, 1.1] }),
  'large-O0': generated('generated C', large, { ...c, ...flags('-O0'), ...few, limits: [0.05, 1.1] }),
  'large-O2': generated('generated C', large, {
    ...c,
    ...flags('-O2'),
    ...few,
    ...extra,
    limits: [0.05, 1.1],
  }),
};
