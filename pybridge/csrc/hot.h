/* SPDX-License-Identifier: MIT
 *
 * Hot host functions: numbers in registers.
 *
 * A call with one to three numbers, of a function that was called a few times before, passes
 * them to an entry point of the host's that takes just these (step 2 of callback.c is left out),
 * and a result that is a number is in the first cell.  There are a few such entry points for each
 * combination, because PyPy compiles each of its own, and two functions that share one are
 * slower.  The frame is there all the same, for other results.
 *
 * Inlined into pb_callback_run.  All state is protected by the guest GIL.
 */
#ifndef PB_HOT_H
#define PB_HOT_H

#include "callback.h"

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
static inline int hot_call(hot_kind kind, int entry, const number_of *x, int64_t number, pb_frame *f)
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
    static unsigned next;
    if (PB_UNLIKELY(function->calls < HOT_AFTER)) {
        if (++function->calls < HOT_AFTER)
            return NOT_HOT;
        function->entry = (short)(next++ % HOT_POOL);
    }
    return function->entry;
}

#endif
