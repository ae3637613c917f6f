// The browser that shows VS Code, its pictures, and the patience of a person who looks at it.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Locator, Page } from 'playwright-core';
import { root } from '../../support/paths';
import { packedPng } from '../../support/png';

/** Long enough for a loaded machine; only reached when something is wrong. */
export const PATIENCE_MS = 60_000;
/** How long the effect of a key is waited for before it is pressed again, where pressing it twice does no harm: one that is
 * pressed while the workbench still starts is lost. They add up to the patience. */
export const KEY_WAITS_MS = [1500, 3500, 10_000, 15_000, 30_000];

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
    writeFileSync(join(root, shown), packedPng(png));
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

/** Acts as a person would: once more when nothing comes of it.
 * @param waits milliseconds for which the effect is waited for, by attempt */
export async function untilSeen(
  act: () => Promise<void>,
  effect: Locator,
  waits: readonly number[] = Array<number>(6).fill(PATIENCE_MS / 6),
): Promise<void> {
  for (const [attempt, timeout] of waits.entries()) {
    await act();
    try {
      return await effect.first().waitFor({ timeout });
    } catch (error) {
      if (attempt === waits.length - 1) throw error;
    }
  }
}

/** Acts until nothing of this is to be seen. */
export async function untilGone(act: () => Promise<void>, what: Locator): Promise<void> {
  while ((await what.count()) > 0) {
    await act().catch(() => undefined);
    const gone = what.first().waitFor({ state: 'hidden', timeout: 2000 });
    await gone.catch(() => undefined);
  }
}

/** What is to be seen, as JSON.
 * @param places selectors by the name of the place */
export async function inWords(page: Page, places: Readonly<Record<string, string>>): Promise<string> {
  const texts = Object.entries(places).map(async ([place, selector]) => {
    const found = await page.locator(selector).allInnerTexts();
    return [place, found.map((text) => text.replaceAll(/\s+/g, ' ').trim())];
  });
  return JSON.stringify(Object.fromEntries(await Promise.all(texts)));
}

export function chromiumPath(): string {
  return process.env['CHROMIUM'] ?? '/usr/bin/chromium';
}
