import { FAMILIES } from './constructs';
import { describeMatrix, few } from './part';

describeMatrix('gcc-O0', FAMILIES);
describeMatrix('gcc-O2');
describeMatrix('gcc-O2-loaded');
// Zeros without a name.
describeMatrix('gcc-O0-ubsan', few('coroutine-generator'));
