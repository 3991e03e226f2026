/* SPDX-License-Identifier: Apache-2.0 */
/* net.h - the board's Ethernet as lwIP's one interface, with an address by DHCP. */
#ifndef MCU_NET_H
#define MCU_NET_H

#include <stdbool.h>
#include <stdint.h>

void net_start(void);

/* Takes the frames that have come, and does what lwIP's timers want. True: something came in. */
bool net_poll(void);

/* Whether there is an address. */
bool net_is_up(void);

/* Unpredictable; lwIP's LWIP_RAND(). Given by main.c. */
uint32_t net_random(void);

#endif
