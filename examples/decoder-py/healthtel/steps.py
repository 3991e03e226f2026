# SPDX-License-Identifier: Apache-2.0
"""How likely is each next step of a series, and which one is it? docs/FORMAT.md, "A step". All of
the model's constants are here."""

from .wire import int32

ORDERS = (0, 1, 2, 2, 4, 8, 12)  # factors, by form
FIXED = ((), (64,), (128, -64))  # of the forms that have none of their own
FIXED_PRECISION = 6
OTHERS = 2
ORDER_MAX = 12

USUAL, BURST, SAME, NEAR = range(4)  # opinions
FIRST_WEIGHTS = ((30280, 26000, 9000, 0), (34280, 15000, 7000, 9000))  # waveforms, numerics
WEIGHTS_LEAST = ((200, 200, 200, 0), (200, 200, 200, 200))
WEIGHTS_SHARED = 64480
REPEATS_MAX = 3
SCALE_MAX = 20
BUCKETS = 128  # to each side
WHOLE = 65536
FAR = 5  # usual bits of what is beyond the outermost bucket
SHARP_USUAL, SHARP_BURST, SHARP_NEAR = 13981013, 11650844, 4660337
ERROR_FIRST, ERROR_NEAR_MORE, ERROR_MORE, ERROR_BITS, ERROR_MAX = 32, 2, 32, 13, 134217727
SHIFT_BURST, SHIFT_NEAR = 2, 4

LOGISTIC_UP = (
    32768, 34813, 36843, 38841, 40793, 42687, 44511, 46254, 47911, 49474, 50941, 52310, 53581,
    54754, 55834, 56822, 57724, 58544, 59287, 59959, 60565, 61109, 61598, 62036, 62428, 62778,
    63090, 63368, 63615, 63835, 64030, 64203, 64357, 64494, 64614, 64721, 64816, 64900, 64974,
    65039, 65097, 65149, 65194, 65234, 65269, 65300, 65328, 65352, 65374, 65393, 65410, 65425,
    65438, 65449, 65459, 65468, 65476, 65483, 65489, 65495, 65500, 65504, 65508, 65511, 65514,
    65517, 65519, 65521, 65523, 65524, 65526, 65527, 65528, 65529, 65530, 65530, 65531, 65532,
    65532, 65533, 65533, 65533, 65534, 65534, 65534, 65534, 65535, 65535, 65535, 65535, 65535,
    65535, 65535, 65535, 65535, 65535, 65535)
# From -96 to 97.
LOGISTIC = tuple(WHOLE - up for up in LOGISTIC_UP[:0:-1]) + LOGISTIC_UP + LOGISTIC_UP[-1:]
LOGISTIC_END = 24576


def clamp(value, limit):
    return max(-limit, min(limit, value))


def bell(x):
    y = (x >> 8) + LOGISTIC_END
    if y < 0:
        y = 0
    elif y > 2 * LOGISTIC_END:
        y = 2 * LOGISTIC_END
    low = LOGISTIC[y >> 8]
    return low + ((LOGISTIC[(y >> 8) + 1] - low) * (y & 255) >> 8)


class Predictor:
    """A sum of the last steps, each times a factor."""

    def __init__(self, form):
        self.form = form
        self.precision = FIXED_PRECISION
        self.factors = list(FIXED[form]) if form < len(FIXED) else []
        self.other = None  # or the factors of the other's steps

    def step(self, past, past_other):
        """The step to come, in sixteenths. Pasts have the latest first."""
        total = sum(factor * step for factor, step in zip(self.factors, past))
        if self.other:
            total += self.other[0] * past_other[0] + self.other[1] * past_other[1]
        return total >> (self.precision - 4)


def moved(error, by, shift):
    return error + (16 * min(by, ERROR_MAX) - error >> shift)


class Mixture:
    def __init__(self, scale, predicts, is_numeric):
        self.is_numeric = is_numeric
        self.weights = [list(FIRST_WEIGHTS[is_numeric]) for _ in range(REPEATS_MAX + 1)]
        self.usual = self.burst = ERROR_FIRST << scale
        self.near = ERROR_FIRST << (scale + ERROR_NEAR_MORE if predicts else scale)
        self.repeats = self.seen = 0
        self.spare = predicts

    def read(self, coder, linear):
        """The next step, where `linear` is what the predictor says."""
        base = linear + 8 >> 4
        if abs(base) > 0x7FFFFFFF:
            base = clamp(base, 0x7FFFFFFF)
            linear = 16 * base
        h = max(0, min(self.usual, self.burst).bit_length() - ERROR_BITS)
        same = -base >> h
        weight = self.weights[self.repeats]
        centre = linear - 16 * base + 8 >> h
        bells = [(USUAL, centre, SHARP_USUAL // ((self.usual >> h) + ERROR_MORE)),
                 (BURST, centre, SHARP_BURST // ((self.burst >> h) + ERROR_MORE))]
        if self.is_numeric:
            bells.append((NEAR, clamp(8 - 16 * base >> h, 16 * BUCKETS),
                          SHARP_NEAR // ((self.near >> h) + ERROR_MORE)))

        b, shares = find(coder, weight, bells, same)
        wide = b
        if b == -BUCKETS:
            wide -= coder.number(FAR)
        elif b == BUCKETS - 1:
            wide += coder.number(FAR)
        step = int32(base + (wide << h) + coder.bits(h))
        self.learn(weight, shares, linear, step)
        return step

    def learn(self, weight, shares, linear, step):
        age = 2 if self.seen < 5 else 3 if self.seen < 17 else 5
        self.seen = min(self.seen + 1, 17)
        if self.is_numeric:
            self.near = moved(self.near, abs(16 * step), min(age, SHIFT_NEAR))
        if not self.spare:
            weigh(weight, shares, WEIGHTS_LEAST[self.is_numeric])
            error = abs(16 * step - linear)
            self.usual = moved(self.usual, min(error, (self.usual >> 1) + 16), age)
            self.burst = moved(self.burst, error, SHIFT_BURST)
        self.spare = False
        self.repeats = 0 if step != 0 else min(self.repeats + 1, REPEATS_MAX)


def weigh(weight, shares, least):
    """Opinions that gave the bucket a large share gain weight, and each keeps a little."""
    right = [w * (share + 1) >> 4 for w, share in zip(weight, shares)]
    cut = max(0, sum(right).bit_length() - 16)
    unit = (WEIGHTS_SHARED << 15) // ((sum(right) >> cut) + 1)
    weight[:] = [kept + ((r >> cut) * unit >> 15) for kept, r in zip(least, right)]


def find(coder, weight, bells, same):
    """The bucket that the stream names, and the share of it that each opinion gave."""
    place = coder.find(16)
    seen = {}  # bucket -> what lies below it

    def below(b):
        at = 16 * b
        total = weight[SAME] * WHOLE if b > same else 0
        for k, centre, sharp in bells:
            total += weight[k] * bell((at - centre) * sharp)
        seen[b] = (total >> 16) + b + BUCKETS
        return seen[b]

    low, high, middle, stride = -BUCKETS, BUCKETS, 0, 1
    while high - low > 1:  # first in growing strides from the middle, then by halves
        if below(middle) <= place:
            low = middle
            middle = low + stride if high == BUCKETS else low + high >> 1
        else:
            high = middle
            middle = high - stride if low == -BUCKETS else low + high >> 1
        stride *= 2
        if not low < middle < high:
            middle = low + high >> 1
    start = seen.get(low, 0)
    coder.take(start, seen.get(high, WHOLE) - start, 16)
    shares = [0, 0, WHOLE if low == same else 0, 0]
    for k, centre, sharp in bells:
        at = 16 * low - centre
        shares[k] = bell((at + 16) * sharp) - bell(at * sharp)
    return low, shares
