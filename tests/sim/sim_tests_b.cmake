# SPDX-License-Identifier: Apache-2.0
# The fleet's store in memory and its ingest.
set(unit ${PROJECT_SOURCE_DIR}/tests/unit)

# The ingest's store.h comes before the core's.
function(htel_sim_ingest_test name)
  target_include_directories(test_${name} PRIVATE ${PROJECT_SOURCE_DIR}/examples/ingest ${unit}
    ${PROJECT_SOURCE_DIR}/src ${HEALTHTEL_GENERATED})
endfunction()

htel_sim_test(memory_store ${unit}/ingest_fixture.c)
htel_sim_ingest_test(memory_store)
htel_sim_test(server ${unit}/ingest_fixture.c)
htel_sim_ingest_test(server)

# The audit's own tests once more, over the store in memory.
add_executable(test_memory_audit ${unit}/test_ingest_audit.c ${unit}/ingest_fixture.c)
htel_sim_ingest_test(memory_audit)
target_compile_definitions(test_memory_audit PRIVATE FIXTURE_MEMORY_STORE)
target_link_libraries(test_memory_audit PRIVATE htel_fleet_parts healthtel_flags PkgConfig::CMOCKA)
add_test(NAME sim.memory_audit COMMAND test_memory_audit)
set_tests_properties(sim.memory_audit PROPERTIES LABELS sim TIMEOUT 120)
