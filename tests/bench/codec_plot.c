/* SPDX-License-Identifier: Apache-2.0 */
/* codec_plot.c - bytes a reading as an SVG: a panel for each class, a line for each way, a
 * logarithmic scale, since they lie a hundredfold apart. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "codec.h"

#define PANEL_WIDTH 180.0
#define PANEL_GAP 56.0
#define LABELS_WIDTH 216.0
#define ROW_HEIGHT 22.0
#define TOP 64.0
#define SCALE_MIN 0.25
#define SCALE_MAX 64.0

#define COLOUR_OURS "#c2410c"
#define COLOUR_THEIRS "#64748b"
#define COLOUR_TEXT "#1f2937"
#define COLOUR_GRID "#e2e8f0"

static double place(double value) {
  double part = log(value / SCALE_MIN) / log(SCALE_MAX / SCALE_MIN);
  return PANEL_WIDTH * (part < 0 ? 0 : part > 1 ? 1 : part);
}

static void text(FILE *to, double x, double y, const char *anchor, const char *colour,
                 const char *weight, const char *what) {
  fprintf(to,
          "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" fill=\"%s\" font-weight=\"%s\">%s"
          "</text>\n",
          x, y, anchor, colour, weight, what);
}

static void panel_axis(FILE *to, double left, double height, const char *name) {
  text(to, left, TOP - 26, "start", COLOUR_TEXT, "bold", name);
  for (double tick = SCALE_MIN; tick <= SCALE_MAX; tick *= 4) {
    char label[16];
    double x = left + place(tick);
    snprintf(label, sizeof label, "%g", tick);
    fprintf(to,
            "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"" COLOUR_GRID "\"/>\n",
            x, TOP - 6, x, TOP + height);
    text(to, x, TOP - 10, "middle", COLOUR_THEIRS, "normal", label);
  }
}

static void dot(FILE *to, double left, double y, double value, bool ours) {
  const char *colour = ours ? COLOUR_OURS : COLOUR_THEIRS;
  double x = left + place(value);
  char label[16];
  snprintf(label, sizeof label, "%.*f", value < 10 ? 3 : 1, value);
  fprintf(to,
          "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%d\" fill=\"%s\"/>\n"
          "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\"/>\n",
          x, y - 3, ours ? 5 : 4, colour, left, y - 3, x, y - 3, colour);
  text(to, x + 8, y + 1, "start", ours ? COLOUR_OURS : COLOUR_TEXT, ours ? "bold" : "normal",
       label);
}

/* Row `i` of the plot: a peer, then our levels. */
static double value_of(const codec_result *r, size_t i) {
  if (i >= peer_count)
    return codec_per_reading(r->levels[i - peer_count].payload_bytes, r->readings);
  if (r->peers[i].readings == 0) return -1;
  return codec_per_reading(r->peers[i].bytes, r->peers[i].readings);
}

/* What is no frame that stands alone is not drawn. */
static bool is_drawn(size_t i) {
  return i >= peer_count || !peers[i].whole;
}

static size_t rows_drawn(void) {
  size_t count = 0;
  for (size_t i = 0; i < peer_count + CODEC_LEVELS; i++) count += is_drawn(i);
  return count;
}

static void rows_draw(FILE *to, const codec_result *const panels[], size_t panel_count) {
  double y = TOP + 14 - ROW_HEIGHT;
  for (size_t i = 0; i < peer_count + CODEC_LEVELS; i++) {
    bool ours = i >= peer_count;
    if (!is_drawn(i)) continue;
    y += ROW_HEIGHT;
    char what[96];
    if (ours)
      snprintf(what, sizeof what, "healthtel %s", codec_level_names[i - peer_count]);
    else
      snprintf(what, sizeof what, "%s", peers[i].what);
    text(to, LABELS_WIDTH, y + 1, "end", ours ? COLOUR_OURS : COLOUR_TEXT, ours ? "bold" : "normal",
         what);
    for (size_t p = 0; p < panel_count; p++) {
      double left = LABELS_WIDTH + 14 + (PANEL_WIDTH + PANEL_GAP) * (double)p;
      double value = value_of(panels[p], i);
      if (value > 0) dot(to, left, y, value, ours);
    }
  }
}

static void draw(FILE *to, const codec_result *const panels[], size_t panel_count,
                 uint32_t frame_s) {
  double height = ROW_HEIGHT * (double)rows_drawn() + 4;
  double width = LABELS_WIDTH + 14 + (PANEL_WIDTH + PANEL_GAP) * (double)panel_count;
  char title[160];
  fprintf(to,
          "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" "
          "font-family=\"sans-serif\" font-size=\"11\">\n"
          "<!-- SPDX-License-Identifier: Apache-2.0; made by tests/bench/figures.sh -->\n"
          "<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n",
          width, TOP + height + 8, width);
  snprintf(title, sizeof title,
           "Bytes a reading, lossless, frames of %u s that stand alone (logarithmic scale)",
           (unsigned)frame_s);
  text(to, LABELS_WIDTH + 14, 20, "start", COLOUR_TEXT, "bold", title);
  for (size_t p = 0; p < panel_count; p++)
    panel_axis(to, LABELS_WIDTH + 14 + (PANEL_WIDTH + PANEL_GAP) * (double)p, height,
               panels[p]->file);
  rows_draw(to, panels, panel_count);
  fprintf(to, "</svg>\n");
}

int codec_plot(const char *path, const codec_result *classes, const codec_result *all,
               uint32_t frame_s) {
  const codec_result *panels[CODEC_CLASSES + 1];
  size_t count = 0;
  for (int c = 0; c < CODEC_CLASSES; c++)
    if (classes[c].files > 0) panels[count++] = &classes[c];
  if (count == 0) panels[count++] = all;
  errno = 0;
  FILE *to = fopen(path, "we");
  if (to) draw(to, panels, count, frame_s);
  bool bad = !to || ferror(to);
  if (to && fclose(to) != 0) bad = true;
  if (bad) fprintf(stderr, "htel-bench: %s: %s\n", path, strerror(errno));
  return bad ? -1 : 0;
}
