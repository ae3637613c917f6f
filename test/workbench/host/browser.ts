// The browser that shows VS Code, and its pictures.
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Locator } from 'playwright-core';
import { root } from '../../support/paths';

export const ARGUMENTS = [
  ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync'],
  ...['--disable-background-networking', '--disable-component-update', '--disable-dev-shm-usage'],
];

/**
 * Keeps a picture as .cache/screenshots/NAME.png. With HOT_PATCH_README=1 those that the README shows are taken over into
 * media/screenshots.
 */
export function keepPicture(name: string, png: Buffer): void {
  const directory = join(root, '.cache', 'screenshots');
  mkdirSync(directory, { recursive: true });
  const path = join(directory, `${name}.png`);
  writeFileSync(path, png);
  const shown = `media/screenshots/${name}.png`;
  if (process.env['HOT_PATCH_README'] && readFileSync(join(root, 'README.md'), 'utf8').includes(shown)) {
    mkdirSync(join(root, 'media', 'screenshots'), { recursive: true });
    copyFileSync(path, join(root, shown));
  }
}

/** Waits until something of this is to be seen. */
export async function shows(locator: Locator): Promise<void> {
  await locator.filter({ visible: true }).first().waitFor();
}

/** Waits until nothing of this is to be seen. */
export async function isGone(locator: Locator): Promise<void> {
  await locator.filter({ visible: true }).first().waitFor({ state: 'hidden' });
}

export function chromiumPath(): string {
  return process.env['CHROMIUM'] ?? '/usr/bin/chromium';
}
