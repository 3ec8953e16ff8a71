/* SPDX-License-Identifier: MIT
 *
 * Other signals than SIGINT: a handler that the host's program has for one of them runs while
 * guest code runs on the main thread, not only afterwards.
 *
 * The process's handler is the host's, in C; it notes the signal, and the host looks when it
 * next runs.  So the watcher of lease.c puts ours, `on_other`, on top of each such handler
 * that it finds while the main thread is in the guest.  It calls the one that was there and
 * then trips the guest: a signal number of our own has `on_look` as its handler in the guest's
 * table, and the guest's C handler is called with that number, which only sets flags.  The
 * guest runs on_look when it looks, also out of a sleep; that lets the host look
 * (pb_signals_look), and what the host's handler raises goes into the guest as from any
 * callback.  A handler that is new may have been called before ours was there, so the guest is
 * tripped once for each.
 *
 * `pb_noticed` is set from the signal to the look.  One that is still set when the main thread
 * enters the guest (it came between the host's last look and the entry) is found by the watcher.
 *
 * Not touched: handlers of the guest's, which go on being the guest's; the signals of faults,
 * whose handlers look at where they came from; handlers for one time (SA_RESETHAND).
 *
 * Between the guest's last look and its going to sleep in a system call there is a moment, as
 * in CPython by itself, in which a signal ends nothing.  So a timer sends our own number to the
 * main thread, a few times, until somebody has looked: pb_nudge, also used by signals.c.  The
 * number is the highest free one from SIGRTMAX - 5 down; without one, or a timer, all of this
 * is off.
 *
 * Threads: pb_notice and the handlers run anywhere; start, stop and forked on the main thread;
 * watch on the watcher's, under the lock of signals.c.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core.h"

volatile int pb_noticed;

/* What stands below on_other: two in turn, since the handler may be reading. */
typedef struct below {
    struct sigaction action[2];
    volatile int which;
    void (*left)(int);              /* a handler that is not ours to wrap */
} below;

enum { SIGNALS = 65, SKIP = 8 /* ticks of the watcher */ };
static below others[SIGNALS];
static int own;                     /* our number; 0: none */
static struct sigaction own_before;
static pthread_t main_id;
static void (*guest_handler)(int);

enum { NUDGES = 3, NUDGE_NS = 5000000 };
static timer_t nudger;
static int nudger_made;
static volatile int nudges;         /* 0: none is wanted */

static int is_inside(void)
{
    return pb_main_thread != NULL && pb_main_thread->inside && pb_state.state == 1 && guest_handler != NULL;
}

/* ---- nudges ---- */

/* For this thread, which is the main one. */
static void nudger_make(void)
{
    struct sigevent how;
    memset(&how, 0, sizeof how);
    how.sigev_notify = SIGEV_THREAD_ID;
    how.sigev_signo = own;
    how._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    nudger_made = own != 0 && timer_create(CLOCK_MONOTONIC, &how, &nudger) == 0;
}

/* In 5, 20 and 80 ms; nanoseconds = 0: no more. */
static void nudge_in(long nanoseconds)
{
    struct itimerspec when = {{0, 0}, {0, nanoseconds}};
    if (nudger_made)
        (void)timer_settime(nudger, 0, &when, NULL);
}

static void on_nudge(int number)
{
    int error = errno;
    if (pb_noticed && is_inside())
        guest_handler(number);
    if ((pb_interrupted || pb_noticed) && nudges > 0 && nudges < NUDGES)
        nudge_in((long)NUDGE_NS << 2 * nudges++);
    errno = error;
}

void pb_nudge(void)
{
    nudges = 1;
    nudge_in(NUDGE_NS);
}

void pb_nudge_end(void)
{
    nudges = 0;
    nudge_in(0);
}

/* ---- the guest lets the host look ---- */

/* Have the guest call on_look soon.  CPython 3.9 does not look when another thread trips it. */
static void notice(void)
{
    if (pthread_equal(pthread_self(), main_id))
        guest_handler(own);
    else
        (void)pthread_kill(main_id, own);
    if (nudges == 0)
        pb_nudge();
}

static pb_obj on_look(pb_obj self, pb_obj args)
{
    (void)self;
    (void)args;
    if (pb_noticed) {
        if (pb_signals_look() != 0) {
            if (!G.PyErr_ExceptionMatches(*G.PyExc_RecursionError))
                return NULL;
            G.PyErr_Clear();                /* there was no room to look: later, then */
            pb_noticed = 1;
        }
    }
    return pb_dup(G._Py_NoneStruct);
}

static pb_method on_look_method = {"on_look", on_look, 1 /* METH_VARARGS */, NULL};

static void on_other(int number, siginfo_t *info, void *context)
{
    int error = errno;
    const struct sigaction *action = &others[number].action[others[number].which];
    if (action->sa_flags & SA_SIGINFO)
        action->sa_sigaction(number, info, context);
    else
        action->sa_handler(number);
    pb_noticed = 1;
    if (is_inside())
        notice();
    errno = error;
}

/* ---- who has the process's handlers ---- */

static int is_ours(const struct sigaction *action)
{
    return action->sa_flags & SA_SIGINFO && action->sa_sigaction == on_other;
}

int pb_is_guests(const struct sigaction *action)
{
    Dl_info handler, guest;
    return !(action->sa_flags & SA_SIGINFO) && action->sa_handler != SIG_DFL
        && action->sa_handler != SIG_IGN
        && dladdr((void *)(intptr_t)action->sa_handler, &handler) != 0
        && dladdr((void *)(intptr_t)G.PyErr_SetInterrupt, &guest) != 0
        && handler.dli_fbase == guest.dli_fbase;
}

static void look_at(int number)
{
    struct sigaction now, ours, old;
    below *b = &others[number];
    if (sigaction(number, NULL, &now) != 0 || is_ours(&now))
        return;
    if (now.sa_handler == SIG_DFL || now.sa_handler == SIG_IGN || now.sa_handler == b->left)
        return;
    if (now.sa_flags & (int)SA_RESETHAND || pb_is_guests(&now)) {
        b->left = now.sa_handler;
        return;
    }
    b->action[!b->which] = now;
    b->which = !b->which;
    ours = now;
    ours.sa_sigaction = on_other;
    ours.sa_flags |= SA_SIGINFO;
    if (sigaction(number, &ours, &old) != 0)
        return;
    if (old.sa_handler != now.sa_handler && !is_ours(&old))
        (void)sigaction(number, &old, NULL);    /* changed meanwhile; the next look sees it */
    pb_noticed = 1;                             /* one may have come before */
}

static int is_other(int number)
{
    switch (number) {
    case SIGINT: case SIGKILL: case SIGSTOP:
    case SIGSEGV: case SIGBUS: case SIGFPE: case SIGILL: case SIGTRAP: case SIGABRT: case SIGSYS:
        return 0;
    default:
        return number != own && (number < 32 || number >= SIGRTMIN);
    }
}

void pb_notice_watch(void)
{
    static int64_t seen;
    static int skipped;
    if (guest_handler == NULL)
        return;
    /* A long call, or time to look all the same: 60 system calls are 20 us. */
    if (pb_state.entered == seen || ++skipped >= SKIP) {
        skipped = 0;
        for (int i = 1; i < SIGNALS; i++)
            if (is_other(i))
                look_at(i);
    }
    seen = pb_state.entered;
    if (pb_noticed && nudges == 0 && is_inside())
        notice();
}

/* ---- the process's life ---- */

static int number_find(void)
{
    for (int i = SIGRTMAX - 5; i > SIGRTMIN; i--)
        if (sigaction(i, NULL, &own_before) == 0 && own_before.sa_handler == SIG_DFL)
            return i;
    return 0;
}

int pb_notice_start(pb_obj set)
{
    struct sigaction action;
    pb_obj function = NULL, result = NULL;
    int status = -1;

    main_id = pthread_self();
    own = number_find();
    if (own == 0)
        return 0;
    function = G.PyCFunction_NewEx(&on_look_method, NULL, NULL);
    if (function == NULL)
        goto done;
    result = pb_signals_register(set, own, function);
    if (result == NULL || sigaction(own, NULL, &action) != 0)
        goto done;
    guest_handler = action.sa_handler;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_nudge;
    action.sa_flags = SA_ONSTACK;
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(own, &action, NULL);
    nudger_make();
    status = 0;
done:
    pb_xdrop(result);
    pb_xdrop(function);
    return status;
}

void pb_notice_stop(void)
{
    static const struct timespec now = {0, 0};
    struct sigaction action;
    sigset_t only;

    pb_nudge_end();
    for (int i = 1; i < SIGNALS; i++)
        if (is_other(i) && sigaction(i, NULL, &action) == 0 && is_ours(&action))
            (void)sigaction(i, &others[i].action[others[i].which], NULL);
    if (own == 0)
        return;
    guest_handler = NULL;
    (void)sigemptyset(&only);
    (void)sigaddset(&only, own);
    while (sigtimedwait(&only, NULL, &now) > 0)
        ;                               /* a nudge that waits would end the process */
    (void)sigaction(own, &own_before, NULL);
}

void pb_notice_forked(void)
{
    main_id = pthread_self();
    pb_noticed = 0;
    nudges = 0;
    nudger_make();                      /* a child has no timers */
}
