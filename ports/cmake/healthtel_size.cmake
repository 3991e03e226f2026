# SPDX-License-Identifier: Apache-2.0
# The target `size` of a cross build: flash and RAM by stage, and a limit that it fails above.
set(HEALTHTEL_FLASH_LIMIT 24576 CACHE STRING
  "Bytes of flash that the linked core with nanopb, without zlib and texts, may take")

find_package(Python3 REQUIRED COMPONENTS Interpreter)
add_executable(size_probe EXCLUDE_FROM_ALL ${PROJECT_SOURCE_DIR}/ports/cmake/size_probe.c)
target_link_libraries(size_probe PRIVATE healthtel healthtel_flags)
target_link_options(size_probe PRIVATE --specs=nano.specs -nostartfiles
  LINKER:--gc-sections,--entry=main,--defsym=probe_port=0,--defsym=probe_memory=0
  LINKER:--defsym=probe_result=0,-Map=${PROJECT_BINARY_DIR}/size_probe.map)

set(archives $<TARGET_FILE:healthtel> $<TARGET_FILE:healthtel_nanopb>)
if(HEALTHTEL_ZLIB)
  list(APPEND archives $<TARGET_FILE:healthtel_zlib>)
endif()
set(command ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/ports/cmake/size_table.py
  --objdump ${CMAKE_OBJDUMP} --map ${PROJECT_BINARY_DIR}/size_probe.map
  --limit ${HEALTHTEL_FLASH_LIMIT} --json-file ${PROJECT_BINARY_DIR}/size.json ${archives})
add_custom_target(size COMMAND ${command} DEPENDS size_probe VERBATIM USES_TERMINAL
  COMMENT "Flash and RAM by stage (also in size.json)")
add_custom_target(size-json COMMAND ${command} --json DEPENDS size_probe VERBATIM USES_TERMINAL
  COMMENT "")
