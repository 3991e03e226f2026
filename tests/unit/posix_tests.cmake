# SPDX-License-Identifier: Apache-2.0
# Clock, boot file, wake-up and runner of ports/posix; the file in the place of flash.
htel_unit_test(posix)
target_compile_definitions(test_posix PRIVATE _GNU_SOURCE)
target_link_libraries(test_posix PRIVATE healthtel_posix)
target_link_options(test_posix PRIVATE LINKER:--wrap=clock_gettime)
set_property(TEST unit.posix APPEND PROPERTY LABELS tsan)

htel_unit_test(posix_flash)
target_compile_definitions(test_posix_flash PRIVATE _GNU_SOURCE)
target_link_libraries(test_posix_flash PRIVATE healthtel_posix)
foreach(call pread pwrite write fdatasync fsync rename)
  target_link_options(test_posix_flash PRIVATE LINKER:--wrap=${call})
endforeach()
