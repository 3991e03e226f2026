# SPDX-License-Identifier: Apache-2.0
# Adding up, and the report as HTML.
htel_sim_test(result)
if(TARGET htel-fleet AND NOT HEALTHTEL_SANITIZE AND NOT HEALTHTEL_COVERAGE)
  add_test(NAME sim.report COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/report.sh)
  set_tests_properties(sim.report PROPERTIES LABELS sim TIMEOUT 300 SKIP_RETURN_CODE 77
    ENVIRONMENT "build=${CMAKE_BINARY_DIR}")
endif()
