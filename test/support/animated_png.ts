// Puts pictures of one size one after the other into an animated PNG: Portable Network Graphics (Third Edition), 4.9 and
// 11.3.5. The pictures are PNGs; their pixels are packed again, not changed.
import { crc32, deflateSync, inflateSync } from 'node:zlib';

const SIGNATURE = Buffer.from('89504e470d0a1a0a', 'hex');

export interface Frame {
  readonly png: Buffer;
  /** Milliseconds that it is shown, below 65,536. */
  readonly shown: number;
}

/** It plays for ever. All frames must have the same header: size and kind of pixels. */
export function animatedPng(frames: readonly Frame[]): Buffer {
  const parts = frames.map(({ png, shown }) => ({ ...partsOf(png), shown }));
  const [first] = parts;
  if (!first || parts.some(({ header }) => !header.equals(first.header)))
    throw new Error('an animated picture has at least one frame, and all of one kind');
  let sequence = 0;
  const control = Buffer.alloc(8);
  control.writeUInt32BE(parts.length, 0);
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', first.header),
    chunk('acTL', control),
    ...parts.flatMap(({ header, pixels, shown }, index) => {
      const frame = Buffer.alloc(26);
      frame.writeUInt32BE(sequence++, 0);
      header.copy(frame, 4, 0, 8); // width and height
      frame.writeUInt16BE(shown, 20);
      frame.writeUInt16BE(1000, 22);
      // The first frame is the picture for those who know no animation.
      if (index === 0) return [chunk('fcTL', frame), chunk('IDAT', pixels)];
      const number = Buffer.alloc(4);
      number.writeUInt32BE(sequence++);
      return [chunk('fcTL', frame), chunk('fdAT', Buffer.concat([number, pixels]))];
    }),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function partsOf(png: Buffer): { header: Buffer; pixels: Buffer } {
  const data: Buffer[] = [];
  let header: Buffer | undefined;
  for (let at = SIGNATURE.length; at < png.length; at += 12 + png.readUInt32BE(at)) {
    const type = png.toString('latin1', at + 4, at + 8);
    const content = png.subarray(at + 8, at + 8 + png.readUInt32BE(at));
    if (type === 'IHDR') header = content;
    if (type === 'IDAT') data.push(content);
  }
  if (!header) throw new Error('no PNG');
  return { header, pixels: deflateSync(inflateSync(Buffer.concat(data)), { level: 9 }) };
}

function chunk(type: string, content: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type, 'latin1'), content]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(named));
  return Buffer.concat([length, named, sum]);
}
