# SPDX-License-Identifier: Apache-2.0
# ports/mqtt: packets, sessions, faults, hostile brokers, the core's promise over it, and its size.
foreach(name packet session ends faults hostile cuts)
  htel_unit_test(mqtt_${name} mqtt_far.c)
  target_link_libraries(test_mqtt_${name} PRIVATE healthtel_mqtt)
endforeach()

# The core's promise test, with ports/mqtt between the core and its fake world.
add_executable(test_mqtt_promise test_promise.c mqtt_promise.c mqtt_far.c fake.c
  ../../ports/sim/flash_sim.c)
target_include_directories(test_mqtt_promise
  PRIVATE ${CMAKE_CURRENT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/src
  ${HEALTHTEL_GENERATED})
target_link_libraries(test_mqtt_promise PRIVATE healthtel healthtel_mqtt healthtel_flags
  PkgConfig::CMOCKA)
target_link_options(test_mqtt_promise PRIVATE LINKER:--wrap=fake_init)
add_test(NAME unit.mqtt_promise COMMAND test_mqtt_promise)
set_tests_properties(unit.mqtt_promise PROPERTIES LABELS unit TIMEOUT 240
  ENVIRONMENT "HEALTHTEL_SEEDS=100")

find_program(HEALTHTEL_ARM_CC arm-none-eabi-gcc DOC "Cortex-M compiler, for a test of size")
if(HEALTHTEL_ARM_CC)
  add_test(NAME unit.mqtt_size COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/mqtt_size.sh
    ${HEALTHTEL_ARM_CC} ${PROJECT_SOURCE_DIR})
  set_tests_properties(unit.mqtt_size PROPERTIES LABELS unit TIMEOUT 60)
endif()
