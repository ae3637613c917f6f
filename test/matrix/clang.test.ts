import { FAMILIES } from './constructs';
import { describeMatrix, few } from './part';

describeMatrix('clang-O2', FAMILIES, 'brief');
describeMatrix('clang-O0');
// Counters without a name.
describeMatrix('clang-O2-profile', few('static-counter'));
describeMatrix('clang-O2-coverage', few('static-counter'));
// Line tables that do not name a unit's source, where it is named by a #line.
describeMatrix('clang-O2-dwarf4', few('line-directive'));
// Functions begin with data.
describeMatrix(
  'clang-O2-ubsan',
  few('method', 'lambda-stored', 'lambda-as-pointer', 'try-added', 'noexcept-function'),
);
// Tables are addressed from before their begin.
describeMatrix('clang-O2-no-pie', few('number-switch', 'lookup-switch'));
// A caller that is too short for a jump.
describeMatrix('clang-Os', few('parameter-added'));
// Variables have red zones, and the sanitizer's descriptions of them change with each.
describeMatrix('clang-O2-asan', few('string-shared', 'new-local-static-beside-another', 'split-aggregate'));
describeMatrix('clang-O0-asan', few('container-of-strings', 'library-exception'));
