# SPDX-License-Identifier: Apache-2.0
# nanopb: the target healthtel::nanopb, and NANOPB_GENERATOR, which src/ uses.
# On a host the installed library; from sources when cross-compiling or where NANOPB_ROOT says so.
include(healthtel_sources)
set(NANOPB_ROOT "" CACHE PATH
  "nanopb sources (pb_encode.c ...); empty: the installed library, or fetched for a cross build")

find_program(NANOPB_GENERATOR NAMES nanopb_generator.py nanopb_generator
  DOC "nanopb's generator (Debian: nanopb)" REQUIRED)
if(NANOPB_ROOT OR CMAKE_CROSSCOMPILING)
  healthtel_sources(nanopb nanopb "${NANOPB_ROOT}")
  add_library(healthtel_nanopb STATIC
    ${nanopb}/pb_common.c ${nanopb}/pb_encode.c ${nanopb}/pb_decode.c)
  add_library(healthtel::nanopb ALIAS healthtel_nanopb)
  set_target_properties(healthtel_nanopb PROPERTIES EXPORT_NAME nanopb)
  target_include_directories(healthtel_nanopb SYSTEM PUBLIC $<BUILD_INTERFACE:${nanopb}>)
  target_compile_definitions(healthtel_nanopb PUBLIC PB_NO_ERRMSG) # 1.2 KB of texts, never shown
else()
  find_path(NANOPB_INCLUDE pb_encode.h REQUIRED)
  find_library(NANOPB_LIBRARY NAMES protobuf-nanopb REQUIRED)
  add_library(healthtel::nanopb UNKNOWN IMPORTED GLOBAL)
  set_target_properties(healthtel::nanopb PROPERTIES
    IMPORTED_LOCATION ${NANOPB_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${NANOPB_INCLUDE})
endif()

# Where the generated code of healthtel.proto goes.
set(HEALTHTEL_GENERATED ${PROJECT_BINARY_DIR}/generated)
