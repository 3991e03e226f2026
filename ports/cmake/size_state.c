/* SPDX-License-Identifier: Apache-2.0 */
/* size_state.c - what a client's parts take in RAM on this machine, as symbols to be read with nm.
 *
 * A figure is the size of an array, so that nothing has to run. The three files are here for their
 * private types. */
#include <htel_mqtt.h>
#include <htel_tls_transport.h>
#include <stdalign.h>

#include "client.h"
#include "store.h"

#include "model_write.c"
#include "outbox_flash.c"
#include "zip.c"

#define STATE(name, bytes) const char state_##name[bytes] = {1}

STATE(align, alignof(max_align_t));
STATE(client, sizeof(htel));
STATE(ring, sizeof(ring));
STATE(channel, sizeof(channel_state));
STATE(column, sizeof(batch_column));
STATE(outbox_entry, sizeof(outbox_entry));
STATE(flash_box, sizeof(box));
STATE(flash_block, sizeof(store_block));
STATE(best, sizeof(model_writer) > sizeof(block_readings) ? sizeof(model_writer)
                                                          : sizeof(block_readings));
STATE(zlib, ZIP_BYTES + ZIP_DEFLATE_BYTES);
STATE(mqtt, sizeof(htel_mqtt));
STATE(tls, sizeof(htel_tls_transport) + sizeof(htel_tls_identity));
