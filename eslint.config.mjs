// Lint rules. Those that carry the structure: `layers` holds every import against scripts/layers.mjs, `architecture` keeps
// what is a processor's own behind its seam.
import { relative } from 'node:path';
import eslint from '@eslint/js';
import tseslint from 'typescript-eslint';
import { objection } from './scripts/layers.mjs';

const layers = {
  create(context) {
    const path = relative(`${import.meta.dirname}/extension`, context.filename);
    const check = (node) => {
      if (typeof node.source?.value !== 'string') return;
      const message = objection(path, node.source.value);
      if (message) context.report({ node, message });
    };
    return {
      ImportDeclaration: check,
      ImportExpression: check,
      ExportNamedDeclaration: check,
      ExportAllDeclaration: check,
    };
  },
};

/** Files that may name what is a processor's own. */
const ARCHITECTURES = /(^|\/)extension\/engine\/arch\/x86_64\//;

const architecture = {
  create(context) {
    if (ARCHITECTURES.test(context.filename)) return {};
    const message = 'what is a processor’s own stands in extension/engine/arch/, behind architecture.ts';
    return {
      Identifier: (node) =>
        /^(R|EM|SHT)_(X86_64|AARCH64)/.test(node.name) && context.report({ node, message }),
      // Opcodes of calls, jumps and breakpoints.
      Literal: (node) => /^0x(e8|e9|eb|cc)$/i.test(node.raw) && context.report({ node, message }),
    };
  },
};

export default tseslint.config(
  { ignores: ['dist/', '.cache/', 'node_modules/', 'test/samples/'] },
  eslint.configs.recommended,
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: { parserOptions: { project: './tsconfig.json', tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-floating-promises': ['error', { ignoreVoid: true }],
      'no-empty': ['error', { allowEmptyCatch: false }],
      eqeqeq: 'error',
    },
  },
  {
    files: ['extension/**/*.ts'],
    plugins: { hotPatch: { rules: { layers, architecture } } },
    rules: { 'hotPatch/layers': 'error', 'hotPatch/architecture': 'error' },
  },
  {
    files: ['extension/engine/**/*.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          selector: 'Property[key.name="withFileTypes"]',
          message:
            'fails for the whole directory when one entry is gone meanwhile, as in /proc: use namesIn of host.ts',
        },
      ],
    },
  },
  { files: ['**/*.mjs', '**/*.cjs', '**/*.d.mts'], ...tseslint.configs.disableTypeChecked },
  {
    files: ['**/*.mjs', '**/*.cjs'],
    languageOptions: {
      globals: {
        exports: 'readonly',
        console: 'readonly',
        process: 'readonly',
        setTimeout: 'readonly',
        clearTimeout: 'readonly',
        Buffer: 'readonly',
        URL: 'readonly',
        fetch: 'readonly',
        performance: 'readonly',
      },
    },
  },
  {
    files: ['test/**/*.ts'],
    rules: { '@typescript-eslint/no-non-null-assertion': 'off' },
  },
);
