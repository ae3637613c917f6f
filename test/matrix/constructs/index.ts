// The rows of the matrix by family; one family is one program in each variant.
import type { Construct } from '../construct';
import { classes } from './classes';
import { constants } from './constants';
import { control } from './control';
import { exceptions } from './exceptions';
import { functions } from './functions';
import { linkage } from './linkage';
import { statics } from './statics';
import { lambdas, templates } from './templates';

export const FAMILIES: Readonly<Record<string, readonly Construct[]>> = {
  functions,
  control,
  constants,
  statics,
  classes,
  templates,
  lambdas,
  exceptions,
  linkage,
};
