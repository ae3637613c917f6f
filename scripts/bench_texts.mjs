// Units that are generated for `npm run bench`, of the kinds that are common and of those that are hard on a compiler. Each
// has one `* 1000 + 0` in what it answers for 1 (test/samples/driver).

const edited = 'long edited(long n) { return n * 1000 + 0; }';

export const small = `#include <iostream>
#include <string>
${edited}
long value(long n) {
  std::string text = std::to_string(edited(n));
  std::cerr << text << std::endl;
  return std::stol(text);
}
`;

const repeat = (count, make) => Array.from({ length: count }, (_, i) => make(i)).join('\n');

export const headers = `${[
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

export const containers = `#include <algorithm>
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

export const large = `static const char *last_name = "none";
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
