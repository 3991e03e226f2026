/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "common/recording.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "healthtel/decode.h"

/* ---- Names and units ----------------------------------------------------------------- */

/* Private terms of this table are ours for ever: a name keeps its code. */
static const struct {
  const char *name;
  uint32_t code;
} codes[] = {
    {"ECG_I", HTEL_MDC_ECG_LEAD_I},
    {"ECG_II", HTEL_MDC_ECG_LEAD_II},
    {"ECG_MLII", HTEL_MDC_ECG_LEAD_II}, /* modified lead II: the ambulatory placement of lead II */
    {"ECG_III", HTEL_MDC_ECG_LEAD_III},
    {"ECG_V1", HTEL_MDC_ECG_LEAD_V1},
    {"ECG_V5", HTEL_MDC_PRIVATE(0xF001)},
    {"ECG_MCL1", HTEL_MDC_PRIVATE(0xF002)},
    {"PLETH", HTEL_MDC_PLETH},
    {"PPG_RED", HTEL_MDC_PRIVATE(0xF010)},
    {"PPG_IR", HTEL_MDC_PRIVATE(0xF011)},
    {"BVP", HTEL_MDC_PRIVATE(0xF012)},
    {"RESP", HTEL_MDC_RESPIRATION_WAVEFORM},
    {"ABP", HTEL_MDC_PRIVATE(0xF020)},
    {"ACC_X", HTEL_MDC_PRIVATE(0xF030)},
    {"ACC_Y", HTEL_MDC_PRIVATE(0xF031)},
    {"ACC_Z", HTEL_MDC_PRIVATE(0xF032)},
    {"HR", HTEL_MDC_HEART_RATE},
    {"PULSE", HTEL_MDC_PULSE_RATE_OXIMETER},
    {"SPO2", HTEL_MDC_SPO2},
    {"PI", HTEL_MDC_PRIVATE(0xF040)},
    {"RR", HTEL_MDC_RESPIRATION_RATE},
    {"NBP_SYS", HTEL_MDC_NIBP_SYSTOLIC},
    {"NBP_DIA", HTEL_MDC_NIBP_DIASTOLIC},
    {"NBP_MEAN", HTEL_MDC_NIBP_MEAN},
    {"ABP_SYS", HTEL_MDC_ARTERIAL_SYSTOLIC},
    {"ABP_DIA", HTEL_MDC_ARTERIAL_DIASTOLIC},
    {"ABP_MEAN", HTEL_MDC_ARTERIAL_MEAN},
    {"ETCO2", HTEL_MDC_ETCO2},
    {"TEMP", HTEL_MDC_BODY_TEMPERATURE},
    {"GLUCOSE", HTEL_MDC_GLUCOSE_CAPILLARY},
    {"WEIGHT", HTEL_MDC_BODY_WEIGHT},
    {"BATTERY", HTEL_MDC_BATTERY},
};

/* Units of recordings that are not UCUM as they stand. */
static const struct {
  const char *from, *to;
} units[] = {
    {"mmHg", HTEL_UNIT_MMHG},   {"NU", HTEL_UNIT_ONE}, {"adc", HTEL_UNIT_ONE},
    {"", HTEL_UNIT_ONE},        {"g", HTEL_UNIT_G}, /* of an accelerometer; a mass comes in kg */
    {"bpm", HTEL_UNIT_PER_MIN},
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

uint32_t recording_code(const char *name) {
  for (size_t i = 0; i < COUNT(codes); i++)
    if (strcmp(codes[i].name, name) == 0) return codes[i].code;
  /* 0xF100 to 0xFFFF: two names may meet there; `index` then tells them apart. */
  return HTEL_MDC_PRIVATE(0xF100u + htel_crc32(0, name, strlen(name)) % 0x0F00u);
}

/* ---- Numbers ------------------------------------------------------------------------- */

uint64_t recording_offset_ms(htel_rate rate, uint64_t row) {
  return row * 1000u * rate.den / rate.num;
}

/* Continued fraction: each step's p/q is the best there is for its size, so the first
 * one within the tolerance is the simplest. */
int recording_fraction(double rate_hz, htel_rate *rate) {
  const double limit = 1e6;
  if (!(rate_hz >= 1 / limit) || rate_hz > limit) return -1;
  /* Slow rates are periods in whole seconds that were rounded when they were written down. */
  double period_s = round(1 / rate_hz);
  if (rate_hz <= 0.1 && fabs(period_s * rate_hz - 1) < 2e-3) {
    *rate = (htel_rate){1, (uint32_t)period_s};
    return 0;
  }
  double p = 1, p_before = 0, q = 0, q_before = 1, rest = rate_hz;
  for (int step = 0; step < 40; step++) {
    double whole = floor(rest);
    double p_next = whole * p + p_before, q_next = whole * q + q_before;
    if (p_next > limit || q_next > limit) return -1;
    p_before = p, p = p_next;
    q_before = q, q = q_next;
    if (p > 0 && fabs(p / q - rate_hz) <= rate_hz * 2e-6) {
      *rate = (htel_rate){(uint32_t)p, (uint32_t)q};
      return 0;
    }
    rest = 1 / (rest - whole);
  }
  return -1;
}

/* By way of nine decimal digits: what was written is a short decimal number. */
int recording_gain(double value, int32_t *gain, int8_t *exponent) {
  if (!isfinite(value) || value == 0) return -1;
  char text[32];
  snprintf(text, sizeof text, "%+.8e", value); /* +d.dddddddde+xx */
  long power = strtol(text + 12, NULL, 10) - 8;
  text[2] = text[1]; /* the digits together, over the point */
  text[11] = 0;
  long digits = strtol(text + 2, NULL, 10);
  while (digits % 10 == 0) digits /= 10, power++;
  while (power > 0 && digits <= INT32_MAX / 10) digits *= 10, power--;
  if (power > 12 || power < -12) return -1;
  *gain = (int32_t)(value < 0 ? -digits : digits);
  *exponent = (int8_t)-power;
  return 0;
}

/* A whole cell as an integer within min..max; NULL when it is not, else what follows it. */
static const char *cell_parse(const char *text, int64_t min, int64_t max, int64_t *value) {
  bool negative = *text == '-';
  if (negative) text++;
  const char *digits = text;
  int64_t number = 0;
  for (; isdigit((unsigned char)*text) && text - digits < 18; text++)
    number = number * 10 + (*text - '0');
  if (text == digits || (*text != ',' && *text != 0)) return NULL;
  number = negative ? -number : number;
  if (number < min || number > max) return NULL;
  *value = number;
  return text;
}

/* ---- Errors -------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static int fail(recording *r, uint64_t line,
                                                      const char *format, ...) {
  int used = line > 0 ? snprintf(r->error, sizeof r->error, "%s:%" PRIu64 ": ", r->path, line)
                      : snprintf(r->error, sizeof r->error, "%s: ", r->path);
  va_list args;
  va_start(args, format);
  vsnprintf(r->error + used, sizeof r->error - (size_t)used, format, args);
  va_end(args);
  return -1;
}

/* ---- The JSON ------------------------------------------------------------------------ */

static bool name_ok(const char *name) {
  size_t length = strlen(name);
  if (length < 1 || length > HTEL_NAME_CHARS_MAX) return false;
  for (size_t i = 0; i < length; i++)
    if (!isalnum((unsigned char)name[i]) && !strchr("_-.", name[i])) return false;
  return true;
}

static bool unit_ok(const char *unit) {
  size_t length = strlen(unit);
  for (size_t i = 0; i < length; i++)
    if (unit[i] <= ' ' || unit[i] > '~') return false;
  return length <= HTEL_UNIT_CHARS_MAX;
}

static int channel_read(recording *r, const char *json_path, const cJSON *json) {
  uint16_t n = r->channel_count;
  recording_channel *channel = &r->channels[n];
  const char *name = json_string(json, "name");
  if (!name || !name_ok(name))
    return fail(r, 0, "%s: channels[%u].name must be 1 to %u letters, digits, _ - .", json_path, n,
                HTEL_NAME_CHARS_MAX);
  snprintf(channel->name, sizeof channel->name, "%s", name);
  for (uint16_t i = 0; i < n; i++)
    if (strcmp(r->channels[i].name, name) == 0)
      return fail(r, 0, "%s: two channels are called %s", json_path, name);

  const char *unit = json_string(json, "unit");
  if (!unit || !unit_ok(unit))
    return fail(r, 0, "%s: the unit of %s must be at most %u visible ASCII characters", json_path,
                name, HTEL_UNIT_CHARS_MAX);
  for (size_t i = 0; i < COUNT(units); i++)
    if (strcmp(units[i].from, unit) == 0) {
      unit = units[i].to;
      break;
    }
  snprintf(channel->unit, sizeof channel->unit, "%s", unit);

  const cJSON *gain = cJSON_GetObjectItemCaseSensitive(json, "gain");
  if (!cJSON_IsNumber(gain) ||
      recording_gain(gain->valuedouble, &channel->gain, &channel->exponent) != 0)
    return fail(r, 0, "%s: the gain of %s must be a number other than 0", json_path, name);
  int64_t offset;
  if (!json_int(json, "offset", INT32_MIN, INT32_MAX, &offset))
    return fail(r, 0, "%s: the offset of %s must be a whole number of 32 bits", json_path, name);
  channel->offset = (int32_t)offset;

  channel->code = recording_code(name);
  for (uint16_t i = 0; i < n; i++)
    if (r->channels[i].code == channel->code) channel->index++;
  r->channel_count++;
  return 0;
}

/* scalar, scalar_..., and cgm are numerics; so is what has times of its own, for a waveform has
 * none. All else is a waveform, whatever it shows. */
static bool kind_is_numeric(const char *kind, bool irregular) {
  return irregular || strncmp(kind, "scalar", strlen("scalar")) == 0 || strcmp(kind, "cgm") == 0;
}

static int kind_read(recording *r, const char *json_path, const cJSON *json) {
  const char *kind = json_string(json, "kind");
  if (!kind || !*kind)
    return fail(r, 0, "%s: kind must be scalar or cgm (numerics), or what else it is: ecg, eeg ...",
                json_path);
  r->irregular = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "irregular"));
  r->kind = kind_is_numeric(kind, r->irregular) ? HTEL_NUMERIC : HTEL_WAVEFORM;
  const cJSON *rate = cJSON_GetObjectItemCaseSensitive(json, "rate_hz");
  bool stated = cJSON_IsNumber(rate) && recording_fraction(rate->valuedouble, &r->rate) == 0;
  if (!r->irregular && !stated)
    return fail(r, 0, "%s: rate_hz must be a number of 0.000001 to 1000000", json_path);
  return 0;
}

/* The note's "-32768 = no value". */
static void note_read(recording *r, const char *note) {
  const char *says = note ? strstr(note, " = no value") : NULL;
  if (!says) return;
  const char *start = says;
  while (start > note && (isdigit((unsigned char)start[-1]) || start[-1] == '-')) start--;
  char text[16] = "";
  snprintf(text, sizeof text, "%.*s", (int)(says - start < 15 ? says - start : 15), start);
  int64_t value;
  if (!cell_parse(text, INT32_MIN, INT32_MAX, &value)) return;
  r->has_no_value = true;
  r->no_value = (int32_t)value;
}

static int description_parse(recording *r, const char *json_path, const cJSON *json) {
  if (kind_read(r, json_path, json) != 0) return -1;
  const cJSON *rows = cJSON_GetObjectItemCaseSensitive(json, "n_rows");
  int64_t n_rows = 0;
  if (rows && !json_int(json, "n_rows", 1, RECORDING_ROWS_MAX, &n_rows))
    return fail(r, 0, "%s: n_rows must be a whole number of 1 to %u", json_path,
                RECORDING_ROWS_MAX);
  r->rows_stated = (uint64_t)n_rows;
  note_read(r, json_string(json, "note"));

  const cJSON *channels = cJSON_GetObjectItemCaseSensitive(json, "channels");
  int count = cJSON_IsArray(channels) ? cJSON_GetArraySize(channels) : 0;
  if (count < 1 || count > (int)RECORDING_CHANNELS_MAX)
    return fail(r, 0, "%s: channels must be an array of 1 to %u, it has %d", json_path,
                RECORDING_CHANNELS_MAX, count);
  const cJSON *channel;
  cJSON_ArrayForEach(channel, channels) if (channel_read(r, json_path, channel) != 0) return -1;
  return 0;
}

static int description_read(recording *r) {
  char json_path[RECORDING_PATH_BYTES_MAX + 8];
  size_t stem = strlen(r->path) - strlen(".csv");
  snprintf(json_path, sizeof json_path, "%.*s.json", (int)stem, r->path);
  char why[RECORDING_PATH_BYTES_MAX + 128];
  cJSON *json = json_load(json_path, RECORDING_JSON_BYTES_MAX, why, sizeof why);
  if (!json) return fail(r, 0, "its description cannot be read: %s", why);
  int rc = description_parse(r, json_path, json);
  cJSON_Delete(json);
  return rc;
}

/* ---- The CSV ------------------------------------------------------------------------- */

/* The next line without its end. 1, 0 at the end of the file, -1. */
static int line_read(recording *r, char *line, size_t size) {
  errno = 0;
  if (!fgets(line, (int)size, r->file)) {
    if (ferror(r->file)) return fail(r, r->line + 1, "%s", strerror(errno));
    return 0;
  }
  r->line++;
  size_t length = strlen(line);
  if (length == 0 || (line[length - 1] != '\n' && !feof(r->file)))
    return fail(r, r->line, "the line is longer than %zu bytes, or this is not a text file",
                size - 2);
  while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r')) line[--length] = 0;
  return 1;
}

static int header_read(recording *r) {
  char line[RECORDING_LINE_BYTES_MAX];
  int rc = line_read(r, line, sizeof line);
  if (rc <= 0) return rc < 0 ? -1 : fail(r, 1, "the file is empty");

  char *rest = line;
  if (r->irregular) {
    const char *first = strsep(&rest, ",");
    if (strcmp(first, "t_ms") != 0)
      return fail(r, 1, "the first column must be t_ms, as the JSON says irregular");
  }
  for (uint16_t i = 0; i < r->channel_count; i++) {
    const char *name = rest ? strsep(&rest, ",") : NULL;
    if (!name || strcmp(name, r->channels[i].name) != 0)
      return fail(r, 1, "column %u must be %s, as in the JSON", i + 1u + r->irregular,
                  r->channels[i].name);
  }
  if (rest) return fail(r, 1, "there are more columns than the JSON has channels");
  r->data_start = ftell(r->file);
  if (r->data_start < 0)
    return fail(r, 0, "%s (a recording must be a plain file)", strerror(errno));
  return 0;
}

static int times_read(recording *r, int64_t t_ms, recording_row *row) {
  if (r->rows_read == 0) r->t_ms_first = t_ms;
  if (t_ms < r->t_ms_first + (int64_t)r->offset_ms_last) return fail(r, r->line, "t_ms goes back");
  row->offset_ms = (uint64_t)(t_ms - r->t_ms_first);
  return 0;
}

static int row_parse(recording *r, const char *line, recording_row *row) {
  const char *at = line;
  unsigned column = 1;
  if (r->irregular) {
    int64_t t_ms;
    at = cell_parse(at, 0, RECORDING_TIME_MS_MAX, &t_ms);
    if (!at || *at != ',') return fail(r, r->line, "t_ms must be Unix time in ms, then a comma");
    if (times_read(r, t_ms, row) != 0) return -1;
    at++;
    column++;
  } else {
    row->offset_ms = recording_offset_ms(r->rate, r->rows_read);
  }
  for (uint16_t i = 0; i < r->channel_count; i++, column++) {
    int64_t value;
    at = cell_parse(at, INT32_MIN, INT32_MAX, &value);
    if (!at) return fail(r, r->line, "column %u is not a whole number of 32 bits", column);
    row->values[i] = (int32_t)value;
    row->quality[i] = r->has_no_value && value == r->no_value ? HTEL_NO_VALUE : HTEL_VALID;
    bool last = i + 1u == r->channel_count;
    if (last != (*at == 0))
      return fail(r, r->line, "the row has %s values than the header has names",
                  last ? "more" : "fewer");
    at += !last;
  }
  return 0;
}

int recording_next(recording *r, recording_row *row) {
  char line[RECORDING_LINE_BYTES_MAX];
  int rc = line_read(r, line, sizeof line);
  if (rc < 0) return -1;
  if (rc == 0) {
    if (r->rows_stated > 0 && r->rows_read != r->rows_stated)
      return fail(r, r->line, "the file ends after %" PRIu64 " rows, but its JSON says %" PRIu64,
                  r->rows_read, r->rows_stated);
    return 0;
  }
  if (r->rows_read >= RECORDING_ROWS_MAX) return fail(r, r->line, "too many rows");
  if (row_parse(r, line, row) != 0) return -1;
  r->rows_read++;
  r->offset_ms_last = row->offset_ms;
  return 1;
}

int recording_rewind(recording *r) {
  if (fseek(r->file, r->data_start, SEEK_SET) != 0) return fail(r, 0, "%s", strerror(errno));
  r->rows_read = 0;
  r->line = 1;
  r->offset_ms_last = 0;
  return 0;
}

/* Row 0 is read once ahead: an empty recording is refused, and t_ms_first is known. */
static int recording_begin(recording *r) {
  recording_row row;
  if (description_read(r) != 0) return -1;
  r->file = fopen(r->path, "re");
  if (!r->file) return fail(r, 0, "%s", strerror(errno));
  if (header_read(r) != 0) return -1;
  int rc = recording_next(r, &row);
  if (rc <= 0) return rc < 0 ? -1 : fail(r, 1, "there are no rows");
  return recording_rewind(r);
}

int recording_open(recording *r, const char *csv_path) {
  *r = (recording){0};
  size_t length = strlen(csv_path);
  if (length >= sizeof r->path) {
    snprintf(r->error, sizeof r->error, "a recording's path may have %zu bytes at most",
             sizeof r->path - 1);
    return -1;
  }
  snprintf(r->path, sizeof r->path, "%s", csv_path);
  if (length < 5 || strcmp(csv_path + length - 4, ".csv") != 0)
    return fail(r, 0, "a recording's name must end in .csv");
  if (recording_begin(r) != 0) {
    recording_close(r);
    return -1;
  }
  return 0;
}

void recording_close(recording *r) {
  if (r->file) fclose(r->file);
  r->file = NULL;
}
