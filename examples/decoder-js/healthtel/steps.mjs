// SPDX-License-Identifier: Apache-2.0
// How likely is each next step of a series, and which one is it? docs/FORMAT.md, "A step". All of
// the model's constants are here.
//
// Everything is whole and below 2^53, so plain numbers are exact: a shift to the right of what
// may be over 32 bits is a division by a power of two and Math.floor.

export const ORDERS = [0, 1, 2, 2, 4, 8, 12]; // factors, by form
export const FIXED = [[], [64], [128, -64]]; // of the forms that have none of their own
const FIXED_PRECISION = 6;
export const OTHERS = 2;
export const ORDER_MAX = 12;

const USUAL = 0, BURST = 1, SAME = 2, NEAR = 3, OPINIONS = 4;
const FIRST_WEIGHTS = { waveform: [30280, 26000, 9000, 0], numeric: [34280, 15000, 7000, 9000] };
const WEIGHTS_LEAST = { waveform: [200, 200, 200, 0], numeric: [200, 200, 200, 200] };
const WEIGHTS_SHARED = 64480;
const REPEATS_MAX = 3;
export const SCALE_MAX = 20;
const BUCKETS = 128; // to each side
const WHOLE = 65536;
const FAR = 5; // usual bits of what is beyond the outermost bucket
const SHARP_USUAL = 13981013, SHARP_BURST = 11650844, SHARP_NEAR = 4660337;
const ERROR_FIRST = 32, ERROR_NEAR_TIMES = 4, ERROR_MORE = 32, ERROR_BITS = 13;
const ERROR_MAX = 134217727;
const SHIFT_BURST = 2, SHIFT_NEAR = 4;

const LOGISTIC_UP = [
  32768, 34813, 36843, 38841, 40793, 42687, 44511, 46254, 47911, 49474, 50941, 52310, 53581,
  54754, 55834, 56822, 57724, 58544, 59287, 59959, 60565, 61109, 61598, 62036, 62428, 62778,
  63090, 63368, 63615, 63835, 64030, 64203, 64357, 64494, 64614, 64721, 64816, 64900, 64974,
  65039, 65097, 65149, 65194, 65234, 65269, 65300, 65328, 65352, 65374, 65393, 65410, 65425,
  65438, 65449, 65459, 65468, 65476, 65483, 65489, 65495, 65500, 65504, 65508, 65511, 65514,
  65517, 65519, 65521, 65523, 65524, 65526, 65527, 65528, 65529, 65530, 65530, 65531, 65532,
  65532, 65533, 65533, 65533, 65534, 65534, 65534, 65534, 65535, 65535, 65535, 65535, 65535,
  65535, 65535, 65535, 65535, 65535, 65535];
// From -96 to 97.
const LOGISTIC = Int32Array.of(...LOGISTIC_UP.slice(1).reverse().map((up) => WHOLE - up),
  ...LOGISTIC_UP, LOGISTIC_UP.at(-1));
const LOGISTIC_END = 24576;

const length = (n) => 32 - Math.clz32(n);
const clamp = (value, limit) => Math.max(-limit, Math.min(limit, value));

// `x` fits 32 bits.
function bell(x) {
  const y = Math.max(0, Math.min(2 * LOGISTIC_END, (x >> 8) + LOGISTIC_END));
  const low = LOGISTIC[y >> 8];
  return low + ((LOGISTIC[(y >> 8) + 1] - low) * (y & 255) >> 8);
}

const moved = (error, by, shift) => error + (16 * Math.min(by, ERROR_MAX) - error >> shift);

// A sum of the last steps, each times a factor.
export class Predictor {
  constructor(form) {
    this.form = form;
    this.precision = FIXED_PRECISION;
    this.factors = FIXED[form] ?? [];
    this.other = null; // or the factors of the other's steps
  }

  // The step to come, [at] of `steps`, in sixteenths. The other's steps have the same places.
  step(steps, other, at) {
    let sum = 0;
    for (let j = 0; j < this.factors.length; j++) sum += this.factors[j] * steps[at - 1 - j];
    if (this.other) sum += this.other[0] * other[at] + this.other[1] * other[at - 1];
    return Math.floor(sum / 2 ** (this.precision - 4));
  }
}

export class Mixture {
  constructor(scale, predicts, isNumeric) {
    const kind = isNumeric ? 'numeric' : 'waveform';
    this.isNumeric = isNumeric;
    this.weights = Array.from({ length: REPEATS_MAX + 1 },
      () => Float64Array.from(FIRST_WEIGHTS[kind]));
    this.least = WEIGHTS_LEAST[kind];
    this.usual = this.burst = this.near = ERROR_FIRST * 2 ** scale; // mean errors
    if (predicts) this.near *= ERROR_NEAR_TIMES;
    this.repeats = 0;
    this.seen = 0;
    this.spare = predicts;
    // What is expected of the next step: where the bells are, how narrow, and the bucket of step 0.
    this.centre = 0;
    this.centreNear = 0;
    this.sharpUsual = 0;
    this.sharpBurst = 0;
    this.sharpNear = 0;
    this.same = 0;
    this.share = new Float64Array(OPINIONS); // that each gives the bucket found
  }

  // The next step, where `linear` is what the predictor says.
  read(coder, linear) {
    let base = Math.floor((linear + 8) / 16);
    if (Math.abs(base) > 0x7fffffff) { // out of reach
      base = base < 0 ? -0x7fffffff : 0x7fffffff;
      linear = 16 * base;
    }
    const h = Math.max(0, length(Math.min(this.usual, this.burst)) - ERROR_BITS);
    this.same = Math.floor(-base / 2 ** h);
    this.centre = linear - 16 * base + 8 >> h;
    this.sharpUsual = Math.floor(SHARP_USUAL / ((this.usual >> h) + ERROR_MORE));
    this.sharpBurst = Math.floor(SHARP_BURST / ((this.burst >> h) + ERROR_MORE));
    if (this.isNumeric) {
      this.centreNear = clamp(Math.floor((8 - 16 * base) / 2 ** h), 16 * BUCKETS);
      this.sharpNear = Math.floor(SHARP_NEAR / ((this.near >> h) + ERROR_MORE));
    }
    let bucket = this.find(coder);
    this.measure(bucket);
    if (bucket === -BUCKETS) bucket -= coder.number(FAR);
    else if (bucket === BUCKETS - 1) bucket += coder.number(FAR);
    const step = (base + bucket * 2 ** h + coder.bits(h)) | 0;
    this.learn(linear, step);
    return step;
  }

  // How much of 2^16 lies below the bucket.
  below(bucket) {
    const weight = this.weights[this.repeats];
    const at = 16 * bucket - this.centre;
    let sum = bucket > this.same ? weight[SAME] * WHOLE : 0;
    sum += weight[USUAL] * bell(at * this.sharpUsual);
    sum += weight[BURST] * bell(at * this.sharpBurst);
    if (this.isNumeric) {
      sum += weight[NEAR] * bell((16 * bucket - this.centreNear) * this.sharpNear);
    }
    return (sum >>> 16) + bucket + BUCKETS;
  }

  // What each opinion gives the bucket.
  measure(bucket) {
    const { share } = this;
    const at = 16 * bucket - this.centre;
    share[USUAL] = bell((at + 16) * this.sharpUsual) - bell(at * this.sharpUsual);
    share[BURST] = bell((at + 16) * this.sharpBurst) - bell(at * this.sharpBurst);
    share[SAME] = bucket === this.same ? WHOLE : 0;
    if (!this.isNumeric) return;
    const near = 16 * bucket - this.centreNear;
    share[NEAR] = bell((near + 16) * this.sharpNear) - bell(near * this.sharpNear);
  }

  // The bucket that the stream names: first in growing strides from the middle, then by halves.
  find(coder) {
    const place = coder.find(16);
    let low = -BUCKETS, high = BUCKETS, lowPlace = 0, highPlace = WHOLE;
    for (let middle = 0, stride = 1; high - low > 1; stride *= 2) {
      const here = this.below(middle);
      if (here <= place) {
        low = middle;
        lowPlace = here;
        middle = high === BUCKETS ? low + stride : (low + high) >> 1;
      } else {
        high = middle;
        highPlace = here;
        middle = low === -BUCKETS ? high - stride : (low + high) >> 1;
      }
      if (middle <= low || middle >= high) middle = (low + high) >> 1;
    }
    coder.take(lowPlace, highPlace - lowPlace, 16);
    return low;
  }

  learn(linear, step) {
    const age = this.seen < 5 ? 2 : this.seen < 17 ? 3 : 5;
    this.seen = Math.min(this.seen + 1, 17);
    if (this.isNumeric) {
      this.near = moved(this.near, Math.abs(16 * step), Math.min(age, SHIFT_NEAR));
    }
    if (!this.spare) {
      this.weigh();
      const error = Math.abs(16 * step - linear);
      this.usual = moved(this.usual, Math.min(error, (this.usual >> 1) + 16), age);
      this.burst = moved(this.burst, error, SHIFT_BURST);
    }
    this.spare = false;
    this.repeats = step !== 0 ? 0 : Math.min(this.repeats + 1, REPEATS_MAX);
  }

  // Opinions that gave the bucket a large share gain weight, and each keeps a little.
  weigh() {
    const weight = this.weights[this.repeats], right = this.share;
    let sum = 0;
    for (let k = 0; k < OPINIONS; k++) {
      right[k] = weight[k] * (right[k] + 1) >>> 4;
      sum += right[k];
    }
    const cut = Math.max(0, length(sum) - 16);
    const unit = Math.floor(WEIGHTS_SHARED * 32768 / ((sum >> cut) + 1));
    for (let k = 0; k < OPINIONS; k++) {
      weight[k] = this.least[k] + Math.floor((right[k] >> cut) * unit / 32768);
    }
  }
}
