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
 * Hot functions.  A call with one to three numbers, of a function that was called a few times
 * before, passes them in registers to an entry point of the host's that takes just these (step
 * 2 is left out), and a result that is a number is in the first cell.  There are a few such
 * entry points for each combination, because PyPy compiles each of its own, and two functions
 * that share one are slower.  The frame is there all the same, for other results.
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
    HOST_SETTLE = INT64_MAX - 2, HOST_HOT = INT64_MAX - 3, HOST_NAMES = INT64_MAX - 4;

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

/* Take idle frames out of use, so that the host may work on its half of them: the indices of
 * those below `most`, of which it has a half.  Until the second function puts them back callbacks
 * use other frames. */
int64_t pb_callback_frames_park(int64_t *indices, int64_t most)
{
    int64_t refused = 0, n = 0;
    pb_thread *t = pb_attach(&refused);
    if (t == NULL)
        return 0;
    while (free_frames != NULL) {
        callback_frame *f = free_frames;
        free_frames = f->next;
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

/* ---- names of keywords ----
 *
 * A call site's names are one tuple, the same object each time.  A tuple that comes again is
 * told to the host, and from then on the values are given alone.  The table holds it, so that no
 * other can be at its address; a tuple that was made for one call only is soon replaced. */

enum { SHAPES = 128, SHAPE_AFTER = 8, MOST_NAMED = 3 /* pybridge/_keywords.py: MOST */ };
enum { TOLD = -1, TELLING = -2 };               /* instead of a count */
typedef struct shape {
    pb_obj names;               /* owned */
    int64_t number;
    int seen;
} shape;
static shape shapes[SHAPES];
static int64_t shapes_told;

/* The entry of a tuple that is told or is to be told now, or NULL. */
static shape *shape_find(pb_obj names /*borrowed*/, int64_t nargs)
{
    shape *s = &shapes[((uintptr_t)names >> 4) % SHAPES];
    if (s->seen == TOLD)
        return s->names == names && nargs <= MOST_NAMED ? s : NULL;
    if (s->seen == TELLING || nargs > MOST_NAMED || G.PyTuple_Size(names) > MOST_NAMED)
        return NULL;
    if (s->names != names) {
        pb_xdrop(s->names);     /* a tuple of texts: no code runs */
        s->names = pb_dup(names);
        s->seen = 0;
    }
    return ++s->seen >= SHAPE_AFTER ? s : NULL;
}

/* Gives 0, or -1 when the host failed: outside then. */
static int shape_tell(shape *s, pb_frame *f, pb_outside *outside)
{
    int64_t at = 0;
    s->seen = TELLING;
    s->number = shapes_told++;
    f->text_used = 0;
    if (pb_give(f, &at, pb_dup(s->names)) != 0) {
        G.PyErr_Clear();
        s->seen = 0;
        return 0;
    }
    f->given = 0;
    pb_thread *t = pb_step_out(outside);
    if (host_call(f, HOST_NAMES, s->number, 0) != 0) {
        s->seen = 0;            /* TELLING: nobody else has changed it */
        return -1;
    }
    pb_step_in(t, outside);
    t->turns--;                 /* no code of the program has run */
    s->seen = TOLD;
    return 0;
}

/* ---- hot functions ---- */

enum { HOT_AFTER = 16, HOT_POOL = 4, HOT_ARGUMENTS = 3 };    /* calls; entry points of a kind */
typedef enum { NOT_HOT = -1, D, DD, I, II, DI, DDD, HOT_KINDS } hot_kind;
static unsigned char hot_ready[HOT_KINDS][HOT_POOL];

typedef union number { double d; int64_t i; } number_of;

/* ORDER HOT: host.h, pybridge/_callback.py */
static int (*const hot_d[])(double, int64_t, intptr_t) = {pb_hot_d0, pb_hot_d1, pb_hot_d2, pb_hot_d3};
static int (*const hot_dd[])(double, double, int64_t, intptr_t) = {pb_hot_dd0, pb_hot_dd1, pb_hot_dd2, pb_hot_dd3};
static int (*const hot_i[])(int64_t, int64_t, intptr_t) = {pb_hot_i0, pb_hot_i1, pb_hot_i2, pb_hot_i3};
static int (*const hot_ii[])(int64_t, int64_t, int64_t, intptr_t) = {pb_hot_ii0, pb_hot_ii1, pb_hot_ii2, pb_hot_ii3};
static int (*const hot_di[])(double, int64_t, int64_t, intptr_t) = {pb_hot_di0, pb_hot_di1, pb_hot_di2, pb_hot_di3};
static int (*const hot_ddd[])(double, double, double, int64_t, intptr_t) = {
    pb_hot_ddd0, pb_hot_ddd1, pb_hot_ddd2, pb_hot_ddd3};

static inline int read_int(pb_obj o /*borrowed*/, number_of *x)
{
    int overflow = 0;
    if (PB_LIKELY(pb_int_small(o, &x->i)))
        return 1;
    x->i = G.PyLong_AsLongLongAndOverflow(o, &overflow);
    return !overflow;
}

/* Are these arguments numbers that an entry point takes?  */
static inline hot_kind hot_arguments(const pb_obj *args, int64_t nargs, number_of *x)
{
    int floats = 0;
    if (nargs < 1 || nargs > HOT_ARGUMENTS)
        return NOT_HOT;
    for (int i = 0; i < nargs; i++) {
        const pb_obj type = &args[i]->type->head;
        if (type == G.PyFloat_Type) {
            x[i].d = ((const pb_float *)args[i])->value;
            floats |= 1 << i;
        } else if (type != G.PyLong_Type || !read_int(args[i], &x[i])) {
            return NOT_HOT;
        }
    }
    if (nargs == 1)
        return floats ? D : I;
    if (nargs == 2)
        return floats == 3 ? DD : floats == 0 ? II : floats == 1 ? DI : NOT_HOT;
    return floats == 7 ? DDD : NOT_HOT;
}

/* Without the guest GIL. */
static int hot_call(hot_kind kind, int entry, const number_of *x, int64_t number, pb_frame *f)
{
    const intptr_t frame = (intptr_t)f;
    switch (kind) {
    case D:
        return hot_d[entry](x[0].d, number, frame);
    case DD:
        return hot_dd[entry](x[0].d, x[1].d, number, frame);
    case I:
        return hot_i[entry](x[0].i, number, frame);
    case DI:
        return hot_di[entry](x[0].d, x[1].i, number, frame);
    case DDD:
        return hot_ddd[entry](x[0].d, x[1].d, x[2].d, number, frame);
    default:
        return hot_ii[entry](x[0].i, x[1].i, number, frame);
    }
}

/* Which entry point of each kind is this function's, or NOT_HOT. */
static inline int hot_entry(pb_host_function *function)
{
    static int next;
    if (PB_UNLIKELY(function->calls < HOT_AFTER)) {
        if (++function->calls < HOT_AFTER)
            return NOT_HOT;
        function->entry = (short)(next++ % HOT_POOL);
    }
    return function->entry;
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
        shape *s = names == NULL ? NULL : shape_find(names, nargs);
        if (PB_UNLIKELY(s != NULL && s->seen != TOLD) && shape_tell(s, f, outside) != 0)
            return -1;
        if (s != NULL && s->seen == TOLD) {
            if (give_arguments(f, args, nargs + G.PyTuple_Size(names), NULL, &nkeywords) != 0)
                return ARGUMENTS_FAILED;
            nkeywords = -1 - s->number;
        } else if (give_arguments(f, args, nargs, names, &nkeywords) != 0) {
            return ARGUMENTS_FAILED;
        }
        (void)pb_step_out(outside);
        return host_call(f, number, nargs, nkeywords);
    }
    f->given = 0;
    (void)pb_step_out(outside);
    if (PB_UNLIKELY(!hot_ready[kind][entry])) {     /* the host makes it for its first function */
        if (host_call(f, HOST_HOT, kind, entry) != 0)
            return -1;
        hot_ready[kind][entry] = 1;
    }
    return hot_call(kind, entry, x, number, f);
}

/* ---- the steps, also for points.c; here they are part of pb_callback_run ---- */

#define INLINED inline __attribute__((always_inline))

INLINED pb_frame *pb_callback_frame_get(void)
{
    callback_frame *f = frame_get();
    if (f == NULL)
        (void)G.PyErr_NoMemory();
    return f == NULL ? NULL : &f->frame;
}

INLINED void pb_callback_frame_put(pb_frame *f)
{
    callback_frame *cf = (callback_frame *)(void *)f;       /* its first member */
    pb_frame_shrink(f);
    cf->next = free_frames;
    free_frames = cf;
}

int pb_callback_arguments(pb_frame *f, const pb_obj *args, int64_t nargs)
{
    int64_t nkeywords;
    return give_arguments(f, args, nargs, NULL, &nkeywords);
}

int pb_callback_entry_make(pb_frame *f, int kind, int entry)
{
    return host_call(f, HOST_HOT, kind, entry) == 0 ? 0 : -1;
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

INLINED int pb_callback_end(pb_thread *t, pb_frame *f, pb_outside *outside, int answer)
{
    if (PB_UNLIKELY(answer < 0)) {
        pb_step_in(t, outside);
        pb_ungive(f, 0, f->given);
        f->given = 0;
        (void)pb_step_out(outside);
        answer = host_call(f, HOST_FAILED, 0, 0);       /* what was it? */
    }
    pb_step_in(t, outside);
    if (answer < 0)
        (void)pb_answer(f, PB_STOP, 0);
    return answer;
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
