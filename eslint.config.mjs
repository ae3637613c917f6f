// Lint rules. The one that carries the architecture: extension/engine never imports vscode (nor the layers
// above it), and only one file touches koffi.
import eslint from '@eslint/js';
import tseslint from 'typescript-eslint';

const koffiOnly = { name: 'koffi', message: 'Only extension/engine/process/system_calls.ts touches koffi.' };
const layersAbove = {
  group: ['**/workbench/**', '**/debug/**', '**/cli', '**/cli.*'],
  message: 'The engine knows nothing of the layers above it.',
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
      'no-restricted-imports': ['error', { paths: [koffiOnly] }],
      'no-empty': ['error', { allowEmptyCatch: false }],
      eqeqeq: 'error',
    },
  },
  {
    files: ['extension/engine/**/*.ts', 'extension/command_line/**/*.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          paths: [
            koffiOnly,
            { name: 'vscode', message: 'The engine and the command line never import vscode.' },
          ],
          patterns: [layersAbove],
        },
      ],
    },
  },
  {
    files: ['extension/engine/process/system_calls.ts'],
    rules: { 'no-restricted-imports': ['error', { paths: [{ name: 'vscode' }], patterns: [layersAbove] }] },
  },
  { files: ['**/*.mjs'], ...tseslint.configs.disableTypeChecked },
  {
    files: ['**/*.mjs'],
    languageOptions: {
      globals: {
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
