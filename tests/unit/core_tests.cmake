# SPDX-License-Identifier: Apache-2.0
find_package(Threads REQUIRED)
htel_unit_test(ring)
target_link_libraries(test_ring PRIVATE Threads::Threads)
htel_unit_test(stages)
htel_unit_test(config fake.c)
htel_unit_test(client fake.c)
htel_unit_test(delivery fake.c)
htel_unit_test(promise fake.c ../crash/flash_sim.c)
htel_unit_test(store ../crash/flash_sim.c)
htel_unit_test(restart fake.c ../crash/flash_sim.c)
htel_unit_test(flash_faults fake.c ../crash/flash_sim.c)
htel_unit_test(clock fake.c)
set_property(TEST unit.ring unit.promise APPEND PROPERTY LABELS tsan)
# On a busy machine the thread sanitizer takes its time.
set_property(TEST unit.ring unit.promise PROPERTY TIMEOUT 300)
if(HEALTHTEL_SANITIZE) # slow there
  set_property(TEST unit.promise PROPERTY ENVIRONMENT HEALTHTEL_SEEDS=100)
endif()
# The simulated flash lives with the crash harness.
target_include_directories(test_promise PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
target_include_directories(test_store PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
target_include_directories(test_restart PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
target_include_directories(test_flash_faults PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})

# The same tests of the client, with the outbox on flash.
foreach(name client delivery)
  add_executable(test_${name}_on_flash test_${name}.c fake.c ../crash/flash_sim.c)
  target_compile_definitions(test_${name}_on_flash PRIVATE OUTBOX_ON_FLASH)
  target_include_directories(test_${name}_on_flash PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}
    ${PROJECT_SOURCE_DIR}/src ${HEALTHTEL_GENERATED})
  target_link_libraries(test_${name}_on_flash PRIVATE healthtel healthtel_flags PkgConfig::CMOCKA)
  add_test(NAME unit.${name}_on_flash COMMAND test_${name}_on_flash)
  set_tests_properties(unit.${name}_on_flash PROPERTIES LABELS unit TIMEOUT 120)
endforeach()
