# SPDX-License-Identifier: Apache-2.0
find_package(Threads REQUIRED)
htel_unit_test(ring)
target_link_libraries(test_ring PRIVATE Threads::Threads)
htel_unit_test(stages)
htel_unit_test(config fake.c)
htel_unit_test(client fake.c)
htel_unit_test(delivery fake.c)
htel_unit_test(promise fake.c)
htel_unit_test(clock fake.c)
set_property(TEST unit.ring unit.promise APPEND PROPERTY LABELS tsan)
# On a busy machine the thread sanitizer takes its time.
set_property(TEST unit.ring unit.promise PROPERTY TIMEOUT 300)
