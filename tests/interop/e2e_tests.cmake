# SPDX-License-Identifier: Apache-2.0
# End to end, on the real broker and the real database, by the tools as users run them.
function(htel_script_test name timeout_s)
  add_test(NAME interop.${name} COMMAND bash ${CMAKE_CURRENT_SOURCE_DIR}/test_${name}.sh ${ARGN})
  set_tests_properties(interop.${name} PROPERTIES LABELS interop TIMEOUT ${timeout_s}
    ENVIRONMENT "build=${CMAKE_BINARY_DIR}")
endfunction()

htel_script_test(corpus 240)
htel_script_test(kills 240)
