import { FAMILIES } from './constructs';
import { describeMatrix, few } from './part';

describeMatrix('clang-O2', FAMILIES, 'brief');
describeMatrix('clang-O0');
// Counters without a name.
describeMatrix('clang-O2-profile', few('static-counter'));
describeMatrix('clang-O2-coverage', few('static-counter'));
