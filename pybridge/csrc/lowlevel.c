/* SPDX-License-Identifier: MIT
 *
 * Host functions as C functions, for C code of the guest: what a scipy.LowLevelCallable holds.
 *
 * C code calls an entry here with numbers; it calls the host with numbers.  Around it the
 * thread steps out of the guest as in every callback (callback.c), if it holds the guest GIL:
 * C code may have released it, and may call from a thread that no Python knows.
 *
 * C code cannot be told of an exception.  The host leaves it with pb_low_fail, and the entry
 * gives 0, with which an integration ends soon (NaN can make scipy's write over the end of an
 * array: quadpack.c).  Then
 *   - with the guest GIL it becomes the thread's pending exception.  While one is pending the
 *     host is not called again, so an integration ends soon.  Code that looks (ndimage, which
 *     is told by the 0) raises it; behind code that does not look (quad) CPython finds it and
 *     raises a SystemError from it, of which the host takes the cause.
 *   - without the GIL, but below a call of the bridge's, the thread keeps it, and the call
 *     ends with it (low_kept in crossing.h).
 *   - elsewhere, on a thread of a C library's own or in C code that the host itself called,
 *     it is reported as unraisable.
 *
 * There are a few entries for each of the usual signatures, because PyPy compiles each of its
 * own: hot functions should not share a trace.  `user` is the host's number of the function.
 */
#include <limits.h>
#include <string.h>

#include "core.h"

static int gil_held(const pb_thread *t)
{
    if (t == pb_main_thread && t->slot != NULL && !t->attached)
        return t->tstate != NULL && *t->slot == t->tstate;
    return G.PyGILState_Check();
}

/* With the guest GIL: an exception instead of a call. */
static int refuse(int held, pb_obj kind, const char *why)
{
    if (held)
        G.PyErr_SetString(kind, why);
    return -1;
}

int pb_low_enter(pb_low_call *call)
{
    enum { ROOM = 96 << 10 };
    pb_thread *t = &pb_me;
    if (pb_state.state != 1)
        return -1;
    int held = gil_held(t);
    if (held ? (t->tstate == NULL ? G.PyErr_Occurred() != NULL : pb_error_pending(t)) : t->kept != NULL)
        return -1;
    if (!pb_stack_left_for_host()
        || (pb_state.host_stack != 0 && pb_stack_used_by_host() > pb_state.host_stack - ROOM))
        return refuse(held, *G.PyExc_RecursionError, "too little stack is left to call the host");
    if (held) {
        if (PB_UNLIKELY(pb_interrupted) && t == pb_main_thread && pb_signals_check() != 0)
            return -1;
        (void)pb_step_out((pb_outside *)(void *)call->outside);
    }
    call->held = held;
    return 0;
}

static void deliver(pb_thread *t, int held)
{
    pb_obj error = t->low_error;
    int release = 0;
    t->low_error = NULL;
    if (!held && t->inside && t->kept == NULL) {
        t->kept = error;
        return;
    }
    if (!held)
        release = G.PyGILState_Ensure();
    G.PyErr_SetObject(&error->type->head, error);
    pb_drop(error);
    if (!held) {
        G.PyErr_WriteUnraisable(NULL);
        G.PyGILState_Release(release);
    }
}

void pb_low_leave(pb_low_call *call)
{
    pb_thread *t = &pb_me;
    if (call->held)
        pb_step_in(t, (pb_outside *)(void *)call->outside);
    if (PB_UNLIKELY(call->held < 0))
        (void)refuse(1, *G.PyExc_RecursionError, "the host's recursion limit is reached: C code cannot call the host");
    if (PB_UNLIKELY(t->low_error != NULL))
        deliver(t, call->held);
    else if (PB_UNLIKELY(pb_noticed) && call->held > 0 && t == pb_main_thread)
        (void)pb_signals_look();            /* the error stays pending */
}

void pb_low_fail(intptr_t exception /*steals*/)
{
    pb_thread *t = &pb_me;
    pb_obj before = t->low_error;
    t->low_error = (pb_obj)exception;
    if (before != NULL)
        (void)pb_release_handle((int64_t)(intptr_t)before);
}

/* What the host's entry gives when it fails, and nothing else does: a NaN of its own, and
 * INT_MIN.  Without an exception it could not even begin. */
static inline int failed_d(double x)
{
    int64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits == PB_LOW_NAN;
}

static inline int failed_i(int x)
{
    return x == INT_MIN;
}

static void lost(pb_low_call *call)
{
    if (pb_me.low_error == NULL && call->held)
        call->held = -1;
}

#define ENTRY(result, fails, failed, name, host, parameters, passed)    \
    static result name parameters                               \
    {                                                           \
        pb_low_call call;                                       \
        if (PB_UNLIKELY(pb_low_enter(&call) != 0))              \
            return fails;                                       \
        result r = host passed;                                 \
        if (PB_UNLIKELY(failed(r))) {                           \
            lost(&call);                                        \
            r = fails;                                          \
        }                                                       \
        pb_low_leave(&call);                                    \
        return r;                                               \
    }
#define NUMBER (int64_t)(intptr_t)user
#define ENTRY_D(i) ENTRY(double, 0.0, failed_d, low_d##i, pb_host_d##i, (double x, void *user), (x, NUMBER))
#define ENTRY_N(i) \
    ENTRY(double, 0.0, failed_d, low_n##i, pb_host_n##i, (int n, double *x, void *user), (n, x, NUMBER))
#define ENTRY_F(i)                                                                              \
    ENTRY(int, 0, failed_i, low_f##i, pb_host_f##i, (double *in, intptr_t n, double *out, void *user), \
          (in, n, out, NUMBER))
/* ORDER ENTRIES: host.h, pybridge/_lowlevel.py */
ENTRY_D(0)
ENTRY_D(1)
ENTRY_D(2)
ENTRY_D(3)
ENTRY_N(0)
ENTRY_N(1)
ENTRY_F(0)
ENTRY_F(1)

static const void *const entries[][PB_LOW_POOL] = {
    {(const void *)low_d0, (const void *)low_d1, (const void *)low_d2, (const void *)low_d3},
    {(const void *)low_n0, (const void *)low_n1, (const void *)low_n0, (const void *)low_n1},
    {(const void *)low_f0, (const void *)low_f1, (const void *)low_f0, (const void *)low_f1}};

intptr_t pb_low_entry(int kind, int64_t i)
{
    return (intptr_t)entries[kind][i % PB_LOW_POOL];
}

int pb_low_is_of_quad(const void *function)
{
    for (int i = 0; i < PB_LOW_POOL; i++)
        if (function == entries[0][i])
            return 1;
    return 0;
}
