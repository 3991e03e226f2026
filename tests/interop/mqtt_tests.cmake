# SPDX-License-Identifier: Apache-2.0
# ports/mqtt against a real broker: by the tools, and by itself.
htel_script_test(mqtt 120)

add_executable(test_mqtt_link test_mqtt_link.c)
target_link_libraries(test_mqtt_link PRIVATE link_fixture healthtel_dial healthtel_flags)
target_compile_definitions(test_mqtt_link PRIVATE _GNU_SOURCE)
add_test(NAME interop.mqtt_link COMMAND test_mqtt_link)
set_tests_properties(interop.mqtt_link PROPERTIES LABELS interop TIMEOUT 120)
