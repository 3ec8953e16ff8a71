/* SPDX-License-Identifier: MIT
 *
 * The stack that is left.
 *
 * PyPy's own check counts bytes from where it believes the stack begins, and knows nothing of
 * the true size; CPython's counts calls.  So each crossing compares the stack pointer with the
 * true end.  NEED_GUEST is what a guest needs to reach its own
 * recursion limit of 1000 through C calls: below 1 MB stacks crashed, on every version tried
 * (256 and 512 KB threads), from 1 MB on all ended in RecursionError.  3.12 and 3.13 count C
 * calls apart, up to 10000 whatever the stack: for our threads we lower that number.
 *
 * NEED_HOST is kept for host code.  On a thread that the guest made, NEED_HOST_FIRST: PyPy
 * allows itself 768 KB from where it first sees the thread.  Errors are carried over to the
 * other side by crossings of the bridge's own, at the depth where they happened: these may
 * use the stack down to NEED_RESERVE.
 *
 * A thread's numbers are its own; it is measured when it comes for the first time (attach.c).
 * With or without the guest GIL, where nothing else is said.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>

#include "core.h"

enum {
    NEED_GUEST = 640 << 10,
    NEED_HOST = 384 << 10,
    NEED_HOST_FIRST = 896 << 10,
    NEED_RESERVE = 256 << 10,
    BYTES_PER_C_CALL = 800,     /* of recursion in the guest's C code, 3.12 and 3.13 */
};

void pb_stack_measure(pb_thread *t)
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

void pb_stack_limit_calls(pb_thread *t)
{
    if (c_recursion_offset == 0 || t->stack_end == NULL)
        return;
    int *left = (int *)(void *)((char *)t->tstate + c_recursion_offset);
    int64_t fits = ((char *)__builtin_frame_address(0) - t->stack_end) / BYTES_PER_C_CALL;
    if (fits < *left)
        *left = (int)fits;
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

/* A thread that the guest made has to have room for the host's own recursion limit, which
 * the host counts from where it sees the thread first. */
int pb_stack_left_for_host(void)
{
    pb_thread *t = &pb_me;
    if (t->stack_limit == (char *)UINTPTR_MAX)
        pb_thread_meet(t);
    if (t->stack_end == NULL)
        return 1;
    return (char *)__builtin_frame_address(0) - t->stack_end
        > (t->inside ? NEED_HOST : NEED_HOST_FIRST);
}

int64_t pb_stack_used_by_host(void)
{
    return pb_me.stack_top - (char *)__builtin_frame_address(0);
}
