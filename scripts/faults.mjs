// `npm run faults [-- --most N]`: what test/faults/faults.command.ts says.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { root, setUp, TEST_COMMANDS } from './setup.mjs';

setUp(TEST_COMMANDS);
process.chdir(root);
const { runFaults } = createRequire(import.meta.url)(join(root, 'dist/test/faults/faults.command.js'));
process.exit((await runFaults(process.argv.slice(2))) > 0 ? 1 : 0);
