/* SPDX-License-Identifier: Apache-2.0 */
/* net.c - see net.h. The controller is looked at from the main loop, not by interrupt: the loop
 * runs each millisecond in any case. */
#include "net.h"

#include <lwip/dhcp.h>
#include <lwip/etharp.h>
#include <lwip/init.h>
#include <lwip/netif.h>
#include <lwip/sys.h>
#include <lwip/timeouts.h>
#include <netif/ethernet.h>

#include "board.h"

#define FRAME_BYTES_MAX 1514u
#define FRAMES_AT_ONCE 4u /* in one net_poll() */

static const uint8_t mac[6] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56}; /* locally administered */
static struct netif interface;

u32_t sys_now(void) {
  return clock_ms();
}

static err_t send_frame(struct netif *netif, struct pbuf *p) {
  (void)netif;
  if (!board_eth_begin(p->tot_len)) return ERR_IF; /* TCP sends it again */
  for (const struct pbuf *q = p; q != NULL; q = q->next) board_eth_give(q->payload, q->len);
  board_eth_send();
  return ERR_OK;
}

static err_t interface_begin(struct netif *netif) {
  netif->name[0] = 'e';
  netif->name[1] = 'n';
  netif->hwaddr_len = sizeof mac;
  for (unsigned i = 0; i < sizeof mac; i++) netif->hwaddr[i] = mac[i];
  netif->mtu = 1500;
  netif->flags =
      NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_LINK_UP;
  netif->output = etharp_output;
  netif->linkoutput = send_frame;
  board_eth_init(mac);
  return ERR_OK;
}

void net_start(void) {
  lwip_init();
  netif_add_noaddr(&interface, NULL, interface_begin, ethernet_input);
  netif_set_default(&interface);
  netif_set_up(&interface);
  dhcp_start(&interface);
}

/* A frame without room is dropped, as on any network. */
static void receive_frame(size_t size) {
  struct pbuf *p = size <= FRAME_BYTES_MAX ? pbuf_alloc(PBUF_RAW, (u16_t)size, PBUF_POOL) : NULL;
  for (struct pbuf *q = p; q != NULL; q = q->next) board_eth_take(q->payload, q->len);
  board_eth_taken();
  if (p != NULL && interface.input(p, &interface) != ERR_OK) pbuf_free(p);
}

bool net_poll(void) {
  size_t size;
  unsigned frames = 0;
  while (frames < FRAMES_AT_ONCE && (size = board_eth_pending()) > 0) {
    receive_frame(size);
    frames++;
  }
  sys_check_timeouts();
  return frames > 0;
}

bool net_is_up(void) {
  return dhcp_supplied_address(&interface) != 0;
}
