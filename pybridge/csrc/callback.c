/* SPDX-License-Identifier: MIT
 *
 * The guest calls the host.
 *
 * One callback, step by step, with what is held:
 *   1. guest code calls; the guest GIL is held.
 *   2. the arguments become cells of a callback frame.
 *   3. the thread steps out: the guest GIL is given up (or leased).
 *   4. the host's entry point runs; it takes the host's GIL itself, on a thread that the
 *      guest made as well.  It leaves a value, or PB_RAISE with an exception.
 *   5. the thread steps in: the guest GIL is held again.
 *   6. the cells become a guest object, or the exception is set.
 * If the host's entry point fails outside of its own care (an interrupt came at its first
 * instruction, or its stack check failed), it is called once more to say why; if it fails
 * again the guest gets a RecursionError: never NULL without an error.  Handles among the
 * arguments are the host's from when it has read them (`given` is 0 then); until that they
 * are dropped here.
 *
 * All state is protected by the guest GIL.
 */
#include <stdlib.h>

#include "core.h"

typedef struct callback_frame {
    pb_frame frame;
    struct callback_frame *next;
} callback_frame;

/* Numbers that no host object has: _AGAIN and _LIMIT in pybridge/_callback.py. */
static const int64_t HOST_FAILED = INT64_MAX, HOST_LIMIT = INT64_MAX - 1,
    HOST_SETTLE = INT64_MAX - 2;

static callback_frame *free_frames;
static int64_t frames_made;
static int (*host_call)(pb_frame *, int64_t, int64_t, int64_t);

void pb_callback_set(void *call)
{
    host_call = (int (*)(pb_frame *, int64_t, int64_t, int64_t))call;
}

static callback_frame *frame_get(void)
{
    callback_frame *f = free_frames;
    if (f != NULL) {
        free_frames = f->next;
        return f;
    }
    f = calloc(1, sizeof *f);
    if (f != NULL && pb_frame_open(&f->frame, frames_made) != 0) {
        free(f);
        f = NULL;
    }
    if (f != NULL)
        frames_made++;          /* the host keeps one object for each, so none is freed */
    return f;
}

static callback_frame *parked_frames;

/* Take up to `most` idle frames out of use, so that the host may work on its half of them:
 * their indices.  Until the second function puts them back callbacks use other frames. */
int64_t pb_callback_frames_park(int64_t *indices, int64_t most)
{
    int64_t refused = 0, n = 0;
    pb_thread *t = pb_attach(&refused);
    if (t == NULL)
        return 0;
    while (free_frames != NULL && n < most) {
        callback_frame *f = free_frames;
        free_frames = f->next;
        f->next = parked_frames;
        parked_frames = f;
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
        callback_frame *f = parked_frames;
        parked_frames = f->next;
        f->next = free_frames;
        free_frames = f;
    }
    pb_detach(t);
}

/* Host objects need no reference: the guest's caller has one for as long as the call takes. */
static int give_argument(pb_frame *f, int64_t *at, pb_obj o /*borrowed*/)
{
    int64_t number = pb_hostobj_number(o);
    return number >= 0 ? pb_give_host(f, at, number, NULL) : pb_give(f, at, pb_dup(o));
}

static int give_arguments(pb_frame *f, const pb_obj *args, int64_t nargs, pb_obj names, int64_t *nkeywords)
{
    int64_t at = 0;
    f->text_used = 0;
    for (int64_t i = 0; i < nargs; i++)
        if (give_argument(f, &at, args[i]) != 0)
            goto failed;
    *nkeywords = names == NULL ? 0 : G.PyTuple_Size(names);
    for (int64_t i = 0; i < *nkeywords; i++)
        if (pb_give(f, &at, pb_dup(G.PyTuple_GetItem(names, i))) != 0
            || give_argument(f, &at, args[nargs + i]) != 0)
            goto failed;
    f->given = at == 1 && f->cells[0] == PB_FLOAT ? 0 : at;     /* a number is nobody's */
    return 0;
failed:
    pb_ungive(f, 0, at);
    return -1;
}

/* What the host left in the frame. new, or NULL with an error set */
static pb_obj take_answer(pb_frame *f)
{
    int64_t at = 0;
    const int64_t *c = f->cells;
    if (PB_TAG(c[0]) == PB_RAISE) {
        pb_obj exception = (pb_obj)(intptr_t)c[1];      /* owned by us now */
        G.PyErr_SetObject(&exception->type->head, exception);
        pb_drop(exception);
        return NULL;
    }
    if (PB_TAG(c[0]) == PB_STOP) {
        G.PyErr_SetString(*G.PyExc_RecursionError, "the host could not begin the callback: its recursion limit is reached");
        return NULL;
    }
    pb_obj out = pb_take(f, &at);
    if (PB_UNLIKELY(f->links_used) && pb_linked_finish(f) > 0) {    /* the host's to number */
        pb_outside outside;
        pb_thread *t = pb_step_out(&outside);
        (void)host_call(f, HOST_SETTLE, 0, 0);
        pb_step_in(t, &outside);
        t->turns--;             /* no code of the program has run */
    }
    return out;
}

/* PyPy stops a recursion by the stack that it has used.  If that happens before its code for
 * a callback has begun, nothing can be caught and it prints a line: so be sure, before, that
 * there is some room.  The limit may have been changed: well before, ask for it. */
static int host_allows(pb_frame *f)
{
    enum { ROOM = 96 << 10 };
    int64_t used;
    if (PB_LIKELY(pb_state.host_stack == 0 || (used = pb_stack_used_by_host()) < pb_state.host_stack / 2))
        return 1;
    if (used < pb_state.host_stack - ROOM / 2) {
        pb_outside outside;
        pb_thread *t = pb_step_out(&outside);
        (void)host_call(f, HOST_LIMIT, 0, 0);
        pb_step_in(t, &outside);
    }
    return used < pb_state.host_stack - ROOM;
}

pb_obj pb_callback_run(pb_obj self, const pb_obj *args, size_t nargsf, pb_obj names)
{
    int64_t nargs = (int64_t)(nargsf & ~PB_ARGUMENTS_OFFSET), nkeywords = 0, number = pb_hostobj_number(self);
    pb_outside outside;
    pb_obj out = NULL;

    if (number < 0) {
        G.PyErr_SetString(*G.PyExc_ReferenceError, "no host function is behind this object");
        return NULL;
    }
    if (pb_state.state != 1) {
        G.PyErr_SetString(*G.PyExc_ReferenceError, "this function belongs to the host, which has closed the bridge");
        return NULL;
    }
    if (!pb_stack_left_for_host()) {
        G.PyErr_SetString(*G.PyExc_RecursionError, "too little stack is left on this thread to call the host");
        return NULL;
    }
    if (PB_UNLIKELY(pb_interrupted) && &pb_me == pb_main_thread && pb_signals_check() != 0)
        return NULL;                            /* it is the guest's to know of, not the callee's */
    callback_frame *cf = frame_get();
    if (cf == NULL)
        return G.PyErr_NoMemory();
    pb_frame *f = &cf->frame;
    if (!host_allows(f)) {
        G.PyErr_SetString(*G.PyExc_RecursionError, "the host's recursion limit is reached");
        goto done;
    }
    if (give_arguments(f, args, nargs, names, &nkeywords) != 0)
        goto done;
    pb_dup(self);                               /* the guest may drop it during the call */
    pb_thread *t = pb_step_out(&outside);
    int failed = host_call(f, number, nargs, nkeywords);
    if (PB_UNLIKELY(failed)) {
        pb_step_in(t, &outside);
        pb_ungive(f, 0, f->given);
        f->given = 0;
        t = pb_step_out(&outside);
        failed = host_call(f, HOST_FAILED, 0, 0);       /* what was it? */
    }
    pb_step_in(t, &outside);
    if (failed)
        pb_answer(f, PB_STOP, 0);
    out = take_answer(f);
    pb_drop(self);
    if (PB_UNLIKELY(pb_interrupted | pb_noticed) && t == pb_main_thread
        && ((pb_noticed && out != NULL && pb_signals_look() != 0) || (pb_interrupted && pb_signals_check() != 0))) {
        pb_xdrop(out);
        out = NULL;
    }
done:
    pb_frame_shrink(f);
    cf->next = free_frames;
    free_frames = cf;
    return out;
}

