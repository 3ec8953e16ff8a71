/* SPDX-License-Identifier: MIT
 *
 * Ctrl-C.  A process has one handler for SIGINT and two interpreters that want it.
 *
 * Ours is installed last and decides by what the main thread is doing.  In host code: call
 * the handler that was there before.  In guest code: trip the guest (PyErr_SetInterrupt only
 * sets flags), whose handler, `on_interrupt` below, then runs in the main thread as soon as
 * the guest looks, also out of a sleep or a read.  It asks the host what its program wants
 * (_runtime.py): KeyboardInterrupt, or the program's own handler is called, and what that
 * raises goes through the guest back to the host.
 *
 * `pb_interrupted` is set between the signal and on_interrupt.  Whoever leaves the guest
 * with it still set (long C code that never looked) looks then (pb_signals_check); what
 * comes even later goes to the host (pb_signals_pass_on), and on_interrupt does nothing when
 * it finds the flag unset.  So one Ctrl-C is one KeyboardInterrupt.
 *
 * Between the guest's last look and its going to sleep in a system call there is a moment, as
 * in CPython by itself, in which a signal ends nothing: pb_nudge (notice.c).
 *
 * A signal in host code that guest code has called back is the host's, which notes it and looks
 * when it next jumps backwards: a short callback ends before that, and the guest would sleep
 * on.  `pb_noticed` says that there was one; who returns to the guest then lets the host look
 * (pb_signals_look), and what it raises goes into the guest as from any callback.
 *
 * The host's program may install a handler at any time; so may guest code, and takes the
 * process's.  The watcher of lease.c looks every few milliseconds while the main thread is in
 * the guest, and puts ours on top again: over a host's handler, which is then called as
 * above; over the guest's, which goes on being the guest's, for interrupts in guest code.
 *
 * Tried and left: Py_AddPendingCall (takes a lock in a signal handler, does not end a sleep);
 * PyErr_SetInterrupt without a handler in the guest's table (ignored or an error, by
 * version); raising KeyboardInterrupt whatever the host's handler is.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>

#include "core.h"

volatile int pb_interrupted;
pb_thread *volatile pb_main_thread;

static const int saved_numbers[] = {SIGINT, SIGPIPE, SIGXFSZ};
static struct sigaction saved[3];
/* What the host wants done on SIGINT: `hosts` in turn, since the handler may be reading. */
static struct sigaction hosts[4];
static const struct sigaction *volatile host = &hosts[0];
static struct sigaction host_function;      /* its last one that was a function */
static pthread_t main_id;
static volatile int installed;
static pthread_mutex_t installing = PTHREAD_MUTEX_INITIALIZER;
static pb_obj asks_host, host_looks;        /* borrowed from the host, which keeps them */

/* The interrupt is somebody's now. */
static void taken(void)
{
    pb_interrupted = 0;
    pb_nudge_end();
}

static void host_handle(int number, siginfo_t *info, void *context)
{
    const struct sigaction *h = host;
    if (h->sa_flags & SA_SIGINFO) {
        if (h->sa_sigaction != NULL)
            h->sa_sigaction(number, info, context);
    } else if (h->sa_handler == SIG_DFL) {
        struct sigaction plain = *h;
        sigset_t only;
        installed = 0;
        (void)sigaction(number, &plain, NULL);
        (void)raise(number);
        (void)sigemptyset(&only);
        (void)sigaddset(&only, number);
        (void)pthread_sigmask(SIG_UNBLOCK, &only, NULL);    /* here it ends the process */
    } else if (h->sa_handler != SIG_IGN) {
        h->sa_handler(number);
    }
}

static int host_has_function(void)
{
    const struct sigaction *h = host;
    return h->sa_flags & SA_SIGINFO || (h->sa_handler != SIG_DFL && h->sa_handler != SIG_IGN);
}

static void on_signal(int number, siginfo_t *info, void *context)
{
    int error = errno;
    if (pb_main_thread == NULL || !pb_main_thread->inside || pb_state.state != 1 || !host_has_function()) {
        host_handle(number, info, context);
        pb_noticed = 1;
    } else if (!pthread_equal(pthread_self(), main_id)) {
        (void)pthread_kill(main_id, number);    /* so that it ends a system call there */
    } else {
        pb_interrupted = 1;
        G.PyErr_SetInterrupt();
        pb_nudge();
    }
    errno = error;
}

static pb_obj on_interrupt(pb_obj self, pb_obj args)
{
    (void)self;
    (void)args;
    if (!pb_interrupted)
        return pb_dup(G._Py_NoneStruct);
    taken();
    if (asks_host != NULL) {
        pb_obj answer = G.PyObject_CallObject(asks_host, NULL);     /* new: True: raise */
        if (answer != G._Py_TrueStruct && (answer != NULL || !G.PyErr_ExceptionMatches(*G.PyExc_RecursionError)))
            return answer;
        pb_xdrop(answer);
        G.PyErr_Clear();
    }
    G.PyErr_SetObject(*G.PyExc_KeyboardInterrupt, NULL);
    return NULL;
}

static pb_method on_interrupt_method = {"on_interrupt", on_interrupt, 1 /* METH_VARARGS */, NULL};

void pb_interrupt_set(intptr_t asks, intptr_t looks)
{
    asks_host = (pb_obj)asks;
    host_looks = (pb_obj)looks;
}

int pb_signals_look(void)
{
    pb_noticed = 0;
    if (!pb_interrupted)
        pb_nudge_end();
    pb_obj answer = host_looks != NULL ? G.PyObject_CallObject(host_looks, NULL) : pb_dup(G._Py_NoneStruct);
    pb_xdrop(answer);
    return answer != NULL ? 0 : -1;
}

/* ---- who has the process's handler ---- */

static int is_ours(const struct sigaction *action)
{
    return action->sa_flags & SA_SIGINFO && action->sa_sigaction == on_signal;
}

static void host_set(const struct sigaction *action)
{
    struct sigaction *next = &hosts[(host - hosts + 1) % 4];
    *next = *action;
    host = next;
    if (host_has_function())
        host_function = *action;
}

static void install(void)
{
    struct sigaction ours, old;
    memset(&ours, 0, sizeof ours);
    ours.sa_sigaction = on_signal;
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK | (host->sa_flags & SA_RESTART);
    (void)sigemptyset(&ours.sa_mask);
    installed = sigaction(SIGINT, &ours, &old) == 0;
    if (installed && !is_ours(&old))
        host_set(pb_is_guests(&old) ? &host_function : &old);
}

void pb_signals_save(void)
{
    for (size_t i = 0; i < 3; i++)
        (void)sigaction(saved_numbers[i], NULL, &saved[i]);
}

void pb_signals_restore(void)
{
    for (size_t i = 0; i < 3; i++)
        (void)sigaction(saved_numbers[i], &saved[i], NULL);
}

pb_obj pb_signals_register(pb_obj set, int number, pb_obj function)
{
    pb_obj n = NULL, args = NULL, result = NULL;

    n = G.PyLong_FromLongLong(number);
    if (n == NULL)
        goto done;
    args = G.PyTuple_New(2);
    if (args == NULL)
        goto done;
    (void)G.PyTuple_SetItem(args, 0, pb_dup(n));            /* steals */
    (void)G.PyTuple_SetItem(args, 1, pb_dup(function));     /* steals */
    result = G.PyObject_CallObject(set, args);
done:
    pb_xdrop(args);
    pb_xdrop(n);
    return result;
}

int pb_signals_start(void)
{
    pb_obj module = NULL, function = NULL, result = NULL, set = NULL;
    int status = -1;

    main_id = pthread_self();
    module = G.PyImport_ImportModule("signal");
    if (module == NULL)
        goto done;
    set = G.PyObject_GetAttrString(module, "signal");
    if (set == NULL)
        goto done;
    function = G.PyCFunction_NewEx(&on_interrupt_method, NULL, NULL);
    if (function == NULL)
        goto done;
    result = pb_signals_register(set, SIGINT, function);
    if (result == NULL)
        goto done;
    status = pb_notice_start(set);
done:
    pb_signals_restore();               /* the guest's start set all three */
    host_set(&saved[0]);
    if (status == 0)
        install();
    pb_xdrop(result);
    pb_xdrop(function);
    pb_xdrop(set);
    pb_xdrop(module);
    return status;
}

/* By the watcher, while the main thread is in the guest. */
void pb_signals_watch(void)
{
    struct sigaction now;
    if (pthread_mutex_trylock(&installing) != 0)
        return;
    if (installed && sigaction(SIGINT, NULL, &now) == 0 && !is_ours(&now))
        install();
    if (installed)
        pb_notice_watch();
    (void)pthread_mutex_unlock(&installing);
}

void pb_signals_stop(void)
{
    struct sigaction now, theirs = *host;
    taken();
    (void)pthread_mutex_lock(&installing);
    if (installed && sigaction(SIGINT, NULL, &now) == 0 && is_ours(&now))
        (void)sigaction(SIGINT, &theirs, NULL);
    installed = 0;
    pb_notice_stop();
    (void)pthread_mutex_unlock(&installing);
}

/* ---- leaving the guest ---- */

int pb_signals_check(void)
{
    pb_obj type = NULL, value = NULL, traceback = NULL;
    G.PyErr_Fetch(&type, &value, &traceback);   /* all NULL if none is pending */
    int status = G.PyErr_CheckSignals();
    taken();                                /* a handler of the guest's own does not do it */
    if (status == 0) {
        G.PyErr_Restore(type, value, traceback);        /* steals */
        return 0;
    }
    pb_xdrop(type);
    pb_xdrop(value);
    pb_xdrop(traceback);
    return -1;
}

void pb_signals_pass_on(void)
{
    siginfo_t info;
    memset(&info, 0, sizeof info);
    info.si_signo = SIGINT;
    taken();
    host_handle(SIGINT, &info, NULL);
}

void pb_signals_forked(void)
{
    main_id = pthread_self();
    pb_interrupted = 0;
    pb_notice_forked();
    (void)pthread_mutex_init(&installing, NULL);
}
