import { FAMILIES } from './constructs';
import { describeMatrix, few } from './part';

// Every construct is edited and undone; what may go wrong only behind a second edit, a redo or a revert, in the sample.
describeMatrix('gcc-O0', FAMILIES, 'brief');
describeMatrix('gcc-O0');
describeMatrix('gcc-O2');
describeMatrix('gcc-O2-loaded');
// What a library exports is for the loader to find.
describeMatrix('gcc-O2-linked', few('common-symbol', 'exported-variable-in-other-unit'));
// Zeros without a name.
describeMatrix('gcc-O2-ubsan', few('const-struct-address-kept'));
// What is new has no red zones, and what its sanitizer registers would poison it.
describeMatrix('gcc-O0-asan', few('cxx-new-local-static-object'));
describeMatrix('gcc-O2-asan', few('vector-of-strings', 'container-of-strings'));
describeMatrix('gcc-O0-ubsan', few('coroutine-generator'));
// What reports counters is another in each compile.
describeMatrix('gcc-O2-coverage', few('vector-of-strings', 'library-exception'));
describeMatrix('gcc-O0-coverage', few('static-counter', 'new-helper', 'cold-part'));
// Functions do not begin where their section does.
describeMatrix('gcc-O2-patchable', few('const-table-structs', 'computed-goto'));
// The producer names options that the command for a patch object leaves out; most functions of the unit change.
describeMatrix('gcc-O2-gz', few('new-exception-type'));
