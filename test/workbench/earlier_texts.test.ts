// A file of which many versions run, each patched by another save: their functions are all known, and are parsed once.
import { strict as assert } from 'node:assert';
import { keepEarlierTexts } from '../../extension/workbench/documents/earlier_texts';
import { file } from './fixtures';

describe('texts that are compared with what is in the editor', () => {
  it('are parsed once each, however many there are, and drawn once more when they are known', async () => {
    const texts = Array.from({ length: 20 }, (_, number) => `text ${number}`);
    const asked: string[] = [];
    let draws = 0;
    const parse = (_: string, text: string) => {
      asked.push(text);
      return Promise.resolve([]);
    };
    const draw = () => {
      // One that parses without end would draw without end.
      if (draws++ < 1000) for (const text of texts) earlier.functionsOf(file, text);
    };
    const earlier = keepEarlierTexts(parse, draw);
    draw();
    for (let turn = 0; turn < 1000; turn++) await Promise.resolve();
    assert.deepEqual(asked, texts);
    assert.ok(texts.every((text) => earlier.functionsOf(file, text) !== undefined));
  });

  it('are parsed again when their file was closed', async () => {
    let parses = 0;
    const earlier = keepEarlierTexts(
      () => Promise.resolve((parses++, [])),
      () => undefined,
    );
    earlier.functionsOf(file, 'text');
    earlier.functionsOf(file, 'text');
    await Promise.resolve();
    earlier.forget(file);
    earlier.functionsOf(file, 'text');
    assert.equal(parses, 2);
  });
});
