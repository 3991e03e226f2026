# SPDX-License-Identifier: Apache-2.0
# Files put into a program, as arrays of bytes with a zero behind them.
#
# embed_file(OUT.c NAME FILE): `const char NAME[]` and `const size_t NAME_size`.
# embed_scenarios(OUT.c FILES...): the table of scenarios.h.
function(embed_bytes file out)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  file(READ ${file} hex HEX)
  string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," hex "${hex}")
  set(${out} "${hex}0x00" PARENT_SCOPE)
endfunction()

function(embed_file out name file)
  embed_bytes(${file} bytes)
  file(CONFIGURE OUTPUT ${out} CONTENT "#include <stddef.h>
extern const unsigned char ${name}[];
extern const size_t ${name}_size;
const unsigned char ${name}[] = {\n@bytes@};
const size_t ${name}_size = sizeof ${name} - 1;
" @ONLY)
endfunction()

function(embed_scenarios out)
  set(code "#include \"scenarios.h\"\n")
  set(table "")
  set(n 0)
  foreach(file ${ARGN})
    get_filename_component(name ${file} NAME_WE)
    embed_bytes(${file} bytes)
    string(APPEND code "static const unsigned char text_${n}[] = {\n${bytes}};\n")
    string(APPEND table "  {\"${name}\", (const char *)text_${n}},\n")
    math(EXPR n "${n} + 1")
  endforeach()
  string(APPEND code "const scenario_embedded scenarios[] = {\n${table}};\n")
  string(APPEND code "const unsigned scenarios_count = ${n};\n")
  file(CONFIGURE OUTPUT ${out} CONTENT "${code}" @ONLY)
endfunction()
