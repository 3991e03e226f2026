# SPDX-License-Identifier: Apache-2.0
# The sources of ports/mbedtls, for every build of it: TLS, and TLS around any transport.
set(HEALTHTEL_MBEDTLS_SOURCES htel_tls.c tls_identity.c tls_verify.c tls_error.c
  htel_tls_transport.c)
list(TRANSFORM HEALTHTEL_MBEDTLS_SOURCES PREPEND ${CMAKE_CURRENT_LIST_DIR}/)
