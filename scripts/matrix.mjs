// `npm run test:matrix [-- --construct ID --family NAME --variant ID --part K/N]`: what test/matrix/matrix.command.ts says.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { root, setUp, TEST_COMMANDS } from './setup.mjs';

setUp(TEST_COMMANDS);
process.chdir(root);
const { runMatrix } = createRequire(import.meta.url)(join(root, 'dist/test/matrix/matrix.command.js'));
process.exit((await runMatrix(process.argv.slice(2))) > 0 ? 1 : 0);
