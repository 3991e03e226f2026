/* SPDX-License-Identifier: Apache-2.0 */
/* lwipopts.h - lwIP for one TCP connection in little RAM: IPv4, DHCP, DNS, no threads, no sockets.
 *
 * All of lwIP's memory is static: the pools below, and MEM_SIZE bytes for what is sent. */
#ifndef MCU_LWIPOPTS_H
#define MCU_LWIPOPTS_H

#include <stdint.h>

#define NO_SYS 1
#define SYS_LIGHTWEIGHT_PROT 0 /* all in the main loop, nothing in interrupts */
#define LWIP_NETCONN 0
#define LWIP_SOCKET 0
#define LWIP_STATS 0
#define LWIP_NETIF_HOSTNAME 0
#define LWIP_NETIF_TX_SINGLE_PBUF 0
#define LWIP_RAW 0
#define IP_REASSEMBLY 0
#define IP_FRAG 0
#define IP_FORWARD 0
#define LWIP_DHCP 1
#define DHCP_DOES_ARP_CHECK 0
#define LWIP_DHCP_DOES_ACD_CHECK 0 /* its name since 2.2 */
#define LWIP_DNS 1
#define DNS_TABLE_SIZE 1
#define DNS_MAX_NAME_LENGTH 64
#define ARP_TABLE_SIZE 4

#define MEM_ALIGNMENT 4
#define MEM_SIZE 3072      /* TCP_SND_BUF, with headers, and DHCP's and ARP's */
#define MEMP_NUM_TCP_PCB 2 /* one lives, one lingers */
#define MEMP_NUM_TCP_PCB_LISTEN 1
#define MEMP_NUM_TCP_SEG 8
#define MEMP_NUM_UDP_PCB 2 /* DHCP, DNS */
#define MEMP_NUM_PBUF 2
#define PBUF_POOL_SIZE 6 /* a window full, and one for what else comes */
#define PBUF_POOL_BUFSIZE 608

/* Segments that every network takes without being asked, four at a time. */
#define TCP_MSS 536
#define TCP_WND (4 * TCP_MSS)
#define TCP_SND_BUF (4 * TCP_MSS)
#define TCP_SND_QUEUELEN 8
#define TCP_QUEUE_OOSEQ 0 /* what comes out of order is sent again: it would hold the pool */
#define LWIP_TCP_KEEPALIVE 0

uint32_t net_random(void);
#define LWIP_RAND() net_random()

#endif
