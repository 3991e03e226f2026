# SPDX-License-Identifier: Apache-2.0
# lwIP 2.1 or 2.2 from sources: the target lwip, IPv4 over Ethernet. Set before including:
#   HEALTHTEL_LWIP_PORT   the directory of lwipopts.h and arch/cc.h
include(healthtel_sources)
set(LWIP_ROOT "" CACHE PATH "lwIP sources (src/core/tcp.c ...); empty: fetched")
healthtel_sources(lwip_root lwip "${LWIP_ROOT}")

file(GLOB lwip_files ${lwip_root}/src/core/*.c ${lwip_root}/src/core/ipv4/*.c)
add_library(lwip STATIC ${lwip_files} ${lwip_root}/src/netif/ethernet.c)
target_include_directories(lwip SYSTEM PUBLIC ${lwip_root}/src/include ${HEALTHTEL_LWIP_PORT})
target_compile_options(lwip PRIVATE -w)
