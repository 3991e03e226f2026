# SPDX-License-Identifier: Apache-2.0
# A bad network between two namespaces, for scripts (netem.sh); and whether it is as bad as told.
add_executable(netem netem.c netem_pipe.c netem_words.c)
target_link_libraries(netem PRIVATE healthtel_flags)
add_executable(test_netem test_netem.c netem_pipe.c netem_words.c)
target_link_libraries(test_netem PRIVATE healthtel_flags PkgConfig::CMOCKA)
add_test(NAME link.netem COMMAND test_netem)
set_tests_properties(link.netem PROPERTIES LABELS link TIMEOUT 60)
