# SPDX-License-Identifier: Apache-2.0
# TLS, the paho link and its tunnel against real servers.
find_package(PkgConfig REQUIRED)
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)

# Brokers for tests (broker.h), and a client that drives a link (link_client.h).
add_library(link_fixture STATIC broker.c link_client.c link_proxy.c link_server.c)
target_compile_definitions(link_fixture PRIVATE _GNU_SOURCE
  HTEL_TEST_SOURCE="${PROJECT_SOURCE_DIR}")
target_include_directories(link_fixture PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
target_link_libraries(link_fixture PUBLIC healthtel healthtel_posix healthtel_mbedtls healthtel_paho
  healthtel_dial
  PkgConfig::CMOCKA PRIVATE healthtel_flags)

foreach(name IN ITEMS tls paho impostor)
  add_executable(test_${name} test_${name}.c)
  target_compile_definitions(test_${name} PRIVATE _GNU_SOURCE
    HTEL_TEST_SOURCE="${PROJECT_SOURCE_DIR}")
  target_link_libraries(test_${name} PRIVATE link_fixture healthtel_flags)
  add_test(NAME interop.${name} COMMAND test_${name})
  set_tests_properties(interop.${name} PROPERTIES LABELS "interop;tsan" TIMEOUT 180)
endforeach()
