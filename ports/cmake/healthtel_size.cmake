# SPDX-License-Identifier: Apache-2.0
# The target `size` of a cross build: flash and RAM by stage. Whatever the build's own options say,
# it compiles the core in five ways and links seven devices, so that one table tells what each
# choice costs:
#
#     core    FAST, frames in RAM      flash   the same, frames on flash
#     best    as core, with BEST       zlib    as core, with ZLIB
#     full    with both
#     texts   as core, and says in words what is wrong with a configuration (HEALTHTEL_TEXTS)
#     link    as core, with ports/mqtt and ports/mbedtls, and mbedTLS from its sources
#
# It fails when the linked device `core` is above HEALTHTEL_FLASH_LIMIT, or `best` or `zlib` above
# HEALTHTEL_FLASH_LIMIT_CODING. tests/bench/sizes.py holds the figures against docs/SIZES.md.
set(limits 0 0) # the bars are for Cortex-M4
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "cortex-m4")
  set(limits 20480 36864)
endif()
list(GET limits 0 limit)
list(GET limits 1 limit_coding)
set(HEALTHTEL_FLASH_LIMIT ${limit} CACHE STRING
  "Bytes of flash that the linked core with nanopb, without texts, may take; 0: any")
set(HEALTHTEL_FLASH_LIMIT_CODING ${limit_coding} CACHE STRING
  "The same with one of the coding levels BEST and ZLIB; 0: any")
set(ZLIB_ROOT "" CACHE PATH "zlib sources (deflate.c ...); empty: fetched")
set(HEALTHTEL_MBEDTLS_CONFIG ${PROJECT_SOURCE_DIR}/examples/mcu/mbedtls_config.h CACHE FILEPATH
  "mbedTLS's configuration, for the device `link`")

find_package(Python3 REQUIRED COMPONENTS Interpreter)
include(healthtel_mbedtls)
if(NOT TARGET healthtel_zlib)
  healthtel_zlib_from_sources()
endif()
set(ports ${PROJECT_SOURCE_DIR}/ports)

# ---- Libraries ----------------------------------------------------------------------------

include(${PROJECT_SOURCE_DIR}/src/sources.cmake)
function(healthtel_size_core name best zlib texts)
  add_library(${name} STATIC EXCLUDE_FROM_ALL
    ${HEALTHTEL_GENERATED}/healthtel.pb.c ${HEALTHTEL_SOURCES})
  add_dependencies(${name} healthtel) # the generated code
  set_source_files_properties(${HEALTHTEL_GENERATED}/healthtel.pb.c PROPERTIES
    COMPILE_OPTIONS "-w" GENERATED TRUE)
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR}/include
    PRIVATE ${PROJECT_SOURCE_DIR}/src ${HEALTHTEL_GENERATED})
  target_compile_definitions(${name} PRIVATE HEALTHTEL_BEST=${best} HEALTHTEL_ZLIB=${zlib}
    HEALTHTEL_TEXTS=${texts})
  target_link_libraries(${name} PRIVATE healthtel_flags healthtel::nanopb)
  if(zlib)
    target_link_libraries(${name} PRIVATE healthtel_zlib)
  endif()
endfunction()
healthtel_size_core(size_core 0 0 0)
healthtel_size_core(size_texts 0 0 1)
healthtel_size_core(size_best 1 0 0)
healthtel_size_core(size_zlib 0 1 0)
healthtel_size_core(size_full 1 1 0)

# The linker would put the strings of all into the first object that has some, and so would the map.
set(strings_apart -fno-merge-constants)
include(${ports}/mqtt/sources.cmake)
add_library(size_mqtt STATIC EXCLUDE_FROM_ALL ${HEALTHTEL_MQTT_SOURCES})
target_include_directories(size_mqtt PUBLIC ${ports}/mqtt ${PROJECT_SOURCE_DIR}/include)
target_compile_options(size_mqtt PRIVATE ${strings_apart})
target_link_libraries(size_mqtt PRIVATE healthtel_flags)

include(${ports}/mbedtls/sources.cmake)
add_library(size_tls STATIC EXCLUDE_FROM_ALL ${HEALTHTEL_MBEDTLS_SOURCES})
target_include_directories(size_tls PUBLIC ${ports}/mbedtls ${ports}/mqtt
  ${PROJECT_SOURCE_DIR}/include)
target_compile_options(size_tls PRIVATE ${strings_apart})
target_link_libraries(size_tls PUBLIC healthtel_mbedtls_library PRIVATE healthtel_flags)
target_compile_options(healthtel_mbedtls_library PRIVATE ${strings_apart})

# ---- Devices ------------------------------------------------------------------------------

# Linked without start-up code: never run.
set(c_library --specs=nano.specs)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^rv") # picolibc, whose linker script has a small part in mind
  set(c_library LINKER:--defsym=__flash_size=0x400000,--defsym=__ram_size=0x100000)
endif()
set(files) # what size_table.py reads
function(healthtel_size_device name core)
  add_executable(size_${name}_device EXCLUDE_FROM_ALL ${ports}/cmake/size_probe.c)
  target_link_libraries(size_${name}_device PRIVATE ${core} ${ARGN} healthtel_flags)
  target_link_options(size_${name}_device PRIVATE ${c_library} -nostartfiles
    LINKER:--gc-sections,--entry=main,--defsym=probe=0,--defsym=_sbrk=0,--defsym=end=0
    LINKER:--no-warn-rwx-segments,-Map=${PROJECT_BINARY_DIR}/size_${name}.map)
  list(APPEND files --device ${name}=${PROJECT_BINARY_DIR}/size_${name}.map)
  foreach(library ${core} ${ARGN})
    list(APPEND files --archive $<TARGET_FILE:${library}>)
  endforeach()
  set(files ${files} PARENT_SCOPE)
endfunction()
healthtel_size_device(core size_core)
healthtel_size_device(flash size_core)
target_compile_definitions(size_flash_device PRIVATE PROBE_FLASH)
healthtel_size_device(texts size_texts)
healthtel_size_device(best size_best)
healthtel_size_device(zlib size_zlib)
healthtel_size_device(full size_full)
healthtel_size_device(link size_core size_mqtt size_tls healthtel_mbedtls_library)
target_compile_definitions(size_link_device PRIVATE PROBE_LINK)

# What the structs of a client take here: htel-size reckons with it.
add_library(size_state OBJECT EXCLUDE_FROM_ALL ${ports}/cmake/size_state.c)
add_dependencies(size_state healthtel)
target_include_directories(size_state PRIVATE ${PROJECT_SOURCE_DIR}/src ${HEALTHTEL_GENERATED})
target_compile_definitions(size_state PRIVATE HEALTHTEL_BEST=1 HEALTHTEL_ZLIB=1)
target_compile_options(size_state PRIVATE -w)
target_link_libraries(size_state PRIVATE size_core size_mqtt size_tls healthtel_zlib
  healthtel::nanopb)

# ---- The table ------------------------------------------------------------------------------

set(command ${Python3_EXECUTABLE} ${ports}/cmake/size_table.py
  --cpu ${CMAKE_SYSTEM_PROCESSOR} --objdump ${CMAKE_OBJDUMP} --nm ${CMAKE_NM}
  --archive $<TARGET_FILE:healthtel_nanopb> --archive $<TARGET_FILE:healthtel_zlib> ${files}
  --state $<TARGET_OBJECTS:size_state>
  --limit core=${HEALTHTEL_FLASH_LIMIT} --limit best=${HEALTHTEL_FLASH_LIMIT_CODING}
  --limit zlib=${HEALTHTEL_FLASH_LIMIT_CODING}
  --json-file ${PROJECT_BINARY_DIR}/size.json)
set(devices size_core_device size_flash_device size_texts_device size_best_device size_zlib_device
  size_full_device size_link_device)
add_custom_target(size COMMAND ${command} DEPENDS ${devices} size_state VERBATIM USES_TERMINAL
  COMMENT "Flash and RAM by stage (also in size.json)")
add_custom_target(size-json COMMAND ${command} --json DEPENDS ${devices} size_state VERBATIM
  USES_TERMINAL COMMENT "")
