// Addresses of what relocations mean, as values of the patch.
import type { LiveImage } from '../live/live_image';
import type { Target } from './select';

export function addressOfTarget(target: Target): number {
  switch (target.kind) {
    case 'live':
      return target.address;
    case 'chunk':
      return target.chunk.address + target.offset;
    case 'absolute':
      return target.value;
    case 'import':
    case 'thread-local':
      throw new Error(`${target.kind} has no address of its own`);
  }
}

/** What a thread-local variable is from the thread pointer. */
export function threadOffset(live: LiveImage, offset: number): number {
  const { tls, arch } = live.module;
  if (!tls) throw new Error('a thread-local variable in a module without PT_TLS');
  return arch.threadOffset(tls, offset);
}

export function write64signed(bytes: Buffer, offset: number, value: number): void {
  bytes.writeBigInt64LE(BigInt(value), offset);
}
