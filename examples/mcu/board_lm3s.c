/* SPDX-License-Identifier: Apache-2.0 */
/* board_lm3s.c - clock, timers and Ethernet controller of the Stellaris LM3S6965. */
#include "board.h"

#define REG(address) (*(volatile uint32_t *)(address))
#define NVIC_ISER REG(0xE000E100u)
#define NVIC_PRIORITY(irq) (*(volatile uint8_t *)(0xE000E400u + (irq)))

/* ---- Clock: 50 MHz from the 8 MHz crystal by the PLL ----------------------------------------- */

#define RIS REG(0x400FE050u)
#define RCC REG(0x400FE060u)
#define RCGC1 REG(0x400FE104u)
#define RCGC2 REG(0x400FE108u)
#define RCC_BYPASS 0x00000800u
#define RCC_POWER_DOWN 0x00002000u
#define RCC_DIVIDE 0x00400000u
#define RCC_BY_4 (3u << 23)
#define RCC_BY_MASK (15u << 23)
#define RCC_CRYSTAL_8_MHZ (0xEu << 6)
#define RCC_CRYSTAL_AND_SOURCE_MASK 0x000003F1u
#define RIS_PLL_LOCKED 0x40u

#define RCGC1_TIMERS 0x00030000u
#define RCGC2_ETHERNET 0x50000000u

void board_init(void) {
  uint32_t rcc = (RCC | RCC_BYPASS) & ~RCC_DIVIDE;
  RCC = rcc;
  rcc = (rcc & ~(RCC_CRYSTAL_AND_SOURCE_MASK | RCC_POWER_DOWN)) | RCC_CRYSTAL_8_MHZ;
  RCC = rcc;
  rcc = (rcc & ~RCC_BY_MASK) | RCC_BY_4 | RCC_DIVIDE;
  RCC = rcc;
  while (!(RIS & RIS_PLL_LOCKED)) {
  }
  RCC = rcc & ~RCC_BYPASS;
  RCGC1 |= RCGC1_TIMERS;
  RCGC2 |= RCGC2_ETHERNET;
  (void)RCGC2; /* a few cycles before the first access */
}

/* ---- Timers -------------------------------------------------------------------------------- */

#define TIMER_WAVE 0x40030000u
#define TIMER_NUMERICS 0x40031000u
#define TIMER_CFG 0x00u
#define TIMER_TAMR 0x04u
#define TIMER_CTL 0x0Cu
#define TIMER_IMR 0x18u
#define TIMER_ICR 0x24u
#define TIMER_TAILR 0x28u
#define TAMR_PERIODIC 2u

static void timer_start(uint32_t base, uint32_t cycles) {
  REG(base + TIMER_CTL) = 0;
  REG(base + TIMER_CFG) = 0; /* 32 bits */
  REG(base + TIMER_TAMR) = TAMR_PERIODIC;
  REG(base + TIMER_TAILR) = cycles - 1u;
  REG(base + TIMER_IMR) = 1;
  REG(base + TIMER_CTL) = 1;
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
  REG(TIMER_WAVE + TIMER_ICR) = 1;
}

void board_numerics_ack(void) {
  REG(TIMER_NUMERICS + TIMER_ICR) = 1;
}

/* ---- Ethernet ------------------------------------------------------------------------------- */

/* A frame in either FIFO begins with its length in 16 bits, and so lies two bytes off: sent,
 * without the Ethernet header; received, with these two bytes and the checksum. */
#define ETH 0x40048000u
#define RCTL REG(ETH + 0x08u)
#define TCTL REG(ETH + 0x0Cu)
#define DATA REG(ETH + 0x10u)
#define IA0 REG(ETH + 0x14u)
#define IA1 REG(ETH + 0x18u)
#define NP REG(ETH + 0x34u)
#define TR REG(ETH + 0x38u)
#define RCTL_ON 0x1u
#define RCTL_RESET 0x10u
#define TCTL_ON_PAD_CRC 0x7u
#define TR_NEW 0x1u
#define LENGTH_BYTES 2u
#define CHECKSUM_BYTES 4u
#define HEADER_BYTES 14u
#define PAYLOAD_BYTES_MAX 1500u

static uint32_t word, word_bytes; /* the one that is being put together, or taken apart */
static size_t rx_left;            /* bytes of the frame still to be taken */

void board_eth_init(const uint8_t mac[6]) {
  IA0 = mac[0] | (uint32_t)mac[1] << 8 | (uint32_t)mac[2] << 16 | (uint32_t)mac[3] << 24;
  IA1 = mac[4] | (uint32_t)mac[5] << 8;
  RCTL = RCTL_RESET;
  RCTL = RCTL_ON;
  TCTL = TCTL_ON_PAD_CRC;
}

size_t board_eth_pending(void) {
  if ((NP & 0x3Fu) == 0) return 0;
  word = DATA;
  rx_left = (word & 0xFFFFu) - LENGTH_BYTES;
  word >>= 16;
  word_bytes = 2;
  return rx_left > CHECKSUM_BYTES ? rx_left - CHECKSUM_BYTES : 0;
}

void board_eth_take(uint8_t *buf, size_t size) {
  for (size_t i = 0; i < size; i++) {
    if (word_bytes == 0) {
      word = DATA;
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
    (void)DATA;
}

bool board_eth_begin(size_t size) {
  if ((TR & TR_NEW) != 0 || size < HEADER_BYTES || size > PAYLOAD_BYTES_MAX + HEADER_BYTES)
    return false;
  word = (uint32_t)(size - HEADER_BYTES);
  word_bytes = 2;
  return true;
}

void board_eth_give(const uint8_t *buf, size_t size) {
  for (size_t i = 0; i < size; i++) {
    word |= (uint32_t)buf[i] << 8u * word_bytes;
    if (++word_bytes == 4u) {
      DATA = word;
      word = word_bytes = 0;
    }
  }
}

void board_eth_send(void) {
  if (word_bytes > 0) DATA = word;
  TR = TR_NEW;
}
