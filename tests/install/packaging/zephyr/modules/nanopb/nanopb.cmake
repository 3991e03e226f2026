# SPDX-License-Identifier: Apache-2.0
# What Zephyr's module of nanopb does for ports/zephyr: files made of a .proto become a target's.
find_program(NANOPB_GENERATOR NAMES nanopb_generator.py nanopb_generator REQUIRED)
function(zephyr_nanopb_sources target)
  foreach(proto ${ARGN})
    get_filename_component(name ${proto} NAME_WE)
    get_filename_component(dir ${proto} DIRECTORY)
    set(made ${CMAKE_CURRENT_BINARY_DIR}/${name}.pb)
    add_custom_command(OUTPUT ${made}.c ${made}.h
      COMMAND ${NANOPB_GENERATOR} -q -I ${dir} -D ${CMAKE_CURRENT_BINARY_DIR} ${proto}
      DEPENDS ${proto} VERBATIM)
    target_sources(${target} PRIVATE ${made}.c ${made}.h)
    target_include_directories(${target} PUBLIC ${CMAKE_CURRENT_BINARY_DIR})
  endforeach()
endfunction()
