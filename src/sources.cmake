# SPDX-License-Identifier: Apache-2.0
# The sources of the core, for every build of it: CMake, Zephyr, ESP-IDF, the amalgamation.
# Beside them stands healthtel.pb.c, which nanopb generates from healthtel.proto.
set(HEALTHTEL_SOURCE_NAMES
  # recording, and what stands on it
  htel.c config.c record.c ring.c timeline.c loss.c batch.c
  # coding
  code.c series.c wire.c pack.c zip.c frame.c birth.c crc32.c
  # coding, the smallest
  model_write.c column.c fit.c predictor.c mixture.c range_out.c range_in.c
  # delivery
  outbox.c delivery.c backoff.c receipt.c
  # the log on flash: linked only into devices that use it
  store_append.c store_flash.c store_format.c store_frames.c store_mount.c store_move.c store_note.c
  store_room.c store_scan.c outbox_flash.c loss_bytes.c loss_join.c
  # reading back, for servers and tools
  decode.c reader.c model_read.c block.c series_read.c wire_read.c receipt_write.c
  error.c)
set(HEALTHTEL_SOURCES ${HEALTHTEL_SOURCE_NAMES})
list(TRANSFORM HEALTHTEL_SOURCES PREPEND ${CMAKE_CURRENT_LIST_DIR}/)
