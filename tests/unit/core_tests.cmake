# SPDX-License-Identifier: Apache-2.0
if(NOT CMAKE_SYSTEM_NAME STREQUAL Generic)
  find_package(Threads REQUIRED)
  htel_unit_test(ring)
  target_link_libraries(test_ring PRIVATE Threads::Threads)
  set_tests_properties(unit.ring PROPERTIES LABELS "unit;tsan" TIMEOUT 300)
endif()
htel_unit_test(stages)
htel_unit_test(config fake.c)
add_executable(test_config_bare test_config.c fake.c ${PROJECT_SOURCE_DIR}/src/config.c)
target_include_directories(test_config_bare PRIVATE ${PROJECT_SOURCE_DIR}/src
  ${HEALTHTEL_GENERATED})
target_compile_definitions(test_config_bare PRIVATE HEALTHTEL_TEXTS=0
  HEALTHTEL_BEST=$<BOOL:${HEALTHTEL_BEST}> HEALTHTEL_ZLIB=$<BOOL:${HEALTHTEL_ZLIB}>)
target_link_libraries(test_config_bare PRIVATE healthtel healthtel_flags PkgConfig::CMOCKA)
add_test(NAME unit.config_bare COMMAND test_config_bare)
set_tests_properties(unit.config_bare PROPERTIES LABELS unit TIMEOUT 120)
htel_unit_test(client fake.c)
htel_unit_test(delivery fake.c)
htel_unit_test(promise fake.c ../../ports/sim/flash_sim.c)
if(NOT HEALTHTEL_ARCH_SMALL)
  htel_unit_test(store ../../ports/sim/flash_sim.c)
  target_include_directories(test_store PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  htel_unit_test(flash_faults fake.c ../../ports/sim/flash_sim.c)
  target_include_directories(test_flash_faults PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
endif()
htel_unit_test(restart fake.c ../../ports/sim/flash_sim.c)
htel_unit_test(clock fake.c)
# On a busy machine the thread sanitizer takes its time.
set_tests_properties(unit.promise PROPERTIES LABELS "unit;tsan" TIMEOUT 300)
if(HEALTHTEL_SANITIZE) # slow there
  set_property(TEST unit.promise PROPERTY ENVIRONMENT HEALTHTEL_SEEDS=100)
endif()
# The simulated flash lives with the crash harness.
target_include_directories(test_promise PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
target_include_directories(test_restart PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})

# The same tests of the client, with the outbox on flash.
foreach(name client delivery)
  add_executable(test_${name}_on_flash test_${name}.c fake.c ../../ports/sim/flash_sim.c)
  target_compile_definitions(test_${name}_on_flash PRIVATE OUTBOX_ON_FLASH)
  target_include_directories(test_${name}_on_flash PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}
    ${PROJECT_SOURCE_DIR}/src ${HEALTHTEL_GENERATED})
  target_link_libraries(test_${name}_on_flash PRIVATE healthtel healthtel_flags PkgConfig::CMOCKA)
  add_test(NAME unit.${name}_on_flash COMMAND test_${name}_on_flash)
  set_tests_properties(unit.${name}_on_flash PROPERTIES LABELS unit TIMEOUT 120)
endforeach()
