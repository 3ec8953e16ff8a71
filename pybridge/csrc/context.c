/* SPDX-License-Identifier: MIT
 *
 * Context variables: which of the guest's contexts is this thread's current one.
 *
 * The guest keeps them on a stack in its thread state, so what was entered last is left first;
 * a leave that is out of order is refused by the guest, and changes nothing.
 */
#include "crossing.h"

/* Enter the contextvars.Context `context`, or leave it.  PB_NONE, or PB_ERROR. */
int64_t pb_context(pb_frame *f, intptr_t context, int enter)
{
    int64_t word;
    pb_thread *t = crossing_begin(f, context, &word);
    if (t == NULL)
        return word;
    int status = (enter ? G.PyContext_Enter : G.PyContext_Exit)((pb_obj)context);
    return crossing_end_plain(t, f, status != 0, PB_NONE, 0);
}
