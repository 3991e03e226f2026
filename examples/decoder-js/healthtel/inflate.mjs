// SPDX-License-Identifier: Apache-2.0
// Deflated data. Node's zlib does it at once; browsers have DecompressionStream, which takes a
// while: so there, `await inflateFrame(frame)` comes before readings(frame, birth).
import { bad } from './wire.mjs';

const zlib = globalThis.process?.versions?.node ? await import('node:zlib') : null;

function inflatedNow(frame) {
  try {
    const { buffer, engine } = zlib.inflateRawSync(frame.data, {
      maxOutputLength: frame.dataSize,
      info: true,
    });
    if (engine.bytesWritten === frame.data.length) return buffer;
  } catch {
    throw bad('the data cannot be inflated to its size');
  }
  throw bad('there is something behind the deflated data');
}

async function inflatedStream(frame) {
  const out = new Uint8Array(frame.dataSize);
  let size = 0;
  try {
    const stream = new Blob([frame.data]).stream()
      .pipeThrough(new DecompressionStream('deflate-raw'));
    for (const reader = stream.getReader();;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (size + value.length > out.length) {
        await reader.cancel();
        throw bad('too much');
      }
      out.set(value, size);
      size += value.length;
    }
  } catch {
    throw bad('the data cannot be inflated to its size');
  }
  return out.subarray(0, size);
}

function stored(frame, data) {
  if (data.length !== frame.dataSize) throw bad('the data inflates to another size');
  return { ...frame, coding: 0, dataSize: 0, data };
}

// The frame with its blocks stored; a promise of it.
export async function inflateFrame(frame) {
  if (frame.coding === 0) return frame;
  return stored(frame, zlib ? inflatedNow(frame) : await inflatedStream(frame));
}

// The same at once, where that can be.
export function inflateFrameNow(frame) {
  if (frame.coding === 0) return frame;
  if (!zlib) throw new TypeError('in a browser: await inflateFrame(frame) first');
  return stored(frame, inflatedNow(frame));
}
