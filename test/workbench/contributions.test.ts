// package.json and contributions.ts name the same commands, settings, views and context keys, in both directions;
// and what VS Code's conventions ask of a manifest holds.
import { strict as assert } from 'node:assert';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as ids from '../../extension/workbench/contributions';
import { root } from '../support/paths';

interface Manifest {
  publisher: string;
  name: string;
  activationEvents: string[];
  extensionKind: string[];
  capabilities: {
    untrustedWorkspaces: {
      supported: boolean | string;
      description: string;
      restrictedConfigurations: string[];
    };
    virtualWorkspaces: { supported: boolean };
  };
  contributes: {
    commands: { command: string; title: string; category: string; icon?: string }[];
    menus: Record<string, { command: string; when: string; group?: string }[]>;
    configuration: { title: string; properties: Record<string, Property> }[];
    viewsContainers: { activitybar: { id: string; icon: string }[] };
    views: Record<string, { id: string }[]>;
    viewsWelcome: { view: string; contents: string; when?: string }[];
    walkthroughs: { id: string; steps: { media: { markdown: string } }[] }[];
    taskDefinitions: { type: string }[];
    mcpServerDefinitionProviders: { id: string }[];
    keybindings: { command: string; key: string; when: string }[];
  };
}
interface Property {
  type: string;
  enum?: string[];
  enumDescriptions?: string[];
  default: unknown;
  order: number;
  scope: string;
  markdownDescription: string;
}

const text = readFileSync(join(root, 'package.json'), 'utf8');
const manifest = JSON.parse(text) as Manifest;
const { contributes } = manifest;
const sorted = (values: Iterable<string>) => [...new Set(values)].sort();

describe('package.json and contributions.ts', () => {
  it('name the same commands', () => {
    assert.deepEqual(
      sorted(contributes.commands.map((command) => command.command)),
      sorted(Object.values(ids.Command)),
    );
  });

  it('name the same settings', () => {
    const properties = contributes.configuration.flatMap((group) => Object.keys(group.properties));
    assert.deepEqual(sorted(properties), sorted(Object.values(ids.Setting)));
  });

  it('name the same view container and views', () => {
    assert.deepEqual(
      contributes.viewsContainers.activitybar.map((container) => container.id),
      Object.values(ids.ViewContainer),
    );
    const views = Object.values(contributes.views).flatMap((group) => group.map((view) => view.id));
    assert.deepEqual(sorted(views), sorted(Object.values(ids.View)));
  });

  it('name the same context keys, and every one is read by a `when`', () => {
    const keys = text.match(/hotPatch\.(welcome|has\w+|file\w+)/g) ?? [];
    assert.deepEqual(sorted(keys), sorted(Object.values(ids.ContextKey)));
  });

  it('spell tree items as the menus do', () => {
    const kinds: string[] = Object.values(ids.TreeItemKind);
    const clauses = contributes.menus['view/item/context']!.map((item) => item.when);
    for (const clause of clauses) {
      const [, exact] = /viewItem == (\S+)/.exec(clause) ?? [];
      const [, pattern] = /viewItem =~ \/(.*)\//.exec(clause) ?? [];
      assert.ok(
        exact ? kinds.includes(exact) : kinds.some((kind) => new RegExp(pattern!).test(kind)),
        `no tree item is meant by ${clause}`,
      );
    }
  });

  it('name the same extension, walkthrough, task type and server for agents', () => {
    assert.equal(`${manifest.publisher}.${manifest.name}`, ids.extensionId);
    assert.deepEqual(
      contributes.walkthroughs.map((walkthrough) => walkthrough.id),
      [ids.walkthrough],
    );
    assert.deepEqual(
      contributes.taskDefinitions.map((task) => task.type),
      [ids.taskType],
    );
    assert.deepEqual(
      contributes.mcpServerDefinitionProviders.map((provider) => provider.id),
      [ids.mcpProvider],
    );
  });
});

describe('the manifest', () => {
  it('gives every command the category Hot Patch and a short title', () => {
    for (const { title, category } of contributes.commands) {
      assert.equal(category, 'Hot Patch');
      assert.ok(title.length <= 30, title);
    }
  });

  it('refers in menus only to commands that it contributes', () => {
    const commands = new Set(contributes.commands.map((command) => command.command));
    const used = Object.values(contributes.menus).flatMap((items) => items.map((item) => item.command));
    assert.deepEqual(
      used.filter((command) => !commands.has(command)),
      [],
    );
  });

  it('offers what a row has under the mouse in its menu too, where the keyboard leads', () => {
    const entries = contributes.menus['view/item/context']!;
    const isInline = ({ group = '' }) => group.startsWith('inline');
    const told = (of: typeof entries) => of.map(({ command, when }) => `${command} ${when}`).sort();
    assert.deepEqual(
      told(entries.filter(isInline)),
      told(entries.filter((entry) => /^0_/.test(entry.group ?? ''))),
    );
  });

  it('is told in the README: every setting, and every command of the palette', () => {
    const readme = readFileSync(join(root, 'README.md'), 'utf8');
    const settings = contributes.configuration.flatMap(({ properties }) => Object.keys(properties));
    const hidden = contributes.menus['commandPalette']!.filter(({ when }) => when === 'false');
    const commands = contributes.commands.filter(
      ({ command }) => !hidden.some((entry) => entry.command === command),
    );
    const wanted = [...settings.map((name) => `\`${name}\``), ...commands.map(({ title }) => `*${title}*`)];
    assert.deepEqual(
      wanted.filter((text) => !readme.includes(text)),
      [],
    );
  });

  it('gives inline and toolbar commands an icon', () => {
    const icons = new Map(contributes.commands.map((command) => [command.command, command.icon]));
    const items = Object.values(contributes.menus).flat();
    for (const { command } of items.filter((item) => /^(inline|navigation)/.test(item.group ?? ''))) {
      assert.match(icons.get(command) ?? '', /^\$\([\w-]+\)$/, command);
    }
  });

  it('describes every setting in Markdown, in titled and ordered groups', () => {
    for (const group of contributes.configuration) {
      assert.ok(group.title);
      for (const [name, property] of Object.entries(group.properties)) {
        assert.ok(property.markdownDescription.length > 20 && property.order > 0, name);
        assert.ok(property.scope, name);
        assert.equal(property.enumDescriptions?.length, property.enum?.length, name);
        assert.ok(!property.enum || property.enum.includes(property.default as string), name);
      }
    }
  });

  it('acts only where it can: in the workspace, on real folders, when trusted', () => {
    assert.deepEqual(manifest.extensionKind, ['workspace']);
    assert.equal(manifest.capabilities.virtualWorkspaces.supported, false);
    const { untrustedWorkspaces } = manifest.capabilities;
    assert.notEqual(untrustedWorkspaces.supported, true);
    assert.ok(untrustedWorkspaces.description.length > 20);
    assert.ok(!manifest.activationEvents.includes('*'));
  });

  it('takes Ctrl+S only where an auto-save may be written at that moment, and one chord of its own', () => {
    assert.deepEqual(
      contributes.keybindings.map(({ command, key }) => [command, key]),
      [
        [ids.Command.save, 'ctrl+s'],
        [ids.Command.patchFunction, 'ctrl+k h'],
      ],
    );
    assert.match(contributes.keybindings[0]!.when, /fileIsLive && config\.files\.autoSave != off/);
  });

  it('has the files that it names', () => {
    const files = [
      ...contributes.viewsContainers.activitybar.map((container) => container.icon),
      ...contributes.walkthroughs.flatMap((walkthrough) =>
        walkthrough.steps.map((step) => step.media.markdown),
      ),
      'media/icon.png',
    ];
    for (const path of files) assert.ok(existsSync(join(root, path)), path);
  });

  it('has a welcome view for each state', () => {
    const states = contributes.viewsWelcome.flatMap(
      (welcome) => /== '(\w+)'/.exec(welcome.when ?? '')?.[1] ?? [],
    );
    const wanted: ids.WelcomeState[] = ['platform', 'untrusted', 'database', 'process'];
    assert.deepEqual(sorted(states), sorted(wanted));
  });
});
