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
 * the guest is outside again.  So `inside` is a flag, never a depth.
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
 * (256 and 512 KB threads), from 1 MB on all ended in RecursionError.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>

#include "core.h"

enum { NEED_GUEST = 640 << 10, NEED_HOST = 192 << 10 };

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
    if (!t->ours || t->tstate == NULL || pb_state.state != 1)
        return;
    t->inside = 1;
    if (!t->held)
        G.PyEval_RestoreThread(t->tstate);
    t->ours = 0;
    t->held = 0;
    t->tstate = NULL;
    while (t->spare_floats > 0)
        pb_drop(t->floats[--t->spare_floats]);
    pb_lease_over();
    G.PyThreadState_Clear(tstate);
    G.PyThreadState_DeleteCurrent();    /* and drops the GIL */
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
    if (pthread_getattr_np(pthread_self(), &attributes) != 0)
        return;                     /* not measured: the guest's own limits must do */
    if (pthread_attr_getstack(&attributes, &low, &size) == 0) {
        (void)pthread_attr_getguardsize(&attributes, &guard);
        t->stack_end = (char *)low + guard;
        t->stack_limit = t->stack_end + NEED_GUEST;
    }
    (void)pthread_attr_destroy(&attributes);
}

static void thread_meet(pb_thread *t)
{
    stack_measure(t);
    pb_attach_prepare();
    (void)pthread_setspecific(ending, t);
}

/* The GIL is not held.  Guest threads and host threads both end up waiting here. */
void pb_gil_take(pb_thread *t)
{
    pb_lease_revoke();
    if (t->tstate == NULL) {
        t->tstate = G.PyGILState_GetThisThreadState();
        if (t->tstate == NULL) {
            (void)G.PyGILState_Ensure();
            t->tstate = G.PyThreadState_Get();
            t->ours = 1;
        } else {
            G.PyEval_RestoreThread(t->tstate);
        }
    } else {
        G.PyEval_RestoreThread(t->tstate);
    }
    t->held = 1;
    pb_state.crossings++;
    pb_lease_taken(t);
}

void pb_gil_drop(pb_thread *t)
{
    t->held = 0;
    pb_lease_over();
    (void)G.PyEval_SaveThread();
}

/* What the fast path of pb_attach did not settle.  0, or the word to answer. */
int64_t pb_attach_refused(pb_thread *t)
{
    if (pb_state.state != 1)
        return PB_WORD(PB_REFUSED, pb_state.state == 2 ? PB_CLOSED : PB_NOT_STARTED);
    if (t->stack_limit == (char *)UINTPTR_MAX)
        thread_meet(t);
    if ((char *)__builtin_frame_address(0) < t->stack_limit)
        return PB_WORD(PB_REFUSED, PB_STACK);
    return 0;
}

void pb_lease_give_up(void)
{
    pb_thread *t = &pb_me;
    if (t->held && !t->inside) {
        int saved = errno;
        t->inside = 1;
        pb_gil_drop(t);
        t->inside = 0;
        errno = saved;
    }
}

pb_thread *pb_step_out(int *foreign)
{
    pb_thread *t = &pb_me;
    *foreign = !t->inside;
    if (*foreign) {
        if (t->stack_limit == (char *)UINTPTR_MAX)
            thread_meet(t);
        t->tstate = G.PyThreadState_Get();
        t->held = 1;
        t->leasing = 0;
    }
    pb_state.callbacks++;
    pb_detach(t);
    return t;
}

void pb_step_in(pb_thread *t, int foreign)
{
    int saved = errno;
    t->inside = 1;
    __asm__ volatile("" ::: "memory");
    if (!t->held)
        pb_gil_take(t);
    pb_lease.idle = 0;
    if (foreign) {                  /* the state belongs to the guest, and may end with it */
        pb_lease_over();
        t->held = 0;
        t->leasing = 0;
        t->inside = 0;
        t->tstate = NULL;
    }
    errno = saved;
}

int pb_stack_left_for_host(void)
{
    pb_thread *t = &pb_me;
    return t->stack_end == NULL || (char *)__builtin_frame_address(0) - t->stack_end > NEED_HOST;
}
