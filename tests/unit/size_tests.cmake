# SPDX-License-Identifier: Apache-2.0
# htel-size.
htel_unit_test(size ../../ports/sim/flash_sim.c)
target_include_directories(test_size PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
target_link_libraries(test_size PRIVATE htel_size_parts)
target_compile_definitions(test_size PRIVATE
  EXAMPLE_RECORDING="${PROJECT_SOURCE_DIR}/examples/monitor/recordings/mitdb208_60s.csv"
  SIZES_MD="${PROJECT_SOURCE_DIR}/docs/SIZES.md")

add_test(NAME unit.size_cli COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/size_cli.sh
  $<TARGET_FILE:htel-size> ${PROJECT_SOURCE_DIR}/examples/monitor/recordings/mitdb208_60s.csv
  ${PROJECT_SOURCE_DIR}/docs/SIZES.md)
set_tests_properties(unit.size_cli PROPERTIES LABELS unit TIMEOUT 120)
