// Other versions of the compilers than those that `gcc` and `clang` are here: each writes its own debug information, cold
// parts and constants.
import { describeMatrix, few } from './part';

describeMatrix('gcc-11-O0', undefined, 'brief');
describeMatrix('gcc-11-O2', undefined, 'brief');
describeMatrix('gcc-12-O2', undefined, 'brief');
describeMatrix('clang-14-O2', undefined, 'brief');
describeMatrix('clang-19-O0', undefined, 'brief');
describeMatrix('clang-19-O2', undefined, 'brief');
// Functions of the compiler's own without a symbol: what coroutines call `await_suspend` in.
describeMatrix(
  'clang-19-O0',
  few(
    ...['coroutine-generator', 'coroutine-await-suspend', 'coroutine-await-suspend-result'],
    ...['coroutine-unedited', 'coroutine-noop'],
  ),
);
