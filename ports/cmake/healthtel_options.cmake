# SPDX-License-Identifier: Apache-2.0
# What a build can choose. A project that only wants the library (add_subdirectory) gets the core
# alone.
option(HEALTHTEL_ZLIB "Coding level ZLIB; off leaves zlib out of the core and the decoder" ON)
option(HEALTHTEL_BEST "Coding level BEST; off leaves its writing half out of the core" ON)
option(HEALTHTEL_TEXTS "A configuration's fault says why; off leaves the field's name (1.3 KB)" ON)
option(HEALTHTEL_BUILD_HOST "Build host ports, tools and examples" ${PROJECT_IS_TOP_LEVEL})
option(HEALTHTEL_BUILD_TESTS "Build the tests" ${PROJECT_IS_TOP_LEVEL})
option(HEALTHTEL_ARCH_TESTS "Cross build: the core's tests, for an emulator (tests/arch)" OFF)
option(HEALTHTEL_COVERAGE "Count executed lines (gcc's --coverage)" OFF)
set(HEALTHTEL_SANITIZE "" CACHE STRING
  "Sanitizers, as for -fsanitize= (address,undefined or thread)")

if(NOT CMAKE_BUILD_TYPE AND PROJECT_IS_TOP_LEVEL)
  set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()
if(PROJECT_IS_TOP_LEVEL)
  set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
  set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
endif()

# Every target of ours: C11 and the warnings that are errors here.
set(HEALTHTEL_WARNINGS -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow -Wcast-qual -Wundef
  -Wvla -Wmissing-prototypes)
if(PROJECT_IS_TOP_LEVEL)
  list(APPEND HEALTHTEL_WARNINGS -Werror)
endif()
add_library(healthtel_flags INTERFACE)
target_compile_features(healthtel_flags INTERFACE c_std_11)
target_compile_options(healthtel_flags INTERFACE ${HEALTHTEL_WARNINGS})
if(HEALTHTEL_SANITIZE)
  target_compile_options(healthtel_flags INTERFACE
    -fsanitize=${HEALTHTEL_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(healthtel_flags INTERFACE -fsanitize=${HEALTHTEL_SANITIZE})
endif()
if(HEALTHTEL_COVERAGE)
  target_compile_options(healthtel_flags INTERFACE --coverage -fprofile-update=atomic)
  target_link_options(healthtel_flags INTERFACE --coverage)
endif()
