/* SPDX-License-Identifier: Apache-2.0 */
/* pack.h - an open frame is closed: numbered, made smaller, put into the outbox. */
#ifndef HTEL_SRC_PACK_H
#define HTEL_SRC_PACK_H

#include "client.h"

/* Closes what the class has gathered; one frame, or a few where columns do not fit into one. Frames
 * of class alarm take waiting anchors along, and waiting loss records while `with_losses`. Where
 * the outbox has no room frames are evicted, and that goes into the loss ledger. */
void pack_class(htel *tel, uint8_t frame_class, bool with_losses);

/* A frame goes without having been delivered: into the ledger with it, and what it carried for
 * others is to be said again. The caller frees it. */
void pack_evicted(htel *tel, const outbox_entry *entry);

/* Whether anchors or loss records wait for a frame. */
bool pack_system_waiting(const htel *tel);

/* The anchor in force goes into the next frame. */
void pack_anchor(htel *tel);

#endif
