# SPDX-License-Identifier: Apache-2.0
# Scenario files, and htel-fleet as a program: its options, and fleets that must keep the promise.
htel_sim_test(scenario)

# fleet_test(NAME PART): fleet.sh PART. They take all the processor there is, so one at a time.
function(fleet_test name part)
  set(size whole)
  if(HEALTHTEL_SANITIZE OR HEALTHTEL_COVERAGE)
    set(size small)
  endif()
  add_test(NAME ${name} COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/fleet.sh $<TARGET_FILE:htel-fleet>
    ${part} ${size})
  set_tests_properties(${name} PROPERTIES LABELS fleet TIMEOUT 1800 RESOURCE_LOCK fleet
    PROCESSORS 2)
endfunction()

if(TARGET htel-fleet)
  add_test(NAME sim.cli COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/fleet_cli.sh
    $<TARGET_FILE:htel-fleet>)
  set_tests_properties(sim.cli PROPERTIES LABELS sim TIMEOUT 600)
  foreach(part standard seeds scenarios storm same)
    fleet_test(fleet.${part} ${part})
  endforeach()
endif()
