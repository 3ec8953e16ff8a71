/* SPDX-License-Identifier: MIT
 *
 * Releasing handles.  The host finds out which chunks of handles are dead and passes their
 * addresses; the words are read and cleared with the guest GIL held, so an explicit release
 * and a sweep of the same chunk cannot both drop a handle.
 *
 * A destructor of the guest may run here, and may call the host, which may come back here:
 * each word is cleared before its object is dropped.  A destructor's error is the guest's
 * own business (it reports it as unraisable); an error already pending cannot be, since
 * host code never runs with one.
 */
#include "core.h"

/* Did an object go that the guest's cycle collector knows? */
static int drop_word(int64_t *word)
{
    int64_t handle = *word;
    *word = 0;
    if (handle == 0)
        return 0;
    pb_state.released++;
    if (handle & 1) {
        pb_buffer_drop((pb_buffer *)(intptr_t)(handle & ~(int64_t)1));
        return 0;
    }
    pb_obj o = (pb_obj)(intptr_t)handle;
    int counted = o->refcount == 1 && (o->type->flags & PB_TYPE_GC);
    pb_drop(o);
    return counted;
}

int pb_release_chunks(int64_t *chunks, int64_t count)
{
    int64_t refused = 0;
    pb_thread *t = pb_attach(&refused);
    if (t == NULL)
        return -1;
    int64_t counted = 0;
    for (int64_t i = 0; i < count; i++) {
        int64_t *words = (int64_t *)(intptr_t)chunks[i];
        for (int j = 0; j < PB_CHUNK; j++)
            counted += drop_word(words + j);
    }
    pb_pile_dropped(counted);
    pb_detach(t);
    return 0;
}

/* Drop a reference that the host found to be its second one to the object: not a turn of the
 * program's, so what was read ahead stays true. */
int pb_release_second(int64_t handle)
{
    int64_t refused = 0;
    pb_thread *t = pb_attach(&refused);
    if (t == NULL)
        return -1;
    pb_obj o = (pb_obj)(intptr_t)handle;
    if (PB_LIKELY(o->refcount != 1)) {          /* nothing can run */
        pb_state.entered--;
        t->turns--;
    }
    pb_drop(o);
    pb_detach(t);
    return 0;
}

int pb_release_handle(int64_t handle)
{
    int64_t refused = 0;
    pb_thread *t = pb_attach(&refused);
    if (t == NULL)
        return -1;
    (void)drop_word(&handle);
    pb_detach(t);
    return 0;
}

void pb_ungive(pb_frame *f, int64_t from, int64_t to)
{
    pb_obj exception = pb_exception_take();     /* destructors must not see it */
    for (int64_t i = from; i < to; i++) {
        int64_t *c = f->cells + 2 * i;
        int tag = PB_TAG(c[0]);
        if (tag == PB_OBJECT || tag == PB_HEAVY || tag == PB_UNKNOWN || tag == PB_HOST
            || tag == PB_CLASS || tag == PB_SUBVALUE)
            pb_xdrop((pb_obj)(intptr_t)c[1]);
        c[0] = PB_NONE;
    }
    if (exception != NULL) {
        G.PyErr_SetObject(&exception->type->head, exception);
        pb_drop(exception);
    }
}

/* The host could not read all cells: drop what it has not taken over. */
void pb_frame_ungive(pb_frame *f)
{
    int64_t refused = 0;
    pb_thread *t = pb_attach(&refused);
    if (t == NULL)
        return;
    pb_ungive(f, 0, f->given);
    f->given = 0;
    pb_detach(t);
}
