// Is the code of a fresh function the code that is live at some address? Byte by byte, else instruction by instruction,
// with the relocated fields left to reference_comparison.ts; then exception tables. Part of the comparison of unit.ts.
// Chooses no counterparts: what refers to other functions becomes an expectation.
import { BRANCH, type Decoded, INVALID, isRelative, PADDING } from '../arch/architecture';
import { readExceptionTable, typeEntry } from '../elf/exception_table';
import type { ObjectFile, ObjectFunction } from '../elf/object';
import type { ObjectReferences, Reference } from './object_references';
import { exceptionTables, readUnwind, type Unwind } from '../elf/unwind';
import type { Image } from '../live/live_image';
import { sameExceptionTables } from './exception_tables';
import { DIFFERENT, type Expectation, type Match } from './match';
import type { UnitFacts } from './facts';
import type { ReferenceComparison } from './reference_comparison';

export class CodeComparison {
  private unwind: Unwind | undefined;

  constructor(
    private readonly object: ObjectFile,
    private readonly references: ObjectReferences,
    private readonly comparison: ReferenceComparison,
    private readonly isUnedited: UnitFacts['isUnedited'],
  ) {}

  /** Compares a function with the live bytes at an address. */
  compare(fn: ObjectFunction, image: Image, address: number, size: number): Match {
    const live = image.bytes(address, size);
    if (!live) return DIFFERENT;
    const match = this.compareText(fn, live, address);
    return match.equal && this.sameHandlers(fn, image, address, size, match) ? match : DIFFERENT;
  }

  /** Compares a part of a function (offsets in it) with live bytes. Jumps that lead out of both are taken for the same,
   * and exceptions are not looked at. */
  compareRange(
    fn: ObjectFunction,
    { start, end }: { start: number; end: number },
    live: Buffer,
    address: number,
  ): Match {
    const part = { ...fn, offset: fn.offset + start, size: end - start };
    const references = this.references
      .of(fn)
      .filter(({ offset }) => offset >= part.offset && offset < part.offset + part.size);
    return this.compareInstructions(part, this.object.code(part), live, address, references, true);
  }

  private compareText(fn: ObjectFunction, live: Buffer, address: number): Match {
    const { arch } = this.references;
    const fresh = this.object.code(fn);
    const references = this.references.of(fn);
    if (fresh.length === live.length) {
      const quick = (code: Buffer): Match | undefined => {
        const expectations: Expectation[] = [];
        const verdict = this.compareBytes(fn, code, live, address, references, expectations);
        if (verdict === 'reference') return DIFFERENT;
        return verdict === 'equal' ? { equal: true, expectations, offsets: undefined } : undefined;
      };
      const match = quick(fresh);
      if (match) return match;
      const code = this.isUnedited?.(fn) ? arch.withFrameSizesOf(fresh, live) : undefined;
      const framed = code && quick(code);
      if (framed) return framed;
    }
    return this.compareInstructions(fn, fresh, live, address, references);
  }

  /** Are exceptions handled alike? Adds to the expectations of the match. */
  private sameHandlers(
    fn: ObjectFunction,
    image: Image,
    address: number,
    size: number,
    { offsets, expectations }: Match,
  ): boolean {
    const tables = exceptionTables(image.elf);
    if (!tables) return true;
    const fresh = (this.unwind ??= readUnwind(this.object)).exceptionTable(fn);
    const place = tables.get(address - image.bias);
    if (!fresh || place === undefined) return !fresh === (place === undefined);
    const home = image.sectionAt(place + image.bias);
    const one = readExceptionTable(this.object.elf.data(fresh.section), fresh.offset);
    const two = home && readExceptionTable(image.elf.data(home), place - home.address);
    // Not written by a compiler that is known: nothing can be said.
    if (!home || !one || !two) return true;
    if (one.typeEncoding !== two.typeEncoding) return false;
    return sameExceptionTables({
      fresh: one,
      live: two,
      position: (offset) => (!offsets ? offset : offset === fn.size ? size : offsets.get(offset)),
      sameType: (type, other) => {
        const entry = typeEntry(one, type);
        const there = typeEntry(two, other);
        const at = image.bias + home.address + there.at;
        const bytes = two.bytes.subarray(there.at, there.at + there.size);
        const relocation = this.object.relocationsIn(fresh.section, entry.at, entry.at + entry.size)[0];
        // `catch (...)`
        if (!relocation) return bytes.every((byte) => byte === 0);
        return this.comparison.constants.samePointer(
          fresh.section,
          relocation,
          image,
          bytes,
          entry.at,
          at,
          false,
          expectations,
        );
      },
    });
  }

  /** The quick way: same length, byte by byte with the relocated fields left out. */
  private compareBytes(
    fn: ObjectFunction,
    fresh: Buffer,
    live: Buffer,
    address: number,
    references: readonly Reference[],
    expectations: Expectation[],
  ): 'equal' | 'bytes' | 'reference' {
    const { arch } = this.references;
    let at = 0;
    for (let i = 0; i < references.length; i++) {
      const reference = references[i]!;
      const field = reference.offset - fn.offset;
      const found = arch.linkedForm(reference, fresh, field, live, field, address);
      if (!found) return 'bytes';
      if (found.start > at && fresh.compare(live, at, found.start, at, found.start) !== 0) return 'bytes';
      if (!this.comparison.sameReference(reference, found, expectations)) return 'reference';
      at = Math.max(at, found.end);
      i += found.covers;
    }
    return fresh.compare(live, at, live.length, at, fresh.length) === 0 ? 'equal' : 'bytes';
  }

  /** The thorough way: instruction by instruction, padding left out, so that the assembler's choice between short
   * and near jumps (which depends on what shares the section) makes no difference. */
  private compareInstructions(
    fn: ObjectFunction,
    fresh: Buffer,
    live: Buffer,
    address: number,
    references: readonly Reference[],
    mayLeave = false,
  ): Match {
    const { arch } = this.references;
    const a = arch.decode(fresh);
    const b = arch.decode(live);
    const expectations: Expectation[] = [];
    const offsets = new Map<number, number>();
    const branches: { fresh: number; live: number }[] = [];
    let i = 0;
    let j = 0;
    let next = 0;
    for (;;) {
      i = skipPadding(a, i, offsets, j < b.count ? b.offsets[j]! : live.length);
      j = skipPadding(b, j);
      if (i >= a.count || j >= b.count) break;
      if (a.kinds[i]! & INVALID || b.kinds[j]! & INVALID) return DIFFERENT;
      const start = a.offsets[i]!;
      const end = start + a.lengths[i]!;
      const liveStart = b.offsets[j]!;
      const liveEnd = liveStart + b.lengths[j]!;
      offsets.set(start, liveStart);
      while (next < references.length && references[next]!.offset - fn.offset < start) next++;
      const reference = references[next];
      const field = reference ? reference.offset - fn.offset : -1;
      if (reference && field < end) {
        if (
          a.kinds[i]! & BRANCH &&
          b.kinds[j]! & BRANCH &&
          a.codes[i] === b.codes[j] &&
          isRelative(reference.meaning) &&
          field === end - reference.beyond
        ) {
          // A direct branch to a symbol: one may be short, where both were in one section.
          const value = address + b.targets[j]! - reference.beyond;
          const found = { start: 0, end: 0, covers: 0, kind: 'address', value } as const;
          if (!this.comparison.sameReference(reference, found, expectations)) return DIFFERENT;
          next++;
          i++;
          j++;
          continue;
        }
        // Relocated fields sit equally far from the end of their instruction, but where the linker wrote several
        // instructions in place of one.
        let liveField = liveEnd - (end - field);
        let found = arch.linkedForm(reference, fresh, field, live, liveField, address);
        if (!found) {
          liveField = liveStart + (field - start);
          found = arch.linkedForm(reference, fresh, field, live, liveField, address);
        }
        if (!found || !this.comparison.sameReference(reference, found, expectations)) return DIFFERENT;
        const second = references[next + 1];
        if (found.covers === 0 && second && second.offset - fn.offset < end) {
          // Two fields in one instruction (`movl $symbol, variable(%rip)`).
          const secondAt = second.offset - fn.offset;
          const other = arch.linkedForm(second, fresh, secondAt, live, liveEnd - (end - secondAt), address);
          if (!other || !this.comparison.sameReference(second, other, expectations)) return DIFFERENT;
          next++;
        } else if (found.covers === 0 && (found.kind !== 'target' || liveEnd - liveStart === end - start)) {
          const before = Math.max(found.start, liveStart) - liveStart;
          if (fresh.compare(live, liveStart, liveStart + before, start, start + before) !== 0)
            return DIFFERENT;
          const behind = Math.min(found.end, liveEnd);
          if (fresh.compare(live, behind, liveEnd, start + (behind - liveStart), end) !== 0) return DIFFERENT;
        }
        next++;
        i++;
        j++;
        // Rewritten TLS sequences and `jmp foo; nop` span several instructions on both sides.
        if (found.covers) {
          const liveStop = found.end;
          const freshStop = liveStop - liveField + field;
          while (i < a.count && a.offsets[i]! < freshStop) i++;
          while (j < b.count && b.offsets[j]! < liveStop) j++;
          next += found.covers;
        }
        continue;
      }
      if (a.kinds[i]! & BRANCH && b.kinds[j]! & BRANCH) {
        if (a.codes[i] !== b.codes[j]) return DIFFERENT;
        branches.push({ fresh: a.targets[i]!, live: b.targets[j]! });
      } else if (
        end - start !== liveEnd - liveStart ||
        fresh.compare(live, liveStart, liveEnd, start, end) !== 0
      )
        return DIFFERENT;
      i++;
      j++;
    }
    if (i < a.count || j < b.count) return DIFFERENT;
    offsets.set(fresh.length, live.length);
    const leaves = (target: number, { length }: Buffer): boolean => target < 0 || target > length;
    for (const branch of branches) {
      if (mayLeave && leaves(branch.fresh, fresh) && leaves(branch.live, live)) continue;
      if (offsets.get(branch.fresh) !== branch.live) return DIFFERENT;
    }
    return { equal: true, expectations, offsets };
  }
}

function skipPadding(decoded: Decoded, from: number, offsets?: Map<number, number>, live?: number): number {
  let i = from;
  while (i < decoded.count && decoded.kinds[i]! & PADDING) {
    // A loop head may be aligned: branches to the padding in front of it mean what follows it.
    if (offsets && live !== undefined && !offsets.has(decoded.offsets[i]!))
      offsets.set(decoded.offsets[i]!, live);
    i++;
  }
  return i;
}
