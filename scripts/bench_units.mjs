// The units that `npm run bench` saves: some that are generated here, of the kinds that are common and of those that are
// hard on a compiler, and some of real programs (bench_programs.mjs). Each has a function whose code says which round it
// is of, and the program answers with it.
import { generated } from './bench_generated.mjs';
import { dnsServer, redis, sqlite } from './bench_programs.mjs';

const edited = 'long edited(long n) { return n * 1000 + 0; }';

const small = `#include <iostream>
#include <string>
${edited}
long value(long n) {
  std::string text = std::to_string(edited(n));
  std::cerr << text << std::endl;
  return std::stol(text);
}
`;

const repeat = (count, make) => Array.from({ length: count }, (_, i) => make(i)).join('\n');

const headers = `${[
  'algorithm',
  'fstream',
  'functional',
  'iostream',
  'map',
  'memory',
  'regex',
  'sstream',
  'string',
  'vector',
]
  .map((name) => `#include <${name}>`)
  .join('\n')}
${repeat(
  58,
  (i) => `
long handler_${i}(long n) {
  std::map<std::string, std::vector<long>> values;
  values["item ${i}"].push_back(n);
  std::ostringstream text;
  text << n << ${i};
  long result = std::stol(text.str());
  for (const auto &[name, numbers] : values) result += numbers.size() + name.size();
  return result;
}`,
)}

${edited}
long value(long n) { return n < 0 ? handler_7(n) : edited(n); }
`;

const containers = `#include <algorithm>
#include <map>
#include <string>
#include <vector>
struct Item { std::string name; std::vector<long> values; double weight; };
static std::map<std::string, Item> items;
${repeat(
  199,
  (i) => `
long handler_${i}(long n) {
  static long calls = 0;
  calls++;
  Item &item = items["item ${i}"];
  item.values.push_back(n + ${i});
  item.weight += n * ${i}.25;
  if (n % ${i + 2} == 0) item.name += "every ${i + 2}";
  std::sort(item.values.begin(), item.values.end());
  switch (n & 3) {
    case 0: return item.values.front();
    case 1: return item.values.back() + calls;
    default: return static_cast<long>(item.weight);
  }
}`,
)}
${edited}
long value(long n) { return n < 0 ? handler_7(n) : edited(n); }
`;

const large = `static const char *last_name = "none";
static long total = 0;
${edited}
${repeat(
  18_180,
  (i) => `long function_${i}(long n) {
  long result = n * ${i + 1};
  if ((n & ${(i % 7) + 1}) != 0) {
    result ^= ${i};
  }
  if (result > ${i * 3}) {
    last_name = "function ${i}";
  }
  total += result;
  return result;
}`,
)}
long value(long n) { return n < 0 ? function_19(n) + total + *last_name : edited(n); }
`;

const c = { language: 'c', compiler: 'gcc' };
const cxx = { language: 'cc', compiler: 'g++' };
const clang = { language: 'cc', compiler: 'clang++' };
const flags = (level, ...more) => ({ flags: [level, '-g', ...more] });
const standard = '-std=c++17';
/** Rounds of those of which one takes a minute or more. */
const few = { rounds: 3 };

/**
 * By name, in the order of the report: `title` and `flags` are for it; `limits` are what live and confirmed are to be at
 * most, relative to the bare compile; `rounds` is there where they are fewer than elsewhere; `isThere` where a unit may
 * be missing; `prepare` makes the program (the Place of bench_saves.mjs).
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
  'large-O2': generated('generated C', large, { ...c, ...flags('-O2'), ...few, limits: [0.05, 1.1] }),
};
