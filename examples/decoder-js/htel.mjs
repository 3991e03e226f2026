#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Shows what is in capture files, as htel-cat does.
import { readFileSync, writeSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { ALARM, DecodeError, NUMERIC, WAVEFORM, decodeBirth, decodeFrame, readings }
  from './healthtel/healthtel.mjs';
import { entries } from './healthtel/capture.mjs';

const HELP = `Usage: htel.mjs --csv | --jsonl [OPTION...] FILE...
Shows what is in capture files, as htel-cat does.

  --csv          a row for each instant, a column for each channel
  --jsonl        a line for each numeric, alarm, and block of samples
  --no-time      csv: without t_ms
  --quality      csv: a column NAME.q after each channel
  --device ID    this device alone

Frames are shown in the order of device, boot and sequence, each once. What is damaged is told
on stderr, the rest is shown. Exit status: 0, 1 when something was damaged or missing, 64 the
command line is wrong.`;

const KINDS = ['numeric', 'waveform', 'alarm'];
const QUALITIES = ['valid', 'sensor_off', 'artefact', 'estimated', 'no_value', 'reserved_5',
  'reserved_6', 'reserved_7'];
const STATES = ['inactive', 'active', 'acknowledged', 'paused'];
const PRIORITIES = ['none', 'low', 'medium', 'high'];
const DAMAGED_TOLD = 50;
const OUT_CHARS = 1 << 16;

// What no device sends, although it can be decoded: docs/FORMAT.md, "What a decoder must check".
// (Ticks and times of more than 53 bits are not decoded here.)
const COUNT_MAX = (1n << 63n) - 1n;
const SAMPLES_MAX = 1048576, EVENTS_MAX = 65536; // in a frame

const say = (text) => console.error(`htel.mjs: ${text}`);
const order = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

// Lines to stdout, many at a time.
class Out {
  constructor() {
    this.text = '';
  }

  line(text) {
    this.text += text + '\n';
    if (this.text.length > OUT_CHARS) this.flush();
  }

  flush() {
    let bytes = Buffer.from(this.text, 'latin1'); // names are ASCII
    this.text = '';
    while (bytes.length > 0) {
      try {
        bytes = bytes.subarray(writeSync(1, bytes));
      } catch (error) {
        if (error.code !== 'EAGAIN') throw error; // a pipe that is full
      }
    }
  }
}

const channelName = (channel) => channel.name || `code_${channel.code}_${channel.index}`;

function checkRanges(frame) {
  for (const loss of frame.losses) {
    if (loss.tickFirst > loss.tickLast || loss.id === 0 || loss.boot > COUNT_MAX ||
        loss.bootLast > COUNT_MAX) {
      throw new DecodeError('format', 'a loss record is out of range, or has no id');
    }
  }
}

// All series of a frame, where they are not more than a device sends.
function readAll(frame, birth) {
  const found = [];
  let samples = 0, events = 0;
  for (const series of readings(frame, birth)) {
    if (series.kind === WAVEFORM) samples += series.count;
    else events += series.count;
    if (samples > SAMPLES_MAX || events > EVENTS_MAX) {
      throw new DecodeError('too_large', 'more readings than a frame may hold');
    }
    found.push(series);
  }
  return found;
}

// ---- All frames, births and anchors of the files --------------------------------------------

class Input {
  constructor(deviceWanted) {
    this.deviceWanted = deviceWanted;
    this.births = new Map(); // "device schema" -> birth, in the order they came
    this.anchors = new Map(); // "device boot" -> [sequence, anchor]
    this.items = [];
    this.damaged = 0;
  }

  tell(file, offset, why) {
    this.damaged++;
    if (this.damaged < DAMAGED_TOLD) say(`${file}: at byte ${offset}: ${why}`);
    else if (this.damaged === DAMAGED_TOLD) say('what else is damaged is only counted');
  }

  addFile(path) {
    const tell = (offset, why) => this.tell(path, offset, why);
    for (const entry of entries(readFileSync(path), tell)) {
      if (this.deviceWanted !== undefined && this.deviceWanted !== entry.device) continue;
      this.careful(path, entry.offset, () => this.add(path, entry));
    }
  }

  // Does what may find something damaged, and tells that. Undefined then.
  careful(path, offset, work) {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.tell(path, offset, error.message);
      return undefined;
    }
  }

  add(path, { offset, device, isFrame, bytes }) {
    if (!isFrame) {
      const birth = decodeBirth(bytes);
      const key = `${device} ${birth.schema}`;
      if (!this.births.has(key)) this.births.set(key, birth);
      return;
    }
    const frame = decodeFrame(bytes);
    checkRanges(frame);
    const key = `${device} ${frame.boot}`;
    if (!this.anchors.has(key)) this.anchors.set(key, []);
    for (const anchor of frame.anchors) {
      this.anchors.get(key).push({ ...anchor, sequence: frame.sequence });
    }
    this.items.push({ device, frame, bytes, path, offset });
  }

  // Frames in order, each once; anchors by tick, of several at one tick the last one counts.
  sort() {
    this.items.sort((a, b) => order(a.device, b.device) || order(a.frame.boot, b.frame.boot) ||
      order(a.frame.sequence, b.frame.sequence));
    const kept = [];
    let repeated = 0;
    for (const item of this.items) {
      const last = kept.at(-1);
      if (!last || last.device !== item.device || last.frame.boot !== item.frame.boot ||
          last.frame.sequence !== item.frame.sequence) {
        kept.push(item);
      } else if (Buffer.compare(item.bytes, last.bytes) === 0) {
        repeated++;
      } else {
        this.tell(item.path, item.offset,
          'another frame came before under this key; passed over');
      }
    }
    this.items = kept;
    if (repeated > 0) say(`${repeated} frames came more than once and are shown once`);
    for (const found of this.anchors.values()) {
      found.sort((a, b) => order(a.tick, b.tick) || order(a.sequence, b.sequence));
    }
  }

  // UTC at tick 0 of the boot: by the latest anchor that is not after the frame, else by the
  // earliest one there is; undefined without anchors.
  offsetMs(item) {
    const anchors = this.anchors.get(`${item.device} ${item.frame.boot}`);
    const before = anchors.filter((anchor) => anchor.tick <= item.frame.tick);
    const first = anchors.filter((anchor) => anchor.tick === anchors[0].tick);
    const anchor = before.at(-1) ?? first.at(-1);
    return anchor && anchor.utcMs - anchor.tick;
  }

  // {item, birth, series} of every frame that can be read as a whole.
  * decoded() {
    for (const item of this.items) {
      const birth = this.births.get(`${item.device} ${item.frame.schema}`);
      if (!birth) {
        this.tell(item.path, item.offset, 'its birth is not here');
        continue;
      }
      const series = this.careful(item.path, item.offset, () => readAll(item.frame, birth));
      if (series) yield { item, birth, series };
    }
  }
}

// ---- CSV ------------------------------------------------------------------------------------

// Names of the columns, and "device schema" -> column of each channel, null for alarms. Births
// share a column where a channel has the same name; within a birth two of one name are two.
function makeColumns(input) {
  const names = [], columns = new Map();
  const used = new Set(input.items.map((item) => item.frame.schema));
  for (const [key, birth] of input.births) {
    if (!used.has(birth.schema)) continue;
    const mine = [];
    for (const channel of birth.channels) {
      if (channel.kind === ALARM) {
        mine.push(null);
        continue;
      }
      const name = channelName(channel);
      let at = names.findIndex((other, i) => other === name && !mine.includes(i));
      if (at < 0) at = names.push(name) - 1;
      mine.push(at);
    }
    columns.set(key, mine);
  }
  return { names, columns };
}

// What one column has of one boot, in the order of time.
class ColumnCells {
  constructor() {
    this.parts = []; // {series, order, offset}: a part's reading i has the order `order + i`
    this.sorted = true;
    this.lastTick = -1;
  }

  add(series, order, offset) {
    for (const tick of series.ticks) {
      if (tick < this.lastTick) this.sorted = false;
      this.lastTick = tick;
    }
    this.parts.push({ series, order, offset });
  }

  // The cells, {tick, order, ms, value, quality}, by tick and then as they came.
  * cells() {
    if (this.sorted) {
      yield* this.each();
      return;
    }
    yield* [...this.each()].sort((a, b) => a.tick - b.tick || a.order - b.order);
  }

  * each() {
    for (const { series, order, offset } of this.parts) {
      for (let i = 0; i < series.count; i++) {
        const tick = series.ticks[i];
        yield { tick, order: order + i, ms: tick + offset, value: series.values[i],
          quality: series.quality[i] };
      }
    }
  }
}

// Rows of one boot: one for each tick, or as many as one channel has readings at it (faster than
// 1000 Hz). A row has a cell or undefined for each column.
function* rowsOf(columns) {
  const heads = columns.map((column) => {
    const cells = column.cells();
    return { cells, cell: cells.next().value };
  });
  for (;;) {
    let tick = Infinity;
    for (const { cell } of heads) if (cell && cell.tick < tick) tick = cell.tick;
    if (tick === Infinity) return;
    for (;;) {
      let earliest;
      const row = heads.map((head) => {
        const { cell } = head;
        if (!cell || cell.tick !== tick) return undefined;
        head.cell = head.cells.next().value;
        if (!earliest || cell.order < earliest.order) earliest = cell;
        return cell;
      });
      if (!earliest) break;
      yield { ms: earliest.ms, row };
    }
  }
}

function quoted(name, after) {
  if (!/[",]/.test(name)) return name + after;
  return `"${name.replaceAll('"', '""')}${after}"`;
}

function printBoot(out, columns, options) {
  for (const { ms, row } of rowsOf(columns)) {
    const line = options['no-time'] ? [] : [ms];
    for (const cell of row) {
      line.push(cell ? cell.value : '');
      if (options.quality) line.push(cell ? QUALITIES[cell.quality] : '');
    }
    out.line(line.join(','));
  }
}

function printCsv(out, input, options) {
  if (new Set(input.items.map((item) => item.device)).size > 1) {
    say('--csv shows one device, and there are several: choose one with --device');
    return false;
  }
  const { names, columns } = makeColumns(input);
  const header = options['no-time'] ? [] : ['t_ms'];
  for (const name of names) {
    header.push(quoted(name, ''));
    if (options.quality) header.push(quoted(name, '.q'));
  }
  out.line(header.join(','));
  let boot, cells = [], count = 0;
  for (const { item, birth, series } of input.decoded()) {
    if (item.frame.boot !== boot) {
      printBoot(out, cells, options);
      boot = item.frame.boot;
      cells = names.map(() => new ColumnCells());
    }
    const mine = columns.get(`${item.device} ${birth.schema}`);
    const offset = input.offsetMs(item) ?? 0;
    for (const one of series) {
      if (mine[one.channel] !== null) cells[mine[one.channel]].add(one, count, offset);
      count += one.count;
    }
  }
  printBoot(out, cells, options);
  return true;
}

// ---- JSON lines -----------------------------------------------------------------------------

// BigInts as numbers: JSON has no bound for them.
const toJson = (object) => `{${Object.entries(object)
  .filter(([, value]) => value !== undefined)
  .map(([key, value]) => `"${key}":${typeof value === 'bigint' ? value : JSON.stringify(value)}`)
  .join(',')}}`;

// One for each numeric reading and alarm, one for a block of samples.
function printSeries(out, { item, birth }, series, offset) {
  const channel = birth.channels[series.channel];
  const { boot, sequence, session } = item.frame;
  const rows = series.kind === WAVEFORM ? 1 : series.count;
  for (let i = 0; i < rows; i++) {
    const tick = series.ticks[i];
    const utc_ms = offset === undefined ? undefined : tick + offset;
    const head = { device: item.device, boot, sequence, session, kind: KINDS[series.kind],
      channel: channelName(channel), tick, utc_ms };
    if (series.kind === WAVEFORM) {
      const quality = series.quality.some((one) => one !== 0) ? [...series.quality] : undefined;
      out.line(toJson({ ...head, phase: series.phase, rate: [channel.rateNum, channel.rateDen],
        samples: [...series.values], quality }));
    } else if (series.kind === NUMERIC) {
      out.line(toJson({ ...head, value: series.values[i], quality: series.quality[i] }));
    } else {
      const { code, state, priority, latched, source } = series.alarms[i];
      out.line(toJson({ ...head, code, state: STATES[state], priority: PRIORITIES[priority],
        latched, source: source === null ? undefined : channelName(birth.channels[source]) }));
    }
  }
}

function printJsonl(out, input) {
  for (const one of input.decoded()) {
    const offset = input.offsetMs(one.item);
    for (const series of one.series) printSeries(out, one, series, offset);
  }
  return true;
}

// ---- The command line -----------------------------------------------------------------------

function parse() {
  const boolean = { type: 'boolean' };
  const options = { csv: boolean, jsonl: boolean, 'no-time': boolean, quality: boolean,
    device: { type: 'string' }, help: { type: 'boolean', short: 'h' } };
  try {
    const { values, positionals } = parseArgs({ options, allowPositionals: true });
    if (values.help) {
      console.log(HELP);
      process.exit(0);
    }
    if (!values.csv === !values.jsonl) throw new Error('give one of --csv and --jsonl');
    if (positionals.length === 0) throw new Error('give a FILE');
    return { values, files: positionals };
  } catch (error) {
    say(error.message);
    console.error(HELP.split('\n')[0]);
    return process.exit(64);
  }
}

function main() {
  const { values, files } = parse();
  const input = new Input(values.device), out = new Out();
  let good = true;
  for (const path of files) {
    try {
      input.addFile(path);
    } catch (error) {
      if (!error.code) throw error;
      say(`${path}: ${error.message}`);
      good = false;
    }
  }
  input.sort();
  good = (values.csv ? printCsv : printJsonl)(out, input, values) && good;
  out.flush();
  return good && input.damaged === 0 ? 0 : 1;
}

try {
  process.exitCode = main();
} catch (error) {
  if (error.code !== 'EPIPE') throw error;
  process.exitCode = 1;
}
