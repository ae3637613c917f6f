// PNG as small as it goes without losing anything, and pictures of one size one after the other in an animated one: Portable
// Network Graphics (Third Edition), 4.9, 9 and 11.3.5. Of a frame behind the first only the pixels are
// kept that differ from the one before: the others have a colour that is transparent, which no frame has.
import { crc32, deflateSync, inflateSync } from 'node:zlib';

const SIGNATURE = Buffer.from('89504e470d0a1a0a', 'hex');

export interface Frame {
  readonly png: Buffer;
  /** Milliseconds that it is shown, below 65,536. */
  readonly shown: number;
}

/** Samples of eight bits, as browsers write them, without filters. */
interface Picture {
  readonly header: Buffer;
  readonly width: number;
  readonly height: number;
  /** Bytes of a pixel. */
  readonly depth: number;
  readonly pixels: Buffer;
}

interface Rectangle {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** The same picture in fewer bytes. One that is animated was packed when it was made. */
export function packedPng(png: Buffer): Buffer {
  if (png.includes('acTL')) return png;
  const picture = read(png);
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', picture.header),
    chunk('IDAT', packed(picture, wholeOf(picture))),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

/** It plays for ever. All frames must have the same header: size and kind of pixels. */
export function animatedPng(frames: readonly Frame[]): Buffer {
  const pictures = frames.map(({ png }) => read(png));
  const [first] = pictures;
  if (!first || pictures.some(({ header }) => !header.equals(first.header)))
    throw new Error('an animated picture has at least one frame, and all of one kind');
  const transparent = unusedColour(pictures);
  let sequence = 0;
  const number = (): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(sequence++);
    return bytes;
  };
  const control = Buffer.alloc(8);
  control.writeUInt32BE(frames.length, 0);
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', first.header),
    chunk('acTL', control),
    chunk('tRNS', Buffer.from([...transparent].flatMap((sample) => [0, sample]))),
    ...pictures.flatMap((picture, index) => {
      const before = pictures[index - 1];
      const place = before ? differing(before, picture) : wholeOf(picture);
      const about = Buffer.alloc(22);
      // Over the frame before (APNG_BLEND_OP_OVER), which stays.
      about[21] = before ? 1 : 0;
      for (const [field, value] of [place.width, place.height, place.x, place.y].entries())
        about.writeUInt32BE(value, field * 4);
      about.writeUInt16BE(frames[index]!.shown, 16);
      about.writeUInt16BE(1000, 18);
      const frame = chunk('fcTL', Buffer.concat([number(), about]));
      const pixels = packed(before ? onlyChanged(before, picture, transparent) : picture, place);
      // The first frame is the picture for those who know no animation.
      return before
        ? [frame, chunk('fdAT', Buffer.concat([number(), pixels]))]
        : [frame, chunk('IDAT', pixels)];
    }),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

const wholeOf = ({ width, height }: Picture): Rectangle => ({ x: 0, y: 0, width, height });

/** One pixel where nothing differs: a frame has at least one. */
function differing(before: Picture, after: Picture): Rectangle {
  const { width, height, depth } = after;
  let [left, right, top, bottom] = [width, -1, height, -1];
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const at = (y * width + x) * depth;
      if (before.pixels.compare(after.pixels, at, at + depth, at, at + depth) === 0) continue;
      left = Math.min(left, x);
      right = Math.max(right, x);
      top = Math.min(top, y);
      bottom = y;
    }
  if (right < 0) return { x: 0, y: 0, width: 1, height: 1 };
  return { x: left, y: top, width: right - left + 1, height: bottom - top + 1 };
}

function onlyChanged(before: Picture, after: Picture, transparent: Buffer): Picture {
  const pixels = Buffer.from(after.pixels);
  for (let at = 0; at < pixels.length; at += 3)
    if (before.pixels.compare(pixels, at, at + 3, at, at + 3) === 0) transparent.copy(pixels, at);
  return { ...after, pixels };
}

/** Red, green and blue of a colour that none of them has. */
function unusedColour(pictures: readonly Picture[]): Buffer {
  if (pictures.some(({ depth }) => depth !== 3))
    throw new Error('the pictures of an animated one are opaque');
  const used = new Set<number>();
  for (const { pixels } of pictures)
    for (let at = 0; at < pixels.length; at += 3) used.add(pixels.readUIntBE(at, 3));
  let colour = 0xff00ff;
  while (used.has(colour)) colour--;
  const bytes = Buffer.alloc(3);
  bytes.writeUIntBE(colour, 0, 3);
  return bytes;
}

/** Scan lines of a rectangle, with whichever filters make them smallest: none, or of each line the one with the smallest
 * sum of differences (12.7). */
function packed({ pixels, width, depth }: Picture, place: Rectangle): Buffer {
  const length = place.width * depth;
  const lines = Array.from({ length: place.height }, (_, row) => {
    const at = ((place.y + row) * width + place.x) * depth;
    return pixels.subarray(at, at + length);
  });
  const plain: Buffer[] = [];
  const filtered: Buffer[] = [];
  let above: Buffer = Buffer.alloc(length);
  for (const line of lines) {
    const kinds = [0, 1, 2, 3, 4].map((kind) => filter(kind, line, above, depth));
    const sums = kinds.map(sumOf);
    plain.push(kinds[0]!);
    filtered.push(kinds[sums.indexOf(Math.min(...sums))]!);
    above = line;
  }
  const made = [plain, filtered].map((all) => deflateSync(Buffer.concat(all), { level: 9, memLevel: 9 }));
  return made[0]!.length <= made[1]!.length ? made[0]! : made[1]!;
}

function filter(kind: number, line: Buffer, above: Buffer, depth: number): Buffer {
  const bytes = Buffer.alloc(line.length + 1);
  bytes[0] = kind;
  for (let i = 0; i < line.length; i++)
    bytes[i + 1] = line[i]! - predicted(kind, line[i - depth] ?? 0, above[i]!, above[i - depth] ?? 0);
  return bytes;
}

const sumOf = (line: Buffer): number => {
  let sum = 0;
  for (let i = 1; i < line.length; i++) sum += Math.min(line[i]!, 256 - line[i]!);
  return sum;
};

/** What a filter takes a byte for (9.2), from those to the left, above, and above to the left. */
function predicted(kind: number, a: number, b: number, c: number): number {
  if (kind === 1) return a;
  if (kind === 2) return b;
  if (kind === 3) return (a + b) >> 1;
  if (kind !== 4) return 0;
  const [toA, toB, toC] = [Math.abs(b - c), Math.abs(a - c), Math.abs(a + b - 2 * c)];
  if (toA <= toB && toA <= toC) return a;
  return toB <= toC ? b : c;
}

function read(png: Buffer): Picture {
  const data: Buffer[] = [];
  let header: Buffer | undefined;
  for (let at = SIGNATURE.length; at < png.length; at += 12 + png.readUInt32BE(at)) {
    const type = png.toString('latin1', at + 4, at + 8);
    const content = png.subarray(at + 8, at + 8 + png.readUInt32BE(at));
    if (type === 'IHDR') header = content;
    if (type === 'IDAT') data.push(content);
  }
  if (!header) throw new Error('no PNG');
  const depth = { 2: 3, 6: 4 }[header[9]!];
  if (header[8] !== 8 || depth === undefined || header[12] !== 0)
    throw new Error('a PNG of another kind than browsers write');
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const lines = inflateSync(Buffer.concat(data));
  const length = width * depth;
  const pixels = Buffer.alloc(length * height);
  let above: Buffer = Buffer.alloc(length);
  for (let y = 0; y < height; y++) {
    const kind = lines[y * (length + 1)]!;
    const line = pixels.subarray(y * length, (y + 1) * length);
    for (let i = 0; i < length; i++)
      line[i] =
        lines[y * (length + 1) + 1 + i]! +
        predicted(kind, line[i - depth] ?? 0, above[i]!, above[i - depth] ?? 0);
    above = line;
  }
  return { header, width, height, depth, pixels };
}

function chunk(type: string, content: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type, 'latin1'), content]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(named));
  return Buffer.concat([length, named, sum]);
}
