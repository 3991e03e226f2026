// SPDX-License-Identifier: Apache-2.0
// A decoder for healthtel, from docs/FORMAT.md alone. Node 18 or a browser; no dependencies.
//
//     const birth = decodeBirth(birthBytes);               // Uint8Arrays
//     const frame = decodeFrame(frameBytes);
//     for (const series of readings(frame, birth)) {
//       console.log(birth.channels[series.channel].name, series.ticks, series.values);
//     }
//
// In a browser `await inflateFrame(frame)` comes before readings(): there, inflating takes a
// while. Each of the three throws a DecodeError on what it cannot read. A frame that breaks a
// rule breaks it as a whole: drop the series that were read before the error.
import { readBlocks } from './blocks.mjs';
import { readColumns } from './columns.mjs';
import { inflateFrameNow } from './inflate.mjs';
import { DecodeError } from './wire.mjs';

export { ALARM, NUMERIC, WAVEFORM, decodeBirth } from './birth.mjs';
export { decodeFrame } from './frame.mjs';
export { inflateFrame } from './inflate.mjs';
export { DecodeError };

// The frame's readings, a series at a time: {channel, kind, count, ticks, values, quality, phase,
// continues, alarms}.
export function* readings(frame, birth) {
  if (frame.schema !== birth.schema) {
    throw new DecodeError('schema', 'the frame is to be read with another birth');
  }
  if (frame.columns) yield* readColumns(frame.columns, frame.tick, birth);
  else yield* readBlocks(inflateFrameNow(frame).data, frame.tick, birth);
}
