// A user at VS Code: opens files, types, presses keys, reads what the screen says. Everything a test asserts is read
// from the page; waits are for what the user waits for, never for time.
import { dirname } from 'node:path';
import { chromium, type Browser, type FrameLocator, type Locator, type Page } from 'playwright-core';
import { findFile, root } from '../../support/paths';
import {
  ARGUMENTS,
  chromiumPath,
  inWords,
  keepPicture,
  KEY_WAITS_MS,
  PATIENCE_MS,
  untilGone,
  untilSeen,
} from './browser';
import { CodeServer, type CodeServerOptions } from './code_server';

const STATUS = '[id="hot-patch.hot-patch.status"]';

export interface WorkbenchOptions extends CodeServerOptions {
  folder: string;
  /** Folder of the extension under test; the repository by default. */
  extension?: string;
  size?: { width: number; height: number };
}

export class Workbench {
  /** This one, and those that were opened from it. */
  readonly windows: Workbench[] = [this];

  private constructor(
    readonly page: Page,
    private readonly browser: Browser,
    private readonly server: CodeServer,
    private readonly extension: string,
    /** Or workspace file. */
    private readonly folder: string,
  ) {}

  static async open(options: WorkbenchOptions): Promise<Workbench> {
    const server = await CodeServer.start(options);
    const browser = await chromium.launch({ executablePath: chromiumPath(), args: ARGUMENTS });
    const context = await browser.newContext({
      viewport: options.size ?? { width: 1280, height: 800 },
      permissions: ['clipboard-read', 'clipboard-write'],
    });
    const extension = options.extension ?? root;
    const workbench = new Workbench(await context.newPage(), browser, server, extension, options.folder);
    await workbench.show();
    return workbench;
  }

  /** Another window of the same VS Code; it is closed with the first.
   * @param folder or workspace file */
  async openWindow(folder: string): Promise<Workbench> {
    const page = await this.page.context().newPage();
    const window = new Workbench(page, this.browser, this.server, this.extension, folder);
    this.windows.push(window);
    await window.show();
    return window;
  }

  private async show(): Promise<void> {
    this.page.setDefaultTimeout(PATIENCE_MS);
    await this.page.goto(this.server.url(this.folder, this.extension));
    await this.isStarted();
  }

  private async isStarted(): Promise<void> {
    await this.page.locator('.monaco-workbench .activitybar').waitFor();
    await this.page.locator('.statusbar-item').first().waitFor();
  }

  async close(): Promise<void> {
    await this.browser.close();
    await this.server.stop();
  }

  /** Runs a command from the palette by its title; it must be offered there. */
  async command(title: string): Promise<void> {
    // The list is made once, of what is offered as it opens.
    const row = this.page.locator('.quick-input-list .monaco-list-row', { hasText: title });
    await untilSeen(() => this.quickInput('F1', `>${title}`), row, KEY_WAITS_MS);
    await this.pick(title);
    await this.page.locator('.quick-input-widget input[value^=">"]').waitFor({ state: 'hidden' });
  }

  /** Whether the palette offers a command. */
  async offers(title: string): Promise<boolean> {
    await this.quickInput('F1', `>${title}`);
    await this.page.locator('.quick-input-list .monaco-list-row').first().waitFor();
    const rows = await this.page.locator('.quick-input-list .monaco-list-row').allInnerTexts();
    await this.page.keyboard.press('Escape');
    await this.page.locator('.quick-input-widget').waitFor({ state: 'hidden' });
    return rows.some((row) => row.includes(title));
  }

  /** Chooses an entry of the list that is open. */
  async pick(text: string | RegExp): Promise<void> {
    await this.page.locator('.quick-input-list .monaco-list-row', { hasText: text }).first().click();
  }

  /** By its path, for which VS Code need not search: what searches may not be there in a window that has just been opened,
   * and have nothing to do with what is tested. */
  async openFile(name: string): Promise<void> {
    const row = this.page.locator('.quick-input-list .monaco-list-row', { hasText: name });
    const path = this.pathOf(name);
    await untilSeen(() => this.quickInput('Control+P', path), row, KEY_WAITS_MS);
    await this.pick(name);
    await this.page.locator(`.tab.active[data-resource-name="${name}"]`).waitFor();
    await this.page.locator('.editor-instance .view-line').first().waitFor();
  }

  private pathOf(name: string): string {
    const folder = this.folder.endsWith('.code-workspace') ? dirname(this.folder) : this.folder;
    return findFile(folder, name);
  }

  /** Opens a file that loses the focus as soon as it is drawn, as when a person clicks elsewhere at once. */
  async openFileAndLeave(name: string): Promise<void> {
    await this.page.evaluate(`new MutationObserver((changes, observer) => {
      const line = document.querySelector('.editor-instance .view-line');
      if (!line || !document.querySelector('.tab.active[data-resource-name="${name}"]')) return;
      document.activeElement.blur();
      observer.disconnect();
    }).observe(document.body, { childList: true, subtree: true })`);
    await this.openFile(name);
  }

  /** Opens the quick input and types. A key that is pressed while the workbench is still starting is lost. */
  private async quickInput(key: string, text: string): Promise<void> {
    const input = this.page.locator('.quick-input-widget input').first();
    let isAgain = await input.isVisible();
    const press = async () => {
      // Closed first, should it be opening after all: Ctrl+P in an open list chooses from it.
      if (isAgain) await this.page.keyboard.press('Escape');
      isAgain = true;
      await this.page.keyboard.press(key);
    };
    await untilSeen(press, input, KEY_WAITS_MS);
    await input.fill(text);
  }

  /** Waits until the editor shows a text that was written to the file. VS Code is not told of what is written before its
   * watcher has started; of what is written again it is.
   * @param write writes the file again, as it is */
  async readsAnew(text: RegExp, write: () => void): Promise<void> {
    const line = this.page.locator('.editor-instance .view-line', { hasText: text });
    await untilSeen(() => Promise.resolve(write()), line);
  }

  /** Clicks a lens and waits for what it shows. VS Code draws lenses anew as others come: a click may be lost. */
  async clickLens(text: string, effect: Locator): Promise<void> {
    await untilSeen(() => this.lens(text).first().click(), effect);
  }

  /** Clicks an action of a row of the tree. Actions are there under the mouse only, and rows are drawn anew. */
  async clickAction(row: Locator, label: string): Promise<void> {
    const attempts = 6;
    for (let attempt = 1; ; attempt++) {
      try {
        await row.hover();
        return await row.locator(`[aria-label*="${label}"]`).click({ timeout: PATIENCE_MS / attempts });
      } catch (error) {
        if (attempt === attempts) throw error;
        await this.page.mouse.move(0, 0);
      }
    }
  }

  /** Reloads the window as its user would. */
  async reload(): Promise<void> {
    const loaded = this.page.waitForEvent('load');
    await this.quickInput('F1', '>Developer: Reload Window');
    await this.pick('Reload Window');
    await loaded;
    await this.isStarted();
  }

  /** Finds text in the active editor and types other text over it. */
  async replace(from: string, to: string): Promise<void> {
    await this.select(from);
    await this.page.keyboard.insertText(to);
  }

  async select(text: string): Promise<void> {
    // Not by a click: where one can be aimed at, a lens may be.
    await this.page.locator('.editor-instance .monaco-editor .native-edit-context').first().focus();
    await this.page.keyboard.press('Control+Home');
    const widget = this.page.locator('.find-widget.visible');
    const find = widget.locator('textarea[aria-label="Find"]');
    await untilSeen(() => this.page.keyboard.press('Control+F'), find, KEY_WAITS_MS);
    // So that the count is of this text, not of the one before.
    await find.fill('');
    await widget.locator('.matchesCount', { hasText: 'No results' }).waitFor();
    await find.fill(text);
    await widget.locator('.matchesCount', { hasText: /^\d+ of/ }).waitFor();
    // In the widget: what is started meanwhile may have taken the focus, and would have it when the widget closes.
    await untilGone(() => find.press('Escape'), widget);
    await this.page.locator('.editor-instance .monaco-editor.focused').first().waitFor();
  }

  /** Opens the Quick Fixes at the cursor; they close when lenses are drawn anew. */
  async quickFixes(offered: string): Promise<Locator> {
    const list = this.page.locator('.action-widget');
    const open = async () => {
      if (!(await list.getByText(offered).isVisible())) await this.page.keyboard.press('Control+.');
    };
    await untilSeen(open, list.getByText(offered));
    return list;
  }

  /** Chooses a Quick Fix at the cursor, without the mouse. */
  async chooseQuickFix(title: string): Promise<void> {
    const list = await this.quickFixes(title);
    const focused = list.locator('.monaco-list-row.focused', { hasText: title });
    await untilGone(async () => {
      for (let presses = 0; (await focused.count()) === 0 && presses < 20; presses++)
        await this.page.keyboard.press('ArrowDown');
      // To the list or to nobody: were it closed meanwhile, the editor would break the line.
      await list.locator('.monaco-list').first().press('Enter', { timeout: 2000 });
    }, list.getByText(title));
  }

  /** Goes to the next problem of the file, without the mouse; the cursor is at it then. */
  async goToProblem(text: string | RegExp): Promise<void> {
    const { keyboard } = this.page;
    const shown = this.page.locator('.editor-instance .marker-widget', { hasText: text });
    const go = async () => {
      // Into the editor, wherever the focus is.
      await keyboard.press('Control+1');
      await this.page.locator('.editor-instance .monaco-editor.focused').first().waitFor();
      await keyboard.press('F8');
    };
    await untilSeen(go, shown, KEY_WAITS_MS);
    await untilGone(() => this.page.keyboard.press('Escape'), shown);
    await this.page.locator('.editor-instance .monaco-editor.focused').first().waitFor();
  }

  async save(): Promise<void> {
    await this.page.keyboard.press('Control+S');
  }

  /** Presses Ctrl+Z until the line at the cursor reads like this again. */
  async undoTo(text: string): Promise<void> {
    const line = this.page.locator('.editor-instance .view-line', { hasText: text });
    for (let presses = 0; (await line.count()) === 0; presses++) {
      if (presses === 20) throw new Error(`undo does not lead back to ${text}`);
      await this.page.keyboard.press('Control+Z');
    }
  }

  /** Types a command line into VS Code's terminal, which is opened when there is none. */
  async runInTerminal(line: string): Promise<void> {
    const terminal = this.page.locator('.terminal-wrapper.active .xterm-helper-textarea');
    if ((await terminal.count()) === 0) await this.command('Terminal: Create New Terminal');
    await terminal.first().focus();
    await this.page.keyboard.type(`${line}\n`);
    await this.page.locator('.editor-instance .monaco-editor .native-edit-context').first().focus();
  }

  /** The status bar item, once it says this. */
  async status(text: string | RegExp): Promise<Locator> {
    const item = this.page.locator(STATUS).filter({ hasText: text });
    await item.waitFor().catch(async (error: Error) => {
      const now = await this.page.locator(STATUS).allInnerTexts();
      throw new Error(`the status bar says ${JSON.stringify(now)}, not ${String(text)}`, { cause: error });
    });
    return item;
  }

  statusTooltip(text: string | RegExp): Promise<Locator> {
    return this.tooltip(this.page.locator(STATUS), text);
  }

  /** @param item that the mouse is moved to */
  async tooltip(item: Locator, text: string | RegExp): Promise<Locator> {
    const hover = this.page.locator('.monaco-hover, .workbench-hover', { hasText: text }).first();
    // What is drawn anew under the mouse shows no hover until the mouse comes again.
    await untilSeen(
      async () => {
        await this.page.mouse.move(0, 0);
        await item.hover();
      },
      hover,
      KEY_WAITS_MS,
    );
    return hover;
  }

  /** The page that the Markdown preview shows. */
  preview(): FrameLocator {
    return this.page.frameLocator('iframe.webview.ready').frameLocator('iframe[title]');
  }

  lens(text: string | RegExp): Locator {
    return this.page.locator('.codelens-decoration a', { hasText: text });
  }

  async showView(): Promise<void> {
    const icon = this.page.locator('.activitybar .action-item', {
      has: this.page.locator('[aria-label^="Hot Patch"]'),
    });
    const title = this.page.locator('.sidebar .composite.title', { hasText: 'Hot Patch' });
    // A window that is just restoring the view may take the click for one that is to hide it.
    while (!(await title.isVisible())) {
      await icon.click();
      await title.waitFor({ timeout: 3000 }).catch(() => undefined);
    }
  }

  /** Drags the border of the side bar to the right. */
  async widenSideBar(by: number): Promise<void> {
    const box = (await this.page.locator('.part.sidebar').boundingBox())!;
    await this.page.mouse.move(box.x + box.width, 300);
    await this.page.mouse.down();
    await this.page.mouse.move(box.x + box.width + by, 300, { steps: 4 });
    await this.page.mouse.up();
  }

  /** Moves the mouse to where nothing is, and waits until hovers are gone. */
  async unhover(): Promise<void> {
    await this.page.mouse.move(this.page.viewportSize()!.width / 2, 1);
    await this.page.keyboard.press('Escape');
    await this.page
      .locator('.workbench-hover-container, .context-view .monaco-hover')
      .first()
      .waitFor({ state: 'hidden' });
  }

  /** A row of the tree, once it is there. */
  async row(text: string | RegExp): Promise<Locator> {
    const row = this.page.locator('.sidebar .monaco-list-row', { hasText: text }).first();
    await row.waitFor();
    return row;
  }

  /** Chooses an entry of an item's context menu. */
  async chooseInMenu(item: Locator, entry: string): Promise<void> {
    const action = this.page.locator('.monaco-menu .action-label', { hasText: entry });
    await untilSeen(() => item.click({ button: 'right' }), action);
    // A menu takes no choice in the first moments of its life.
    await untilGone(() => action.first().click(), action);
  }

  /** Chooses an entry of the context menu of the row that has the focus, without the mouse. */
  async chooseByKeyboard(entry: string): Promise<void> {
    const { keyboard } = this.page;
    const actions = this.page.locator('.monaco-menu .action-item');
    const action = actions.filter({ hasText: entry });
    await untilSeen(() => keyboard.press('Shift+F10'), action);
    await untilGone(async () => {
      const focused = this.page.locator('.monaco-menu .action-item.focused', { hasText: entry });
      for (let presses = 0; (await focused.count()) === 0 && presses < 20; presses++)
        await keyboard.press('ArrowDown');
      await keyboard.press('Enter');
    }, action);
  }

  async expand(text: string | RegExp): Promise<void> {
    const row = await this.row(text);
    if ((await row.getAttribute('aria-expanded')) === 'false')
      await row.locator('.monaco-tl-twistie').click();
  }

  welcome(text: string | RegExp): Locator {
    return this.page.locator('.sidebar .welcome-view-content', { hasText: text });
  }

  async showProblems(): Promise<void> {
    await this.page.keyboard.press('Control+Shift+M');
    await this.page.locator('.markers-panel').waitFor();
  }

  problem(text: string | RegExp): Locator {
    return this.page.locator('.markers-panel .monaco-list-row', { hasText: text });
  }

  /** Waits for a notification, in the notification center: under its test driver VS Code shows no toasts. The center closes
   * when its last notification goes, as that of a save that took long does. */
  async notified(text: string | RegExp): Promise<Locator> {
    const center = this.page.locator('.notifications-center.visible');
    const item = center.locator('.notification-list-item', { hasText: text });
    const open = async () => {
      if ((await center.count()) === 0) await this.page.locator('[id="status.notifications"]').click();
    };
    await untilSeen(open, item);
    return item.first();
  }

  /** Clears the notifications, so that they hide nothing. */
  async closeNotifications(): Promise<void> {
    const clear = this.page.locator('.notifications-center.visible [aria-label^="Clear All Notifications"]');
    if ((await clear.count()) > 0) await clear.first().click();
    await this.page.locator('.notifications-center.visible').waitFor({ state: 'hidden' });
  }

  async answer(notification: string | RegExp, button: string): Promise<void> {
    const item = await this.notified(notification);
    await item.hover();
    await item.locator('.monaco-button', { hasText: button }).click();
  }

  /** Waits until so many functions in sight have this mark in the margin. */
  async marks(kind: 'live' | 'differs', count: number): Promise<void> {
    const images = () =>
      this.page.evaluate<string[]>(
        "[...document.querySelectorAll('.glyph-margin-widgets > *')].map((e) => getComputedStyle(e).backgroundImage)",
      );
    const has = async () =>
      (await images()).filter((image) => image.includes(`gutter-${kind}`)).length === count;
    for (const end = performance.now() + PATIENCE_MS; !(await has()); await this.page.waitForTimeout(100)) {
      if (performance.now() < end) continue;
      const seen = (await images()).map((image) => /gutter-\w+/.exec(image)?.[0] ?? image);
      throw new Error(`not ${count} times ${kind} in the margin, but ${JSON.stringify(seen)}`);
    }
  }

  /** What a picture would show, in words, for a log without pictures. */
  seen(): Promise<string> {
    return inWords(this.page, {
      ...{ tab: '.tab.active', dirty: '.tab.active.dirty' },
      ...{ status: STATUS, rows: '.sidebar .monaco-list-row' },
      ...{ lenses: '.codelens-decoration', notifications: '.notification-list-item-message' },
      input: '.quick-input-widget:visible .monaco-list-row',
    });
  }

  /** For people who look: see keepPicture. */
  async screenshot(name: string): Promise<void> {
    keepPicture(name, await this.picture());
  }

  /** A PNG of what is to be seen once nothing fades in or out any more. */
  picture(): Promise<Buffer> {
    return this.page.screenshot({ animations: 'disabled' });
  }

  /** @param kind class that VS Code gives a workbench with such a theme */
  async useTheme(label: string, kind: 'vs' | 'vs-dark' | 'hc-black' | 'hc-light'): Promise<void> {
    await this.command('Preferences: Color Theme');
    const input = this.page.locator('.quick-input-widget input').first();
    await input.fill(label);
    await this.pick(label);
    await this.page.locator(`.monaco-workbench.${kind}`).waitFor();
  }
}
