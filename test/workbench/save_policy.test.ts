// Which saves patch, for each value of hotPatch.onSave.
import { strict as assert } from 'node:assert';
import { counts } from '../../extension/workbench/session/save_policy';

describe('hotPatch.onSave', () => {
  const table = {
    never: [false, false, false, false],
    manual: [true, true, false, false],
    manualIfDirty: [true, false, false, false],
    all: [true, true, true, true],
    allIfDirty: [true, false, true, false],
  } as const;
  for (const [setting, [dirty, clean, autoDirty, autoClean]] of Object.entries(table)) {
    it(setting, () => {
      const of = (explicit: boolean, isDirty: boolean) =>
        counts({ explicit, dirty: isDirty }, setting as keyof typeof table);
      assert.deepEqual(
        [of(true, true), of(true, false), of(false, true), of(false, false)],
        [dirty, clean, autoDirty, autoClean],
      );
    });
  }
});
