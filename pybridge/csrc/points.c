/* SPDX-License-Identifier: MIT
 *
 * A host function's values at many points, for C code of the guest.
 *
 * It is what calls of the function one after the other would be (callback.c), of which nothing
 * of the guest's runs in between: one step out, one call of an entry point of the host's, which
 * loops, and one step in.  The host writes a value that is a float, or that is one without
 * more ado, and goes on; any other it gives as the answer of that point, of which the guest makes
 * a float as CPython does of a function's result, with what the guest's __float__ does and
 * with its errors; then the host goes on behind it.
 *
 * There are a few entry points for each number of further arguments, for the reason that there
 * are a few for hot functions.  The further arguments are read by the host each time.
 *
 * Needs the guest GIL.
 */
#include "callback.h"

enum { KIND = 16, POOL = 4, KINDS = 4 };        /* the first kind's number for the host; KINDS - 1: any count */

/* ORDER POINTS: host.h, pybridge/_quadpack.py */
static int (*const entries[KINDS][POOL])(intptr_t, int64_t) = {
    {pb_points_a0, pb_points_a1, pb_points_a2, pb_points_a3},
    {pb_points_b0, pb_points_b1, pb_points_b0, pb_points_b1},
    {pb_points_c0, pb_points_c1, pb_points_c0, pb_points_c1},
    {pb_points_n0, pb_points_n1, pb_points_n0, pb_points_n1}};
static unsigned char ready[KINDS][POOL];

static int entry_of(pb_host_function *function)
{
    static unsigned next;
    if (PB_UNLIKELY(function->points_entry == 0))
        function->points_entry = (short)(1 + next++ % POOL);
    return function->points_entry - 1;
}

/* From outside to outside: the host's answer; PB_FLOAT: all are done. */
static int answer_of(pb_asked *a)
{
    const int64_t more = a->points.more;
    const int kind = more < KINDS - 1 ? (int)more : KINDS - 1, entry = entry_of(a->function);
    if (PB_UNLIKELY(!ready[kind][entry])) {
        if (pb_host_entry(a->points.frame, HOST_HOT, KIND + kind, entry) != 0)
            return -1;
        ready[kind][entry] = 1;
    }
    return entries[kind][entry]((intptr_t)&a->points, a->function->tag - 1);
}

/* A point's value that is no plain number: 0, or -1 with an error set. */
static int value_take(pb_points *p, int answer)
{
    pb_obj value = pb_callback_taken(p->frame, answer);
    if (value == NULL)
        return -1;
    double x = G.PyFloat_AsDouble(value);
    int failed = x == -1.0 && G.PyErr_Occurred() != NULL;
    pb_drop(value);
    p->y[p->first++] = x;
    return failed ? -1 : 0;
}

int pb_points_ask(pb_asked *a)
{
    pb_points *p = &a->points;
    pb_thread *t = &pb_me;
    pb_outside outside;

    while (p->first < p->count) {
        if (pb_callback_refused(a->function, t) || pb_callback_limited(p->frame)
            || pb_callback_arguments(p->frame, a->more, p->more) != 0)
            return -1;
        (void)pb_step_out(&outside);
        int answer = pb_callback_end(t, p->frame, &outside, answer_of(a));
        int done = answer == PB_FLOAT, failed = !done && value_take(p, answer) != 0;
        if (pb_callback_signalled(t, failed) || failed)
            return -1;
        if (done)
            return 0;
    }
    return 0;
}
