/* SPDX-License-Identifier: MIT
 *
 * Keeping the guest GIL over many calls, because the program said so (pybridge.attached).
 *
 * Calls in between are as cheap as in a lease (lease.c), but nobody ends this one: other threads
 * of the guest wait.  The guest's own word for its current state is left as it is, unlike in a
 * lease, so that guest code of which our books do not know finds that it has the GIL: the word
 * that is cleared and set instead is one of our own.
 *
 * Each thread has its own depth, which only it touches; any thread may call.
 */
#include <sched.h>

#include "core.h"

/* 0, or the word to answer. */
int64_t pb_attached_begin(void)
{
    int64_t refused = 0;
    pb_thread *t = pb_attach(&refused);
    if (t == NULL)
        return refused;
    if (t->inside == 1) {                   /* else whoever called us out there has the GIL */
        if (t->attached++ == 0) {
            t->own_slot = t->slot;
            t->slot = &t->unused_slot;
            pb_state.attached++;
        }
        t->keep = 1;
    }
    pb_detach(t);
    return 0;
}

void pb_attached_end(void)
{
    int64_t refused = 0;
    pb_thread *t = pb_attach(&refused);
    if (t == NULL)
        return;
    if (t->inside == 1 && t->attached > 0 && --t->attached == 0) {
        t->slot = t->own_slot;
        t->keep = 0;                        /* the next call may begin a lease */
        pb_state.attached--;
    }
    pb_detach(t);
}

/* From host code, without pb_attach, which may refuse: this thread has not the guest GIL any
 * more, and counts as inside until let_go_end. */
static void let_go(pb_thread *t)
{
    t->inside = 1;                          /* before `held` is read, as in pb_attach */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    while (t->held == PB_CLAIMED)           /* by one who may not have seen that */
        (void)sched_yield();
    if (t->held == PB_HELD) {
        *t->slot = t->tstate;
        pb_gil_drop(t);
    }
}

static void let_go_end(pb_thread *t)
{
    __atomic_store_n(&t->inside, 0, __ATOMIC_RELEASE);
    if (PB_UNLIKELY(pb_interrupted) && t == pb_main_thread)
        pb_signals_pass_on();
}

/* For a thread that is about to wait for a lock of the host's: who has that lock may be waiting
 * for the guest GIL.  Until it resumes it is a thread like others: what a signal handler calls
 * meanwhile keeps nothing.  In guest code that reached the host around the bridge, `inside`, the
 * GIL is that code's to give up. */
int64_t pb_attached_suspend(void)
{
    pb_thread *t = &pb_me;
    int depth = t->attached;
    if (depth == 0 || t->inside)
        return 0;
    let_go(t);
    t->attached = 0;
    t->slot = t->own_slot;
    let_go_end(t);
    return depth;
}

/* The next call takes the GIL and keeps it (pb_lease_taken). */
void pb_attached_resume(int64_t depth)
{
    pb_thread *t = &pb_me;
    if (depth == 0)
        return;
    let_go(t);                              /* of a lease that began meanwhile */
    t->own_slot = t->slot;
    t->slot = &t->unused_slot;
    t->attached = (int)depth;
    let_go_end(t);
}
