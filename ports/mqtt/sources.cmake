# SPDX-License-Identifier: Apache-2.0
# The sources of ports/mqtt, for every build of it.
set(HEALTHTEL_MQTT_SOURCES ${CMAKE_CURRENT_LIST_DIR}/htel_mqtt.c
  ${CMAKE_CURRENT_LIST_DIR}/mqtt_packet.c)
