/* SPDX-License-Identifier: Apache-2.0 */
/* board_an386.c - CMSDK timers and the LAN9118 of ARM's MPS2. */
#include "board.h"

#define REG(address) (*(volatile uint32_t *)(address))
#define NVIC_ISER REG(0xE000E100u)
#define NVIC_PRIORITY(irq) (*(volatile uint8_t *)(0xE000E400u + (irq)))

/* ---- Timers -------------------------------------------------------------------------------- */

#define TIMER_WAVE 0x40000000u
#define TIMER_NUMERICS 0x40001000u
#define TIMER_CTRL 0x0u
#define TIMER_VALUE 0x4u
#define TIMER_RELOAD 0x8u
#define TIMER_INTCLEAR 0xCu
#define CTRL_ON_WITH_INTERRUPT 0x9u

void board_init(void) {}

static void timer_start(uint32_t base, uint32_t cycles) {
  REG(base + TIMER_RELOAD) = cycles - 1u;
  REG(base + TIMER_VALUE) = cycles - 1u;
  REG(base + TIMER_CTRL) = CTRL_ON_WITH_INTERRUPT;
}

/* The smaller number goes first: SysTick has 0. */
void board_timers_start(uint32_t wave_cycles, uint32_t numerics_cycles) {
  NVIC_PRIORITY(BOARD_IRQ_WAVE) = 0x40;
  NVIC_PRIORITY(BOARD_IRQ_NUMERICS) = 0x80;
  NVIC_ISER = 1u << BOARD_IRQ_WAVE | 1u << BOARD_IRQ_NUMERICS;
  timer_start(TIMER_WAVE, wave_cycles);
  timer_start(TIMER_NUMERICS, numerics_cycles);
}

void board_wave_ack(void) {
  REG(TIMER_WAVE + TIMER_INTCLEAR) = 1;
}

void board_numerics_ack(void) {
  REG(TIMER_NUMERICS + TIMER_INTCLEAR) = 1;
}

/* ---- LAN9118 -------------------------------------------------------------------------------- */

#define ETH 0x40200000u
#define RX_DATA REG(ETH + 0x00u)
#define TX_DATA REG(ETH + 0x20u)
#define RX_STATUS REG(ETH + 0x40u)
#define TX_CFG REG(ETH + 0x70u)
#define HW_CFG REG(ETH + 0x74u)
#define RX_FIFO_INF REG(ETH + 0x7Cu)
#define TX_FIFO_INF REG(ETH + 0x80u)
#define MAC_CSR_CMD REG(ETH + 0xA4u)
#define MAC_CSR_DATA REG(ETH + 0xA8u)
#define CSR_BUSY 0x80000000u
#define MAC_CR 1u
#define MAC_ADDRH 2u
#define MAC_ADDRL 3u
#define CR_RX_ON 0x4u
#define CR_TX_ON 0x8u
#define TX_ON 0x2u
#define HW_STORE_AND_FORWARD 0x00100000u
#define HW_TX_FIFO_5K 0x00050000u
#define COMMAND_FIRST_AND_LAST 0x3000u
#define CHECKSUM_BYTES 4u

static uint32_t word, word_bytes; /* the one that is being put together, or taken apart */
static size_t rx_left;            /* bytes of the frame still in the FIFO */

static void mac_write(uint32_t reg, uint32_t value) {
  while (MAC_CSR_CMD & CSR_BUSY) {
  }
  MAC_CSR_DATA = value;
  MAC_CSR_CMD = CSR_BUSY | reg;
}

void board_eth_init(const uint8_t mac[6]) {
  HW_CFG = HW_STORE_AND_FORWARD | HW_TX_FIFO_5K;
  mac_write(MAC_ADDRL,
            mac[0] | (uint32_t)mac[1] << 8 | (uint32_t)mac[2] << 16 | (uint32_t)mac[3] << 24);
  mac_write(MAC_ADDRH, mac[4] | (uint32_t)mac[5] << 8);
  TX_CFG = TX_ON;
  mac_write(MAC_CR, CR_RX_ON | CR_TX_ON);
}

size_t board_eth_pending(void) {
  if ((RX_FIFO_INF >> 16 & 0xFFu) == 0) return 0;
  rx_left = RX_STATUS >> 16 & 0x3FFFu;
  word_bytes = 0;
  return rx_left > CHECKSUM_BYTES ? rx_left - CHECKSUM_BYTES : 0;
}

void board_eth_take(uint8_t *buf, size_t size) {
  for (size_t i = 0; i < size; i++) {
    if (word_bytes == 0) {
      word = RX_DATA;
      word_bytes = 4;
    }
    buf[i] = (uint8_t)word;
    word >>= 8;
    word_bytes--;
    rx_left--;
  }
}

void board_eth_taken(void) {
  for (rx_left = rx_left > word_bytes ? rx_left - word_bytes : 0; rx_left > 0;
       rx_left -= rx_left < 4u ? rx_left : 4u)
    (void)RX_DATA;
}

bool board_eth_begin(size_t size) {
  if ((TX_FIFO_INF & 0xFFFFu) < size + 16u) return false;
  TX_DATA = COMMAND_FIRST_AND_LAST | (uint32_t)size;
  TX_DATA = (uint32_t)size;
  word = word_bytes = 0;
  return true;
}

void board_eth_give(const uint8_t *buf, size_t size) {
  for (size_t i = 0; i < size; i++) {
    word |= (uint32_t)buf[i] << 8u * word_bytes;
    if (++word_bytes == 4u) {
      TX_DATA = word;
      word = word_bytes = 0;
    }
  }
}

void board_eth_send(void) {
  if (word_bytes > 0) TX_DATA = word;
  while ((TX_FIFO_INF >> 16 & 0xFFu) > 0) (void)REG(ETH + 0x48u); /* statuses nobody asked for */
}
