# SPDX-License-Identifier: Apache-2.0
# htel-fleet with a bug in it, for the tests that show that its oracle can fail: with the n-th of
# src/plant.h it must find a violation within 1,000 seeds.
#
# Only files in which the bug is planted are compiled again. Their objects come before the
# libraries, so the linker has no need of the sound ones.

# Files in which bug `n` is.
function(fleet_plant_files n out)
  file(GLOB files ${PROJECT_SOURCE_DIR}/src/*.c ${PROJECT_SOURCE_DIR}/ports/mqtt/*.c
    ${PROJECT_SOURCE_DIR}/examples/ingest/*.c)
  set(found)
  foreach(file ${files})
    file(STRINGS ${file} lines REGEX "PLANT(\\(${n}\\)| == ${n}[^0-9])" LIMIT_COUNT 1)
    if(lines)
      list(APPEND found ${file})
    endif()
  endforeach()
  if(NOT found)
    message(FATAL_ERROR "src/plant.h: bug ${n} is planted nowhere")
  endif()
  set(${out} ${found} PARENT_SCOPE)
endfunction()

# fleet_plant(n [KIND kind] [ARGS option...]): the program fleet_plant_<n>, and the test
# fleet.plant_<n>, which passes when a seed fails: with a violation of this kind first, or of any.
function(fleet_plant n)
  cmake_parse_arguments(plant "" "KIND" "ARGS" ${ARGN})
  fleet_plant_files(${n} files)
  set(name fleet_plant_${n})
  add_executable(${name} $<TARGET_OBJECTS:htel-fleet> ${files})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR})
  target_compile_definitions(${name} PRIVATE HEALTHTEL_PLANT=${n}
    $<TARGET_PROPERTY:healthtel,COMPILE_DEFINITIONS>)
  target_include_directories(${name} PRIVATE $<TARGET_PROPERTY:healthtel,INCLUDE_DIRECTORIES>)
  target_link_libraries(${name} PRIVATE $<TARGET_PROPERTY:htel-fleet,LINK_LIBRARIES>
    healthtel::nanopb)
  add_test(NAME fleet.plant_${n} COMMAND ${name} --seeds 1000 --devices 10 --hours 2 --faults all
    --first --json ${plant_ARGS})
  set(expected "breaks the promise")
  if(plant_KIND)
    set(expected "\"kind\":\"${plant_KIND}\"")
  endif()
  set_tests_properties(fleet.plant_${n} PROPERTIES LABELS fleet TIMEOUT 600
    PASS_REGULAR_EXPRESSION "${expected}")
endfunction()
