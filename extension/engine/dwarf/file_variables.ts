// The variables that only one unit knows: static ones, and those of namespaces without a name, as its debug information
// declares them outside of functions and classes.
import type { ElfFile } from '../elf/file';
import * as dw from './constants';
import { Die } from './die';
import { reading } from './malformed';
import { entriesOf } from './split';
import type { Unit } from './units';

export interface FileVariable {
  name: string;
  /** With the named namespaces around it, from the outermost one. */
  qualified: string;
  isConst: boolean;
}

/** Those with an entry of their own; compilers leave out what nothing of the unit uses.
 * @throws HotPatchError `layout-unchecked`, `unsupported-object` as functionStatics does. */
export function fileVariables(elf: ElfFile, unit: Unit): FileVariable[] {
  return reading(elf.path, () => {
    const { dwarf, header } = entriesOf(elf, unit);
    const found: FileVariable[] = [];
    const die = new Die(dwarf);
    const type = new Die(dwarf);
    /** Names of the namespaces around the entries of each level; undefined inside of anything else. */
    const scopes: (readonly string[] | undefined)[] = [[]];
    for (let at = header.firstDie, isUnit = true; at < header.end; at = die.next, isUnit = false) {
      die.read(header, at);
      if (die.tag === 0) {
        scopes.pop();
        continue;
      }
      const scope = scopes.at(-1);
      const name = die.string(dw.DW_AT_name);
      if (die.tag === dw.DW_TAG_variable && scope && name !== undefined && !die.has(dw.DW_AT_external)) {
        let reference = die.reference(dw.DW_AT_type);
        let isConst = false;
        for (let depth = 0; reference !== undefined && depth < 8 && !isConst; depth++) {
          dwarf.die(reference, type);
          isConst = type.tag === dw.DW_TAG_const_type;
          const leadsOn = type.tag === dw.DW_TAG_array_type || type.tag === dw.DW_TAG_typedef;
          reference = leadsOn ? type.reference(dw.DW_AT_type) : undefined;
        }
        found.push({ name, qualified: [...scope, name].join('::'), isConst });
      }
      if (!die.hasChildren) continue;
      if (isUnit) scopes.push([]);
      else if (die.tag === dw.DW_TAG_namespace && scope)
        scopes.push(name === undefined ? scope : [...scope, name]);
      else scopes.push(undefined);
    }
    return found;
  });
}
