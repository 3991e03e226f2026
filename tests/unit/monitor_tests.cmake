# SPDX-License-Identifier: Apache-2.0
# Unit tests of the recording reader and of htel-monitor's parts.
foreach(name recording patient replay outage)
  htel_unit_test(${name})
  target_link_libraries(test_${name} PRIVATE htel_monitor_parts htel_common m)
  target_compile_definitions(test_${name} PRIVATE
    EXAMPLE_RECORDING="${PROJECT_SOURCE_DIR}/examples/monitor/recordings/mitdb208_60s.csv"
    SHARED_DEFAULT="${PROJECT_SOURCE_DIR}/../shared")
endforeach()

add_test(NAME unit.monitor_cli COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/monitor_cli.sh
  $<TARGET_FILE:htel-monitor> $<TARGET_FILE:htel-cat>
  ${PROJECT_SOURCE_DIR}/examples/monitor/recordings/mitdb208_60s.csv)
set_tests_properties(unit.monitor_cli PROPERTIES LABELS unit TIMEOUT 120)
