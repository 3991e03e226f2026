# SPDX-License-Identifier: Apache-2.0
# healthtel as a component of ESP-IDF; the project's CMakeLists.txt includes this there.
# nanopb does not come with ESP-IDF: NANOPB_ROOT names its sources, and its generator
# (nanopb_generator) must be in the path. -DHEALTHTEL_BEST=ON adds the coding level BEST.
get_filename_component(root ${CMAKE_CURRENT_LIST_DIR}/../.. ABSOLUTE)
include(${root}/src/sources.cmake)
include(${root}/ports/mqtt/sources.cmake)
include(${root}/ports/mbedtls/sources.cmake)

idf_component_register(
  SRCS ${HEALTHTEL_SOURCES} ${HEALTHTEL_MQTT_SOURCES} ${HEALTHTEL_MBEDTLS_SOURCES}
  INCLUDE_DIRS ${root}/include ${root}/ports/mqtt ${root}/ports/mbedtls
  PRIV_INCLUDE_DIRS ${root}/src
  REQUIRES mbedtls)
# ESP-IDF reads this file once for the line above alone.
if(CMAKE_BUILD_EARLY_EXPANSION)
  return()
endif()

if(NOT NANOPB_ROOT)
  message(FATAL_ERROR "healthtel needs nanopb's sources: idf.py -DNANOPB_ROOT=DIR build")
endif()
find_program(NANOPB_GENERATOR NAMES nanopb_generator.py nanopb_generator REQUIRED)
set(generated ${CMAKE_CURRENT_BINARY_DIR}/generated)
file(MAKE_DIRECTORY ${generated})
add_custom_command(
  OUTPUT ${generated}/healthtel.pb.c ${generated}/healthtel.pb.h
  COMMAND ${NANOPB_GENERATOR} -q -I ${root}/src -D ${generated} -f ${root}/src/healthtel.options
          ${root}/src/healthtel.proto
  DEPENDS ${root}/src/healthtel.proto ${root}/src/healthtel.options VERBATIM)
target_sources(${COMPONENT_LIB} PRIVATE ${generated}/healthtel.pb.c ${NANOPB_ROOT}/pb_common.c
  ${NANOPB_ROOT}/pb_encode.c ${NANOPB_ROOT}/pb_decode.c)
target_include_directories(${COMPONENT_LIB} PRIVATE ${generated} ${NANOPB_ROOT})
target_compile_definitions(${COMPONENT_LIB} PRIVATE HEALTHTEL_ZLIB=0
  HEALTHTEL_BEST=$<BOOL:${HEALTHTEL_BEST}> PB_NO_ERRMSG)
