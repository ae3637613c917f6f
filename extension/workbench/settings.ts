// Reads the settings of contributions.ts with their types. The defaults are package.json's.
import * as vscode from 'vscode';
import type { Setting, SettingValues } from './contributions';

export function setting<S extends Setting>(name: S, scope?: vscode.ConfigurationScope): SettingValues[S] {
  return vscode.workspace.getConfiguration(undefined, scope).get(name) as SettingValues[S];
}
