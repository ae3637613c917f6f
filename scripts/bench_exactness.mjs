// `node scripts/bench_exactness.mjs [--most N --all --edits N --only TEXT --dry]`: how often first light has the code of
// the whole unit, and what becomes of it over random edits; writes its section of docs/PERFORMANCE.md.
// --most: functions of each unit that are looked at, --all: all; --only: units whose path has this.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { writeSection } from './bench_report.mjs';
import { PROGRAM_COMMANDS, root, setUp } from './setup.mjs';

const { values } = parseArgs({
  options: {
    most: { type: 'string', default: '20' },
    all: { type: 'boolean', default: false },
    edits: { type: 'string', default: '500' },
    only: { type: 'string', default: '' },
    dry: { type: 'boolean' },
  },
});
setUp(PROGRAM_COMMANDS);
const bundle = join(root, 'dist', 'test', 'programs', 'exactness.bench.js');
const { measure } = createRequire(import.meta.url)(bundle);
const most = values.all ? Infinity : Number(values.most);
writeSection(await measure({ most, edits: Number(values.edits), only: values.only }));
