/* SPDX-License-Identifier: MIT
 *
 * Buffers: guest memory lent to the host.  A Py_buffer is held, so the guest refuses to
 * resize or free what it describes; the host reads and writes the memory without a call.
 *
 * A held buffer is a handle like any other, with the lowest bit set (an object's address has
 * it clear), so it is released by the same chunks and sweeps: see handle.c.
 */
#include <stdlib.h>

#include "crossing.h"

enum { FULL_RO = 0x11c };       /* PyBUF_FULL_RO: any strides, any format, perhaps read-only */

/* PB_INT: the address of a pb_buffer, which the host owns as a handle: address | 1. */
int64_t pb_buffer_get(pb_frame *f, intptr_t object)
{
    int64_t word = 0;
    pb_thread *t = crossing_begin(f, object, &word);
    if (t == NULL)
        return word;
    pb_buffer *buffer = calloc(1, sizeof *buffer);
    if (buffer == NULL) {
        (void)G.PyErr_NoMemory();
        return crossing_end(t, f, NULL);
    }
    pb_dup((pb_obj)object);             /* guest code may run */
    int failed = G.PyObject_GetBuffer((pb_obj)object, buffer, FULL_RO) != 0;
    pb_drop((pb_obj)object);
    if (failed) {
        free(buffer);
        return crossing_end(t, f, NULL);
    }
    if (interrupted(t)) {
        pb_buffer_drop(buffer);             /* steals; a release keeps the pending error */
        return crossing_end(t, f, NULL);
    }
    return crossing_end_plain(t, f, 0, PB_INT, (int64_t)(intptr_t)buffer);
}

/* Needs the guest GIL. */
void pb_buffer_drop(pb_buffer *buffer /*steals*/)
{
    G.PyBuffer_Release(buffer);
    free(buffer);
}
