# SPDX-License-Identifier: Apache-2.0
# plot.awk - draws numbers, one a line, as a curve of braille dots (or of ASCII with -v ascii=1).
#
#     LC_ALL=C awk -v width=72 -v height=8 -f plot.awk < values
#
# A character is 2 dots wide and 4 high. Neighbours are joined, so that steep parts have no holes.
# LC_ALL=C: characters are put together from bytes.

function dot(x, y,    cell) {
  if (ascii) {
    grid[int(y / 2) * width + x] = y % 2 ? (grid[int(y / 2) * width + x] == "'" ? ":" : ".") : "'"
    return
  }
  cell = int(y / 4) * width + int(x / 2)
  if (!((cell, x % 2, y % 4) in seen)) {
    seen[cell, x % 2, y % 4] = 1
    grid[cell] += bit[x % 2, y % 4]
  }
}

BEGIN {
  if (!width) width = 72
  if (!height) height = 8
  split("1 2 4 64 8 16 32 128", bits, " ")
  for (i = 0; i < 8; i++) bit[int(i / 4), i % 4] = bits[i + 1]
}

/^-?[0-9]+$/ {
  value[n++] = $1 + 0
  if (n == 1 || $1 + 0 < low) low = $1 + 0
  if (n == 1 || $1 + 0 > high) high = $1 + 0
}

END {
  if (n < 2) exit 1
  columns = width * (ascii ? 1 : 2)
  rows = height * (ascii ? 2 : 4)
  span = high > low ? high - low : 1
  for (i = 0; i < n; i++) {
    x = int(i * (columns - 1) / (n - 1))
    y = rows - 1 - int((value[i] - low) * (rows - 1) / span + 0.5)
    if (i == 0) before = y
    step = y > before ? 1 : -1
    for (j = before; j != y; j += step) dot(x, j)
    dot(x, y)
    before = y
  }
  for (r = 0; r < height; r++) {
    line = "    "
    for (c = 0; c < width; c++) {
      cell = grid[r * width + c]
      if (ascii) line = line (cell == "" ? " " : cell)
      else line = line sprintf("%c%c%c", 226, 160 + int(cell / 64), 128 + cell % 64)
    }
    print line
  }
}
