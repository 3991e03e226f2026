# SPDX-License-Identifier: Apache-2.0
# htel-ingest: everything but the broker.
foreach(name intake hostile placing audit store mailbox memory)
  htel_unit_test(ingest_${name} ingest_fixture.c)
  target_link_libraries(test_ingest_${name} PRIVATE healthtel_ingest)
endforeach()
# The core in its fake world in front of the ingest.
htel_unit_test(ingest_clock ingest_fixture.c fake.c)
target_link_libraries(test_ingest_clock PRIVATE healthtel_ingest)
target_link_options(test_ingest_memory PRIVATE
  -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc)
set_property(TEST unit.ingest_mailbox APPEND PROPERTY LABELS tsan)
