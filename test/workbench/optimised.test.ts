// At -O2 a function may be inlined wherever it is called, or be cloned for its arguments. What the person edited is what
// the lens, the margin, the tree and the history speak of; where the code of it is, comes second.
import { strict as assert } from 'node:assert';
import type { Program } from '../support/program';
import { useWorkbench } from './host/use_workbench';
import { isGone, shows } from './host/browser';

const UNIT = `/* The lens of a function on the first line may be scrolled out of sight. */

static long leaf(long n) { return n * 3 + 1; }

__attribute__((noinline)) static long scaled(long n, long by) {
  return n * by + 5;
}

long value(long n) {
  return leaf(n) + scaled(n, 7);
}
`;

describe('a program that was compiled with -O2', () => {
  let program: Program;
  const world = useWorkbench(
    async (session) => {
      session.copySample('driver');
      session.write('unit.c', UNIT);
      await session.build({ sources: ['main.c', 'unit.c'], flags: ['-g', '-O2'] });
      program = await session.start();
    },
    { size: { width: 1400, height: 800 } },
  );
  const value = async (n: number) => Number(await program.ask(String(n)));
  const history = () =>
    world.workbench.page.locator('.pane', { hasText: 'History' }).locator('.monaco-list-row');

  it('shows an edit of a function that is inlined at that function', async () => {
    const { workbench } = world;
    await workbench.openFile('unit.c');
    await workbench.status(new RegExp(`program \\(${program.pid}\\)\\s*$`));
    await workbench.showView();
    await workbench.widenSideBar(160);
    assert.equal(await value(10), 31 + 75);
    await workbench.replace('n * 3 + 1', 'n * 9');
    await workbench.save();
    await shows(workbench.lens(/live in \d+ ms, inlined into value/));
    assert.equal(await value(10), 90 + 75);
    await workbench.marks('live', 2);
    await shows(history().filter({ hasText: /leaf and value.*n \* 3 \+ 1 → n \* 9/s }));
    await workbench.screenshot('inlined');
    await workbench.replace('n * 9', 'n * 8');
    await workbench.marks('differs', 1);
  });

  it('brings its original back from there', async () => {
    const { workbench } = world;
    await workbench.lens('Revert').first().click();
    await workbench.status(/original in \d+ ms/);
    await isGone(workbench.lens('inlined into'));
    assert.equal(await value(10), 31 + 75);
  });

  it('shows an edit of a function that was cloned at that function, in the tree by its name', async () => {
    const { workbench, session } = world;
    await workbench.replace('n * 8', 'n * 3 + 1');
    const symbols = await session.run('nm', ['program']);
    assert.match(symbols, /scaled\.constprop/);
    await workbench.replace('by + 5', 'by + 6');
    await workbench.save();
    await shows(workbench.lens(/Version \d live in \d+ ms/));
    assert.equal(await value(10), 31 + 76);
    await workbench.row(/scaled.*version 1 · constprop\.0.* · verified/s);
    await shows(history().filter({ hasText: /^scaled.*n \* by \+ 5 → n \* by \+ 6/s }));
    await workbench.screenshot('cloned');
  });

  it('takes a function out of the optimisation for a debugger, keeps it so in a save, and puts it back', async () => {
    const { workbench } = world;
    await workbench.lens('Debug at -O0').first().click();
    await shows(workbench.lens('at -O0 for debugging'));
    await workbench.row(/leaf.*at -O0 for debugging/s);
    assert.equal(await value(10), 31 + 76);
    await workbench.replace('n * 3 + 1', 'n * 5');
    await workbench.save();
    await shows(history().filter({ hasText: /n \* 3 \+ 1 → n \* 5/s }));
    assert.equal(await value(10), 50 + 76);
    await shows(workbench.lens('at -O0 for debugging'));
    await workbench.screenshot('deoptimised');
    await workbench.lens('Optimise Again').click();
    await isGone(workbench.lens('at -O0 for debugging'));
    assert.equal(await value(10), 50 + 76);
  });
});

describe('a header with a template', () => {
  const HEADER = `#pragma once

template <typename T>
T area(T width) {
  return width * 2;
}
`;
  const MAIN = `#include <cstdio>
#include "area.h"
int main() {
  long n;
  std::puts("ready");
  for (std::fflush(stdout); std::scanf("%ld", &n) == 1; std::fflush(stdout))
    std::printf("%d %ld\\n", area(static_cast<int>(n)), area(n));
}
`;
  let program: Program;
  const history = () =>
    world.workbench.page.locator('.pane', { hasText: 'History' }).locator('.monaco-list-row');
  const world = useWorkbench(async (session) => {
    session.write('area.h', HEADER);
    session.write('main.cc', MAIN);
    await session.build({ sources: ['main.cc'], flags: ['-g', '-O0'] });
    program = await session.start();
  });

  it('shows an edit at the template, for all of its instances, and takes all of them back from there', async () => {
    const { workbench } = world;
    await workbench.openFile('area.h');
    await workbench.status(`program (${program.pid})`);
    await workbench.showView();
    assert.equal(await program.ask('10'), '20 20');
    await workbench.replace('width * 2', 'width * 3');
    await workbench.save();
    await shows(workbench.lens(/Version 1 live in \d+ ms/));
    assert.equal(await program.ask('10'), '30 30');
    await workbench.marks('live', 1);
    await workbench.row(/area<int>.*version 1 · verified/s);
    await workbench.row(/area<long>.*version 1 · verified/s);
    // The template leads, with what changed in it.
    await shows(history().filter({ hasText: /^area\s*width \* 2 → width \* 3/ }));
    await workbench.screenshot('template');
    await workbench.clickLens('Revert', workbench.lens('⚡ Hot Patch'));
    assert.equal(await program.ask('10'), '20 20');
    await workbench.row(/area<int>.*original/s);
    await workbench.row(/area<long>.*original/s);
  });
});
