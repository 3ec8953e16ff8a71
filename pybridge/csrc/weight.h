/* SPDX-License-Identifier: MIT
 *
 * What the host should know of the memory behind a handle, for the sake of its collector.
 * Needs the guest GIL.
 */
#ifndef PB_WEIGHT_H
#define PB_WEIGHT_H

#include "core.h"

/* Count the memory that goes when the host's handle goes: of an object that nobody else has.
 * The third word of a list, dict and set is how many items it has, from 3.9 to 3.14. */
static inline void pb_weigh(pb_obj o /*borrowed*/)
{
    if (o->refcount != 1)
        return;
    int64_t bytes = o->type->basicsize;
    const pb_obj type = &o->type->head;
    if (type == G.PyList_Type)
        bytes += 8 * ((const int64_t *)(const void *)o)[2];
    else if (type == G.PyDict_Type || type == G.PySet_Type)
        bytes += 100 * ((const int64_t *)(const void *)o)[2];
    pb_state.heavy_bytes += bytes;
}

/* Likewise of an object with a buffer: the word to give it with. */
int64_t pb_weigh_heavy(pb_obj o /*borrowed*/, int64_t word);

#endif
