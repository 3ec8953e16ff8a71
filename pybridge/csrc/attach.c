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
 *
 * The stack.  PyPy's own check counts bytes from where it believes the stack begins, and
 * knows nothing of the true size; CPython's counts calls.  So each crossing compares the
 * stack pointer with the true end.  NEED_GUEST is what a guest needs to reach its own
 * recursion limit of 1000 through C calls: below 1 MB stacks crashed, on every version tried
 * (256 and 512 KB threads), from 1 MB on all ended in RecursionError.  3.12 and 3.13 count C
 * calls apart, up to 10000 whatever the stack: for our threads we lower that number.
 *
 * NEED_HOST is kept for host code.  On a thread that the guest made, NEED_HOST_FIRST: PyPy
 * allows itself 768 KB from where it first sees the thread.  Errors are carried over to the
 * other side by crossings of the bridge's own, at the depth where they happened: these may
 * use the stack down to NEED_RESERVE.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include "core.h"

enum {
    NEED_GUEST = 640 << 10,
    NEED_HOST = 384 << 10,
    NEED_HOST_FIRST = 896 << 10,
    NEED_RESERVE = 256 << 10,
    BYTES_PER_C_CALL = 800,     /* of recursion in the guest's C code, 3.12 and 3.13 */
};

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

static void stack_measure(pb_thread *t)
{
    pthread_attr_t attributes;
    void *low = NULL;
    size_t size = 0, guard = 0;

    t->stack_end = NULL;
    t->stack_limit = NULL;
    t->stack_top = __builtin_frame_address(0);
    if (pthread_getattr_np(pthread_self(), &attributes) != 0)
        return;                     /* not measured: the guest's own limits must do */
    if (pthread_attr_getstack(&attributes, &low, &size) == 0) {
        (void)pthread_attr_getguardsize(&attributes, &guard);
        t->stack_end = (char *)low + guard;
        t->stack_limit = t->stack_end + (t->reserve ? NEED_RESERVE : NEED_GUEST);
        t->stack_top = (char *)low + size;
        char *const *begin = dlsym(RTLD_DEFAULT, "__libc_stack_end");
        if (begin != NULL && *begin >= t->stack_end && *begin < t->stack_top)
            t->stack_top = *begin;          /* the main thread: without its environment */
    }
    (void)pthread_attr_destroy(&attributes);
}

static void thread_meet(pb_thread *t)
{
    stack_measure(t);
    pb_attach_prepare();
    (void)pthread_setspecific(ending, t);
}

static size_t c_recursion_offset;

/* 3.12 and 3.13 count down, in each thread state, the Python calls and the C calls that are
 * left: find the second number by its neighbours.  With the guest GIL, at start. */
void pb_stack_start(void)
{
    const int limit = G.Py_GetRecursionLimit();
    const int *words = (const int *)(const void *)G.PyThreadState_Get();
    if (G.minor != 12 && G.minor != 13)
        return;
    for (size_t i = 4; i < 64; i++)
        if (words[i] == limit && words[i + 1] == limit && words[i + 2] > 500 && words[i + 2] <= 20000
            && words[i + 3] == 0) {
            c_recursion_offset = (i + 2) * sizeof(int);
            return;
        }
}

static void c_recursion_limit(pb_thread *t)
{
    if (c_recursion_offset == 0 || t->stack_end == NULL)
        return;
    int *left = (int *)(void *)((char *)t->tstate + c_recursion_offset);
    int64_t fits = ((char *)__builtin_frame_address(0) - t->stack_end) / BYTES_PER_C_CALL;
    if (fits < *left)
        *left = (int)fits;
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

int pb_stack_reserve(int use)
{
    pb_thread *t = &pb_me;
    int before = t->reserve;
    t->reserve = use;
    if (t->stack_end != NULL)
        t->stack_limit = t->stack_end + (use ? NEED_RESERVE : NEED_GUEST);
    return before;
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
    if (t->tstate != NULL) {
        G.PyEval_RestoreThread(t->tstate);
    } else {
        (void)G.PyGILState_Ensure();
        t->tstate = G.PyThreadState_Get();
        t->ours = 1;
        c_recursion_limit(t);
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
        thread_meet(t);
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

/* Keep the guest GIL from here on, also in host code.  Calls in between are as cheap as in a
 * lease (lease.c), but nobody ends this one: other threads of the guest wait.  The guest's
 * own word for its current state is left as it is, unlike in a lease, so that guest code of
 * which our books do not know finds that it has the GIL: the word that is cleared and set
 * instead is one of our own.  0, or the word to answer. */
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

/* A thread that the guest made has to have room for the host's own recursion limit, which
 * the host counts from where it sees the thread first. */
int pb_stack_left_for_host(void)
{
    pb_thread *t = &pb_me;
    if (t->stack_limit == (char *)UINTPTR_MAX)
        thread_meet(t);
    if (t->stack_end == NULL)
        return 1;
    return (char *)__builtin_frame_address(0) - t->stack_end
        > (t->inside ? NEED_HOST : NEED_HOST_FIRST);
}

int64_t pb_stack_used_by_host(void)
{
    return pb_me.stack_top - (char *)__builtin_frame_address(0);
}
