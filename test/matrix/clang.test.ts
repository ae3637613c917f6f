import { FAMILIES } from './constructs';
import { describeMatrix } from './part';

describeMatrix('clang-O2', FAMILIES, 'brief');
describeMatrix('clang-O0');
