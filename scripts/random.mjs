// `npm run test:random [-- --count N --seed S --csmith --keep DIRECTORY]`: what test/random/random.command.ts says.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { CSMITH_COMMANDS, root, setUp, TEST_COMMANDS } from './setup.mjs';

setUp(process.argv.includes('--csmith') ? CSMITH_COMMANDS : TEST_COMMANDS);
process.chdir(root);
const { runRandom } = createRequire(import.meta.url)(join(root, 'dist/test/random/random.command.js'));
process.exit((await runRandom(process.argv.slice(2))) > 0 ? 1 : 0);
