# SPDX-License-Identifier: Apache-2.0
# mbedTLS from sources, for firmware: the target healthtel_mbedtls_library, which ports/mbedtls then
# takes instead of an installed one. Set before including:
#   HEALTHTEL_MBEDTLS_CONFIG   the configuration header of mbedTLS
include(healthtel_sources)
set(MBEDTLS_ROOT "" CACHE PATH "mbedTLS sources (library/ssl_tls.c ...); empty: fetched")
healthtel_sources(mbedtls mbedtls "${MBEDTLS_ROOT}")

# All of them: what the configuration leaves out compiles to nothing.
file(GLOB mbedtls_files ${mbedtls}/library/*.c)
add_library(healthtel_mbedtls_library STATIC ${mbedtls_files})
get_filename_component(mbedtls_config_dir ${HEALTHTEL_MBEDTLS_CONFIG} DIRECTORY)
get_filename_component(mbedtls_config_name ${HEALTHTEL_MBEDTLS_CONFIG} NAME)
target_include_directories(healthtel_mbedtls_library SYSTEM
  PUBLIC ${mbedtls}/include ${mbedtls_config_dir} PRIVATE ${mbedtls}/library)
target_compile_definitions(healthtel_mbedtls_library
  PUBLIC MBEDTLS_CONFIG_FILE=<${mbedtls_config_name}>)
target_compile_options(healthtel_mbedtls_library PRIVATE -w)
