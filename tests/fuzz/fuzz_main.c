/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_main.c FILE | FOLDER... - plays inputs of a fuzzer without libFuzzer. */
#include <dirent.h>
#include <stdio.h>

#include "fuzz.h"

#define INPUT_BYTES_MAX 1048576u

static unsigned played, failed;

/* In memory of just its size, so that a sanitizer sees a read behind its end. */
static void play_file(const char *path) {
  static uint8_t room[INPUT_BYTES_MAX];
  FILE *file = fopen(path, "rb");
  size_t size = file == NULL ? 0 : fread(room, 1, sizeof room, file);
  bool good = file != NULL && !ferror(file) && feof(file);
  if (file != NULL) fclose(file);
  uint8_t *bytes = good ? malloc(size + 1) : NULL;
  if (bytes == NULL) {
    fprintf(stderr, "%s: cannot be read, or is larger than %u bytes\n", path, INPUT_BYTES_MAX);
    failed++;
    return;
  }
  uint8_t *end_aligned = bytes + 1;
  if (size > 0) memcpy(end_aligned, room, size);
  LLVMFuzzerTestOneInput(end_aligned, size);
  free(bytes);
  played++;
}

static void play(const char *path) {
  DIR *dir = opendir(path);
  if (dir == NULL) {
    play_file(path);
    return;
  }
  for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
    char file[1024];
    if (entry->d_name[0] == '.') continue;
    if (snprintf(file, sizeof file, "%s/%s", path, entry->d_name) < (int)sizeof file)
      play_file(file);
    else
      failed++;
  }
  closedir(dir);
}

int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++) play(argv[i]);
  printf("%u inputs, %u could not be read\n", played, failed);
  return played > 0 && failed == 0 ? 0 : 1;
}
