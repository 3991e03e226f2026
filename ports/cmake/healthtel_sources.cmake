# SPDX-License-Identifier: Apache-2.0
# Sources of libraries that a cross build compiles itself.

# Sets RESULT to `root` where the user gave one, else to the sources of Debian's package of this
# name, fetched through apt into the build tree.
function(healthtel_sources result package root)
  if(NOT root)
    set(root ${PROJECT_BINARY_DIR}/sources/${package})
    if(NOT EXISTS ${root}/.complete)
      execute_process(
        COMMAND bash ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/fetch_sources.sh
                ${PROJECT_BINARY_DIR}/sources ${package}
        RESULT_VARIABLE failed)
      if(failed)
        message(FATAL_ERROR "The sources of ${package} could not be fetched (see above). "
                            "They can be given by hand: -DNANOPB_ROOT=... -DZLIB_ROOT=... "
                            "-DMBEDTLS_ROOT=... -DLWIP_ROOT=...")
      endif()
    endif()
  endif()
  set(${result} ${root} PARENT_SCOPE)
endfunction()
