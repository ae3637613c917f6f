import { FAMILIES } from './constructs';
import { describeMatrix } from './part';

describeMatrix('gcc-O0', FAMILIES);
describeMatrix('gcc-O2');
describeMatrix('gcc-O2-loaded');
