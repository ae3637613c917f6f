// Which saves patch, by setting hotPatch.onSave. Pure.
import type { Setting, SettingValues } from '../contributions';

export interface Save {
  /** The user's Ctrl+S or Save All, not auto-save. */
  readonly explicit: boolean;
  /** There was something to write. */
  readonly dirty: boolean;
}

export function counts(save: Save, onSave: SettingValues[typeof Setting.onSave]): boolean {
  switch (onSave) {
    case 'never':
      return false;
    case 'manual':
      return save.explicit;
    case 'manualIfDirty':
      return save.explicit && save.dirty;
    case 'all':
      return true;
    case 'allIfDirty':
      return save.dirty;
  }
}
