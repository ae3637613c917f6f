import { FAMILIES } from './constructs';
import { describeMatrix, few } from './part';

describeMatrix('clang-O2', FAMILIES, 'brief');
describeMatrix('clang-O0');
// Counters without a name.
describeMatrix('clang-O2-profile', few('static-counter'));
describeMatrix('clang-O2-coverage', few('static-counter'));
// Line tables that do not name a unit's source, where it is named by a #line.
describeMatrix('clang-O2-dwarf4', few('line-directive'));
