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
 * again and again the guest gets a RecursionError: never NULL without an error.  Handles among the
 * arguments are the host's from when it has read them (`given` is 0 then); until that they
 * are dropped here.
 *
 * All state is protected by the guest GIL.
 */
#include "callback.h"
#include "hot.h"

/* Host objects need no reference: the guest's caller has one for as long as the call takes. */
static int give_argument(pb_frame *f, int64_t *at, pb_obj o /*borrowed*/)
{
    int64_t number = pb_hostobj_number(o);
    return number >= 0 ? pb_give_host(f, at, number, NULL) : pb_give(f, at, pb_dup(o));
}

/* `names`: NULL, or what is written before each of the last arguments, which are not counted. */
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

/* For functions that are points.c's too, and part of pb_callback_run here. */
#define INLINED inline __attribute__((always_inline))

enum { ASKED = 4 };     /* times, as another interrupt may come in between */

INLINED int pb_callback_end(pb_thread *t, pb_frame *f, pb_outside *outside, int answer)
{
    if (PB_UNLIKELY(answer < 0)) {
        pb_step_in(t, outside);
        pb_ungive(f, 0, f->given);
        f->given = 0;
        (void)pb_step_out(outside);
        for (int i = 0; answer < 0 && i < ASKED; i++)       /* what was it? */
            answer = pb_host_entry(f, HOST_FAILED, 0, 0);
    }
    pb_step_in(t, outside);
    if (answer < 0)
        (void)pb_answer(f, PB_STOP, 0);
    return answer;
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
        int settled = pb_host_entry(f, HOST_SETTLE, 0, 0);
        (void)pb_callback_end(t, f, &outside, settled);
        t->turns--;             /* no code of the program has run */
        if (PB_UNLIKELY(settled < 0)) {
            pb_linked_forget(f);
            pb_xdrop(out);
            return take_answer(f);      /* why not */
        }
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
        (void)pb_host_entry(f, HOST_LIMIT, 0, 0);
        pb_step_in(t, &outside);
    }
    return used < pb_state.host_stack - ROOM;
}

/* The answer of a hot function: new, or NULL with an error set */
static pb_obj take_plain(const pb_frame *f, int tag)
{
    const number_of x = {.i = f->base[1]};
    switch (tag) {
    case PB_FLOAT:
        return G.PyFloat_FromDouble(x.d);
    case PB_INT:
        return G.PyLong_FromLongLong(x.i);
    case PB_LATE:
        return pb_late_float_new(x.d);
    case PB_NONE:
        return pb_dup(G._Py_NoneStruct);
    default:
        return pb_dup(tag == PB_TRUE ? G._Py_TrueStruct : G._Py_FalseStruct);
    }
}

/* Steps 2 to 4, to the end outside: a negative number when the host failed, the tag of a plain
 * answer whose number is in the first cell, or 0, for what is in the cells.  Or ARGUMENTS_FAILED,
 * inside, with an error set. */
enum { ARGUMENTS_FAILED = -2 };

static int call_host(pb_host_function *function, pb_frame *f, const pb_obj *args, int64_t nargs,
                     pb_obj names, pb_outside *outside)
{
    int64_t nkeywords = 0, number = function->tag - 1;
    number_of x[HOT_ARGUMENTS] = {{0}, {0}, {0}};
    hot_kind kind = names == NULL ? hot_arguments(args, nargs, x) : NOT_HOT;
    int entry = kind == NOT_HOT ? NOT_HOT : hot_entry(function);

    if (entry == NOT_HOT) {
        pb_site *s = names == NULL ? NULL : pb_site_find(names, nargs);
        if (PB_UNLIKELY(s != NULL && s->seen != SITE_TOLD) && pb_site_tell(s, f, outside) != 0)
            return -1;
        if (s != NULL && s->seen == SITE_TOLD) {
            if (give_arguments(f, args, nargs + G.PyTuple_Size(names), NULL, &nkeywords) != 0)
                return ARGUMENTS_FAILED;
            nkeywords = -1 - s->number;
        } else if (give_arguments(f, args, nargs, names, &nkeywords) != 0) {
            return ARGUMENTS_FAILED;
        }
        (void)pb_step_out(outside);
        return pb_host_entry(f, number, nargs, nkeywords);
    }
    f->given = 0;
    (void)pb_step_out(outside);
    if (PB_UNLIKELY(!hot_ready[kind][entry])) {     /* the host makes it for its first function */
        if (pb_host_entry(f, HOST_HOT, kind, entry) != 0)
            return -1;
        hot_ready[kind][entry] = 1;
    }
    return hot_call(kind, entry, x, number, f);
}

/* ---- the other steps, also for points.c ---- */

int pb_callback_arguments(pb_frame *f, const pb_obj *args, int64_t nargs)
{
    int64_t nkeywords;
    return give_arguments(f, args, nargs, NULL, &nkeywords);
}

INLINED int pb_callback_refused(const pb_host_function *self, pb_thread *t)
{
    pb_obj kind = *G.PyExc_ReferenceError;
    const char *why;
    if (self->tag == 0) {
        why = "no host function is behind this object";
    } else if (pb_state.state != 1) {
        why = "this function belongs to the host, which has closed the bridge";
    } else if (!pb_stack_left_for_host()) {
        kind = *G.PyExc_RecursionError;
        why = "too little stack is left on this thread to call the host";
    } else {
        /* An interrupt is the guest's to know of, not the callee's. */
        return PB_UNLIKELY(pb_interrupted) && t == pb_main_thread && pb_signals_check() != 0;
    }
    G.PyErr_SetString(kind, why);
    return 1;
}

INLINED int pb_callback_limited(pb_frame *f)
{
    if (PB_LIKELY(host_allows(f)))
        return 0;
    G.PyErr_SetString(*G.PyExc_RecursionError, "the host's recursion limit is reached");
    return 1;
}

INLINED int pb_callback_signalled(pb_thread *t, int failed)
{
    return PB_UNLIKELY(pb_interrupted | pb_noticed) && t == pb_main_thread
        && ((pb_noticed && !failed && pb_signals_look() != 0) || (pb_interrupted && pb_signals_check() != 0));
}

INLINED pb_obj pb_callback_taken(pb_frame *f, int answer)
{
    return answer > 0 ? take_plain(f, answer) : take_answer(f);
}

pb_obj pb_callback_run(pb_obj self, const pb_obj *args, size_t nargsf, pb_obj names)
{
    pb_host_function *function = (pb_host_function *)self;
    pb_outside outside;
    pb_obj out = NULL;
    pb_thread *t = &pb_me;

    if (pb_callback_refused(function, t))
        return NULL;
    pb_frame *f = pb_callback_frame_get();
    if (f == NULL)
        return NULL;
    if (pb_callback_limited(f))
        goto done;
    pb_dup(self);                               /* the guest may drop it during the call */
    int answer = call_host(function, f, args, (int64_t)(nargsf & ~PB_ARGUMENTS_OFFSET), names, &outside);
    if (answer != ARGUMENTS_FAILED) {
        out = pb_callback_taken(f, pb_callback_end(t, f, &outside, answer));
        if (pb_callback_signalled(t, out == NULL)) {
            pb_xdrop(out);
            out = NULL;
        }
    }
    pb_drop(self);
done:
    pb_callback_frame_put(f);
    return out;
}
