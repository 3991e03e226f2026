# SPDX-License-Identifier: Apache-2.0
# htel-ingest: everything but the broker.
foreach(name intake hostile placing audit store mailbox)
  htel_unit_test(ingest_${name} ingest_fixture.c)
  target_link_libraries(test_ingest_${name} PRIVATE healthtel_ingest)
endforeach()
set_property(TEST unit.ingest_mailbox APPEND PROPERTY LABELS tsan)
