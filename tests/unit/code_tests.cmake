# SPDX-License-Identifier: Apache-2.0
# Coder, envelope and decoder.
htel_unit_test(code code_fixture.c)
htel_unit_test(series_machines)
add_library(series_plain OBJECT ${PROJECT_SOURCE_DIR}/src/series.c)
target_compile_definitions(series_plain PRIVATE series_write=series_write_plain
  HEALTHTEL_BEST=$<BOOL:${HEALTHTEL_BEST}>)
target_compile_options(series_plain PRIVATE -U__SSE2__ -U__ARM_NEON -DBITS_OUT_64=0)
target_include_directories(series_plain PRIVATE ${PROJECT_SOURCE_DIR}/src ${HEALTHTEL_GENERATED})
target_link_libraries(series_plain PRIVATE healthtel healthtel_flags)
target_sources(test_series_machines PRIVATE $<TARGET_OBJECTS:series_plain>)
htel_unit_test(frame)
htel_unit_test(birth code_fixture.c)
htel_unit_test(receipt)
target_link_libraries(test_receipt PRIVATE healthtel::nanopb)
htel_unit_test(decode code_fixture.c hostile.c)
htel_unit_test(zip code_fixture.c)
target_compile_definitions(test_zip PRIVATE HEALTHTEL_ZLIB=$<BOOL:${HEALTHTEL_ZLIB}>)
if(HEALTHTEL_ZLIB)
  target_link_libraries(test_zip PRIVATE healthtel::zlib)
endif()
if(HEALTHTEL_BEST AND NOT HEALTHTEL_ARCH_SMALL)
  htel_unit_test(model code_fixture.c hostile.c)
endif()
htel_unit_test(format)
target_compile_definitions(test_format PRIVATE
  HTEL_FORMAT_MD="${PROJECT_SOURCE_DIR}/docs/FORMAT.md"
  HTEL_REFUSED="${PROJECT_SOURCE_DIR}/tests/vectors/refused.txt")
