# SPDX-License-Identifier: Apache-2.0
# Coder, envelope and decoder.
htel_unit_test(code code_fixture.c)
htel_unit_test(frame)
htel_unit_test(birth code_fixture.c)
htel_unit_test(receipt)
htel_unit_test(decode code_fixture.c hostile.c)
htel_unit_test(zip code_fixture.c)
target_compile_definitions(test_zip PRIVATE HEALTHTEL_ZLIB=$<BOOL:${HEALTHTEL_ZLIB}>)
if(HEALTHTEL_ZLIB)
  target_link_libraries(test_zip PRIVATE healthtel::zlib)
endif()
if(HEALTHTEL_BEST)
  htel_unit_test(model code_fixture.c hostile.c)
endif()
htel_unit_test(format)
target_compile_definitions(test_format PRIVATE
  HTEL_FORMAT_MD="${PROJECT_SOURCE_DIR}/docs/FORMAT.md"
  HTEL_REFUSED="${PROJECT_SOURCE_DIR}/tests/vectors/refused.txt")
