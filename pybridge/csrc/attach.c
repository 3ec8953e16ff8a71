/* SPDX-License-Identifier: MIT
 *
 * Attaching: how a thread gets at the guest.
 *
 * Each thread has a guest thread state of its own, made at its first call and kept, so that
 * later calls only take the GIL (PyEval_RestoreThread with a cached state is 10 ns cheaper
 * than PyGILState_Ensure).  The state is bound to the thread as PyGILState wants it, so that
 * extension modules that use PyGILState find it.
 *
 * A thread is `inside` while guest code is on top of its stack; host code called back from
 * the guest is outside again.
 *
 * Not all changes between the two sides come through the bridge.  Guest C code may call a C
 * function of the host (a cffi callback, by its address), with or without the guest GIL, and
 * that one may use the bridge: the thread is inside already, and pb_attach_slow leaves the
 * question who holds the GIL to PyGILState_Ensure.  The other way, host code may call a C
 * function of the guest, which takes the GIL by PyGILState_Ensure and may call the host back:
 * the thread is not inside in pb_step_out.  Afterwards each is as it was before.  (What such
 * host code calls the guest for by itself waits a little if this thread has a lease.)
 *
 * A thread dies in one of two ways.  It ends while the guest lives: the key's destructor
 * takes the GIL and deletes the thread state.  It ends after the guest was closed, or with
 * the process: nothing is touched.
 *
 * When a thread ends, glibc clears its keys one after the other, in the order of their
 * numbers, those without a destructor too: so does the one by which PyGILState finds a state.
 * Hence our key is made before the guest's (pb_attach_prepare), so that destructors that run
 * in PyThreadState_Clear may use PyGILState; and the state is deleted without its help,
 * because PyGILState_Release ends the process when it does not find the state.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include "core.h"

pb_shared pb_state;

__thread pb_thread pb_me = {
    .stack_limit = (char *)UINTPTR_MAX,
};
static pthread_key_t ending;
static pthread_once_t ending_once = PTHREAD_ONCE_INIT;

static void thread_ends(void *pointer)
{
    pb_thread *t = pointer;
    pb_tstate tstate = t->tstate;
    if (!t->ours || tstate == NULL || pb_state.state != 1)
        return;
    t->inside = 1;
    if (t->held == PB_FREE)
        pb_gil_take(t);
    while (t->spare_floats > 0)
        pb_drop(t->floats[--t->spare_floats]);
    G.PyThreadState_Clear(tstate);          /* runs destructors, which may call the host */
    t->ours = 0;
    t->held = PB_FREE;
    t->keep = 0;
    t->tstate = NULL;
    G.PyThreadState_DeleteCurrent();        /* and drops the GIL */
    t->inside = 0;
}

static void key_make(void)
{
    (void)pthread_key_create(&ending, thread_ends);
}

void pb_attach_prepare(void)
{
    (void)pthread_once(&ending_once, key_make);
}

void pb_thread_meet(pb_thread *t)
{
    pb_stack_measure(t);
    pb_attach_prepare();
    (void)pthread_setspecific(ending, t);
}

size_t pb_error_offset;

/* Where a thread state keeps its exception: the only word in which a new one is found while
 * it is pending, and NULL before and after.  With the guest GIL, at start. */
void pb_error_start(void)
{
    enum { WORDS = 96 };
    const pb_obj *words = (const pb_obj *)(const void *)G.PyThreadState_Get();
    unsigned char empty[WORDS];
    size_t found = 0;
    int candidates = 0;

    for (size_t i = 0; i < WORDS / 2; i++)
        empty[i] = words[i] == NULL;
    G.PyErr_SetString(*G.PyExc_RuntimeError, "pybridge is being started");
    pb_obj error = G.PyErr_Occurred();      /* borrowed: the class */
    for (size_t i = 2; i < WORDS / 2; i++)
        if (empty[i] && (uintptr_t)words[i] > 4096 && ((uintptr_t)words[i] & 7) == 0
            && (words[i] == error || &words[i]->type->head == error)) {
            candidates++;
            found = i;
            break;                          /* up to 3.11 the class is followed by the value */
        }
    G.PyErr_Clear();
    if (candidates == 1 && words[found] == NULL)
        pb_error_offset = found * sizeof *words;
}

/* Foreign code on this thread, a C function that host code called by its address, took the
 * GIL by itself and left an exception.  It must not meet the next call. */
static void stray(pb_thread *t)
{
    if (t->discard)
        G.PyErr_Clear();
    else
        G.PyErr_WriteUnraisable(NULL);
    t->discard = 0;
}

/* A state is made without the guest GIL, under a lock of CPython's own, for which those before
 * 3.11 wait in the child of a fork, whoever had it.  So nobody forks meanwhile.  Later ones make
 * that lock anew in the child; from 3.13 on who forks has it by then, and must not wait here. */
static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;

static void making_begin(void)
{
    if (G.minor < 11)
        (void)pthread_mutex_lock(&making);
}

static void making_end(void)
{
    if (G.minor < 11)
        (void)pthread_mutex_unlock(&making);
}

void pb_attach_fork_before(void)
{
    making_begin();
}

void pb_attach_fork_after(void)
{
    making_end();
}

/* new, or NULL */
static pb_tstate state_make(void)
{
    making_begin();
    pb_tstate made = G.PyThreadState_New(G.PyInterpreterState_Main());
    making_end();
    return made;
}

/* Guest threads and host threads both end up waiting here.  The GIL is not held, or is
 * about to be taken over from this thread's lease. */
static void gil_take(pb_thread *t)
{
    for (;;) {
        /* Read once: after one claim was given up there may be another, by another thread. */
        int held = __atomic_load_n(&t->held, __ATOMIC_SEQ_CST);
        if (held == PB_HELD) {
            *t->slot = t->tstate;
            return;
        }
        if (held == PB_FREE)
            break;
        t->inside = 0;                      /* claimed, for a few microseconds: see lease.c */
        (void)sched_yield();
        t->inside = 1;
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
    }
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    pb_lease_revoke();
    if (t->tstate == NULL)
        t->tstate = G.PyGILState_GetThisThreadState();
    const int fresh = t->tstate == NULL;
    if (fresh && (t->tstate = state_make()) == NULL)
        (void)G.PyGILState_Ensure();        /* ends the process, in CPython's words: no memory */
    G.PyEval_RestoreThread(t->tstate);
    if (fresh) {
        t->ours = 1;
        pb_stack_limit_calls(t);
    }
    t->held = PB_HELD;
    pb_state.crossings++;
    pb_lease_taken(t);
}

void pb_gil_take(pb_thread *t)
{
    gil_take(t);
    if (PB_UNLIKELY(pb_error_pending(t)))
        stray(t);
}

void pb_gil_drop(pb_thread *t)
{
    t->keep = 0;
    if (t != pb_main_thread)
        t->held = PB_FREE;
    else
        while (!__atomic_compare_exchange_n(&t->held, &(int){PB_HELD}, PB_FREE, 0, __ATOMIC_SEQ_CST,
                                            __ATOMIC_SEQ_CST))
            (void)sched_yield();            /* claimed: is given back, as we are inside */
    (void)G.PyEval_SaveThread();
}

/* What the fast path of pb_attach did not settle.  0, or the word to answer. */
int64_t pb_attach_slow(pb_thread *t)
{
    if (pb_state.state != 1)
        return PB_WORD(PB_REFUSED, pb_state.state == 2 ? PB_CLOSED : PB_NOT_STARTED);
    if (t->stack_limit == (char *)UINTPTR_MAX)
        pb_thread_meet(t);
    if ((char *)__builtin_frame_address(0) < t->stack_limit)
        return PB_WORD(PB_REFUSED, PB_STACK);
    if (t->inside) {
        if (t->nested == 8 * sizeof t->nested_release)
            return PB_WORD(PB_REFUSED, PB_STACK);
        int release = G.PyGILState_Ensure();            /* 0 or 1 */
        t->nested_release = t->nested_release << 1 | (uint64_t)release;
        t->nested++;
        t->inside++;
    }
    return 0;
}

void pb_detach_nested(pb_thread *t)
{
    int release = (int)(t->nested_release & 1);
    t->nested_release >>= 1;
    t->nested--;
    t->inside--;
    G.PyGILState_Release(release);
}

pb_thread *pb_step_out(pb_outside *outside)
{
    pb_thread *t = &pb_me;
    outside->tstate = t->tstate;
    outside->inside = t->inside;
    if (!t->inside) {
        while ((outside->held = t->held) == PB_CLAIMED)
            (void)sched_yield();            /* a lease of ours just ended: see lease.c */
        /* Held: by pb_attached_begin. */
        t->tstate = G.PyThreadState_Get();
        t->held = PB_HELD;
    }
    t->inside = 1;
    pb_state.callbacks++;
    pb_detach(t);
    return t;
}

void pb_step_in(pb_thread *t, const pb_outside *outside)
{
    int saved = errno;
    t->inside = 1;
    __asm__ volatile("" ::: "memory");
    if (t->held == PB_HELD)
        *t->slot = t->tstate;
    else
        gil_take(t);
    if (!outside->inside && outside->held == PB_FREE) {
        /* who took the GIL, not through us, drops it */
        t->keep = 0;
        while (!__atomic_compare_exchange_n(&t->held, &(int){PB_HELD}, PB_FREE, 0, __ATOMIC_SEQ_CST,
                                            __ATOMIC_SEQ_CST))
            (void)sched_yield();
        t->tstate = outside->tstate;        /* a thread of the guest may end, and its state */
    }
    t->inside = outside->inside;
    t->turns++;
    errno = saved;
}
