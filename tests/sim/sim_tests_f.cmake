# SPDX-License-Identifier: Apache-2.0
# htel-fleet against a real broker and ingest, in real time; `live.sh --full` is the long form.
if(TARGET htel-fleet)
  add_test(NAME sim.live COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/live.sh)
  set_tests_properties(sim.live PROPERTIES LABELS sim TIMEOUT 240
    ENVIRONMENT "build=${CMAKE_BINARY_DIR}")
endif()
