# SPDX-License-Identifier: Apache-2.0
# htel-ingest and htel-cat as programs, with a real mosquitto.
add_executable(test_ingest test_ingest.c)
target_compile_definitions(test_ingest PRIVATE _GNU_SOURCE
  HTEL_INGEST="$<TARGET_FILE:htel-ingest>" HTEL_CAT="$<TARGET_FILE:htel-cat>")
target_include_directories(test_ingest PRIVATE ${PROJECT_SOURCE_DIR}/src)
target_link_libraries(test_ingest PRIVATE link_fixture healthtel_ingest healthtel_flags)
add_dependencies(test_ingest htel-ingest htel-cat)
add_test(NAME interop.ingest COMMAND test_ingest)
set_tests_properties(interop.ingest PROPERTIES LABELS interop TIMEOUT 180
  ENVIRONMENT "TSAN_OPTIONS=suppressions=${CMAKE_CURRENT_SOURCE_DIR}/tsan_ingest.supp")

if(DEFINED ENV{HEALTHTEL_SHARED})
  set(HEALTHTEL_SHARED_DIR "$ENV{HEALTHTEL_SHARED}")
else()
  set(HEALTHTEL_SHARED_DIR "${PROJECT_SOURCE_DIR}/../shared")
endif()
add_test(NAME interop.cat COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/test_cat.sh
  $<TARGET_FILE:htel-monitor> $<TARGET_FILE:htel-cat> $<TARGET_FILE:htel-ingest>
  ${PROJECT_SOURCE_DIR}/examples/monitor/recordings/mitdb208_60s.csv ${HEALTHTEL_SHARED_DIR})
set_tests_properties(interop.cat PROPERTIES LABELS interop TIMEOUT 180)
