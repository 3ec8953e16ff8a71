/* SPDX-License-Identifier: MIT
 *
 * What every call of the host needs: its entry point, and a frame.
 *
 * A callback's frame is the core's, with a number by which the host keeps one object for each;
 * so frames are made as callbacks nest deeper or come from more threads, and none is freed.
 *
 * All state is protected by the guest GIL.
 */
#include <stdlib.h>

#include "callback.h"

int (*pb_host_entry)(pb_frame *, int64_t, int64_t, int64_t);
pb_callback_frame *pb_callback_frames;
static pb_callback_frame *parked_frames;
static int64_t frames_made;

void pb_callback_set(void *call)
{
    pb_host_entry = (int (*)(pb_frame *, int64_t, int64_t, int64_t))call;
}

pb_callback_frame *pb_callback_frame_make(void)
{
    pb_callback_frame *f = calloc(1, sizeof *f);
    if (f != NULL && pb_frame_open(&f->frame, frames_made) != 0) {
        free(f);
        f = NULL;
    }
    if (f != NULL)
        frames_made++;
    else
        (void)G.PyErr_NoMemory();
    return f;
}

/* Take idle frames out of use, so that the host may work on its half of them: the indices of
 * those below `most`, of which it has a half.  Until the second function puts them back callbacks
 * use other frames. */
int64_t pb_callback_frames_park(int64_t *indices, int64_t most)
{
    int64_t refused = 0, n = 0;
    pb_thread *t = pb_attach(&refused);
    if (t == NULL)
        return 0;
    while (pb_callback_frames != NULL) {
        pb_callback_frame *f = pb_callback_frames;
        pb_callback_frames = f->next;
        f->next = parked_frames;
        parked_frames = f;
        if (f->frame.index < most)
            indices[n++] = f->frame.index;
    }
    pb_detach(t);
    return n;
}

void pb_callback_frames_unpark(void)
{
    int64_t refused = 0;
    pb_thread *t = pb_attach(&refused);
    if (t == NULL)
        return;
    while (parked_frames != NULL) {
        pb_callback_frame *f = parked_frames;
        parked_frames = f->next;
        f->next = pb_callback_frames;
        pb_callback_frames = f;
    }
    pb_detach(t);
}
