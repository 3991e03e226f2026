/* SPDX-License-Identifier: Apache-2.0 */
/* cc.h - what lwIP wants to know of the compiler. */
#ifndef MCU_ARCH_CC_H
#define MCU_ARCH_CC_H

#define LWIP_NO_UNISTD_H 1
#define LWIP_NO_CTYPE_H 1
#define LWIP_NOASSERT 1
#define LWIP_PLATFORM_DIAG(x)
#define LWIP_PLATFORM_ASSERT(x)

#endif
