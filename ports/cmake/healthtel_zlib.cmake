# SPDX-License-Identifier: Apache-2.0
# zlib, where HEALTHTEL_ZLIB wants it: the target healthtel::zlib.
# On a host the installed library; when cross-compiling from sources (ZLIB_ROOT, or fetched).
macro(healthtel_zlib_from_sources)
  set(ZLIB_ROOT "" CACHE PATH "zlib sources (deflate.c ...); empty: fetched")
  healthtel_sources(zlib zlib "${ZLIB_ROOT}")
  add_library(healthtel_zlib STATIC
    ${zlib}/adler32.c ${zlib}/crc32.c ${zlib}/deflate.c ${zlib}/inffast.c ${zlib}/inflate.c
    ${zlib}/inftrees.c ${zlib}/trees.c ${zlib}/zutil.c)
  target_include_directories(healthtel_zlib SYSTEM PUBLIC $<BUILD_INTERFACE:${zlib}>)
  target_compile_definitions(healthtel_zlib PUBLIC Z_SOLO # no files, no heap
    NO_GZIP) # the frames are raw deflate: 2.3 KB less
endmacro()

if(HEALTHTEL_ZLIB AND CMAKE_CROSSCOMPILING)
  healthtel_zlib_from_sources()
  add_library(healthtel::zlib ALIAS healthtel_zlib)
  set_target_properties(healthtel_zlib PROPERTIES EXPORT_NAME zlib)
elseif(HEALTHTEL_ZLIB)
  find_package(ZLIB REQUIRED)
  add_library(healthtel_zlib INTERFACE)
  add_library(healthtel::zlib ALIAS healthtel_zlib)
  target_link_libraries(healthtel_zlib INTERFACE ZLIB::ZLIB)
  set_target_properties(healthtel_zlib PROPERTIES EXPORT_NAME zlib)
endif()
