# SPDX-License-Identifier: Apache-2.0
# htel-bench codec, and the peers of htel-bench core: other people's encoders, from Debian's
# packages. Without one of them both are left out.
find_path(FLAC_INCLUDE FLAC/stream_encoder.h)
find_library(FLAC_LIBRARY NAMES FLAC)
find_path(ZSTD_INCLUDE zstd.h)
find_library(ZSTD_LIBRARY NAMES zstd)
find_path(LZMA_INCLUDE lzma.h)
find_library(LZMA_LIBRARY NAMES lzma)
find_path(CK_INCLUDE ck_ring.h)

if(HEALTHTEL_ZLIB AND HEALTHTEL_BEST AND FLAC_INCLUDE AND FLAC_LIBRARY AND ZSTD_INCLUDE AND
   ZSTD_LIBRARY AND LZMA_INCLUDE AND LZMA_LIBRARY AND CK_INCLUDE)
  set(BENCH_CODEC 1)
  set(peer_generated ${CMAKE_CURRENT_BINARY_DIR}/generated)
  file(MAKE_DIRECTORY ${peer_generated})
  add_custom_command(
    OUTPUT ${peer_generated}/peer.pb.c ${peer_generated}/peer.pb.h
    COMMAND ${NANOPB_GENERATOR} -q -I ${CMAKE_CURRENT_SOURCE_DIR} -D ${peer_generated}
            -f ${CMAKE_CURRENT_SOURCE_DIR}/peer.options ${CMAKE_CURRENT_SOURCE_DIR}/peer.proto
    DEPENDS peer.proto peer.options
    COMMENT "Generating peer.pb.c"
    VERBATIM)
  set_source_files_properties(${peer_generated}/peer.pb.c PROPERTIES COMPILE_OPTIONS "-w")
  target_sources(htel-bench PRIVATE
    codec.c codec_input.c codec_client.c codec_check.c codec_count.c codec_stack.c codec_report.c
    codec_plot.c
    peers.c peer_text.c peer_packed.c peer_flac.c wire_sparkplug.c core_peers.c
    ${peer_generated}/peer.pb.c ${peer_generated}/peer.pb.h)
  target_include_directories(htel-bench PRIVATE ${peer_generated})
  target_include_directories(htel-bench SYSTEM PRIVATE ${FLAC_INCLUDE} ${ZSTD_INCLUDE}
    ${LZMA_INCLUDE} ${CK_INCLUDE})
  find_package(Threads REQUIRED)
  target_link_libraries(htel-bench PRIVATE ${FLAC_LIBRARY} ${ZSTD_LIBRARY} ${LZMA_LIBRARY}
    Threads::Threads)
else()
  set(BENCH_CODEC 0)
  message(STATUS "libFLAC, libzstd, liblzma or Concurrency Kit is not installed, or a level of "
                 "coding is left out: no htel-bench codec")
endif()
target_compile_definitions(htel-bench PRIVATE BENCH_CODEC=${BENCH_CODEC})

# Skipped (77) where the recordings are not there.
if(BENCH_CODEC AND CMAKE_C_COMPILER_ID STREQUAL GNU AND NOT HEALTHTEL_SANITIZE AND
   NOT HEALTHTEL_COVERAGE)
  add_test(NAME bench.codec COMMAND htel-bench codec
    ${PROJECT_SOURCE_DIR}/examples/monitor/recordings/mitdb208_60s.csv)
  set_tests_properties(bench.codec PROPERTIES LABELS bench TIMEOUT 120)
  add_test(NAME bench.figures
    COMMAND bash ${CMAKE_CURRENT_SOURCE_DIR}/figures.sh --check $<TARGET_FILE:htel-bench>)
  set_tests_properties(bench.figures PROPERTIES LABELS bench TIMEOUT 600 SKIP_RETURN_CODE 77)
endif()
