/* SPDX-License-Identifier: MIT
 *
 * Ctrl-C.  A process has one handler for SIGINT and two interpreters that want it.
 *
 * Ours is installed last and decides by what the main thread is doing.  In guest code: trip
 * the guest (PyErr_SetInterrupt only sets flags), whose own handler, `on_interrupt` below,
 * then raises KeyboardInterrupt in the guest, also out of a sleep or a read; the exception
 * reaches the host through the call.  In host code: call the handler that was there before.
 *
 * Tried and left: Py_AddPendingCall (takes a lock in a signal handler, does not end a sleep);
 * PyErr_SetInterrupt without a handler in the guest's table (ignored or an error, by
 * version).
 *
 * `pb_interrupted` is set between the signal and on_interrupt.  Whoever leaves the guest
 * with it still set (long C code that never looked) raises it then (pb_signals_check), or
 * hands it to the host (pb_signals_pass_on); on_interrupt raises nothing when it is unset.
 * So one Ctrl-C is one KeyboardInterrupt.
 *
 * Hole: guest code that calls signal.signal(SIGINT, ...) takes the process's handler.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>

#include "core.h"

volatile int pb_interrupted;
pb_thread *pb_main_thread;

static const int saved_numbers[] = {SIGINT, SIGPIPE, SIGXFSZ};
static struct sigaction saved[3];
static struct sigaction host;       /* what the host wants done on SIGINT */
static pthread_t main_id;
static int installed;

static void host_handle(int number, siginfo_t *info, void *context)
{
    if (host.sa_flags & SA_SIGINFO) {
        if (host.sa_sigaction != NULL)
            host.sa_sigaction(number, info, context);
    } else if (host.sa_handler == SIG_DFL) {
        struct sigaction plain = host;
        (void)sigaction(number, &plain, NULL);
        installed = 0;
        (void)raise(number);
    } else if (host.sa_handler != SIG_IGN) {
        host.sa_handler(number);
    }
}

static void on_signal(int number, siginfo_t *info, void *context)
{
    int error = errno;
    if (pb_main_thread == NULL || !pb_main_thread->inside || pb_state.state != 1) {
        host_handle(number, info, context);
    } else if (!pthread_equal(pthread_self(), main_id)) {
        (void)pthread_kill(main_id, number);    /* so that it ends a system call there */
    } else if (host.sa_flags & SA_SIGINFO || host.sa_handler != SIG_IGN) {
        pb_interrupted = 1;
        G.PyErr_SetInterrupt();
    }
    errno = error;
}

static pb_obj on_interrupt(pb_obj self, pb_obj args)
{
    (void)self;
    (void)args;
    if (!pb_interrupted)
        return pb_dup(G._Py_NoneStruct);
    pb_interrupted = 0;
    G.PyErr_SetObject(*G.PyExc_KeyboardInterrupt, NULL);
    return NULL;
}

static pb_method on_interrupt_method = {"on_interrupt", on_interrupt, 1 /* METH_VARARGS */, NULL};

static void install(void)
{
    struct sigaction ours;
    memset(&ours, 0, sizeof ours);
    ours.sa_sigaction = on_signal;
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK | (host.sa_flags & SA_RESTART);
    (void)sigemptyset(&ours.sa_mask);
    installed = sigaction(SIGINT, &ours, NULL) == 0;
}

void pb_signals_save(void)
{
    for (size_t i = 0; i < 3; i++)
        (void)sigaction(saved_numbers[i], NULL, &saved[i]);
}

int pb_signals_start(void)
{
    pb_obj module = NULL, function = NULL, result = NULL, number = NULL, set = NULL, args = NULL;
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
    number = G.PyLong_FromLongLong(SIGINT);
    if (number == NULL)
        goto done;
    args = G.PyTuple_New(2);
    if (args == NULL)
        goto done;
    (void)G.PyTuple_SetItem(args, 0, pb_dup(number));     /* steals */
    (void)G.PyTuple_SetItem(args, 1, pb_dup(function));   /* steals */
    result = G.PyObject_CallObject(set, args);
    if (result == NULL)
        goto done;
    status = 0;
done:
    for (size_t i = 0; i < 3; i++)      /* the guest's start set all three */
        (void)sigaction(saved_numbers[i], &saved[i], NULL);
    host = saved[0];
    if (status == 0)
        install();
    pb_xdrop(result);
    pb_xdrop(args);
    pb_xdrop(number);
    pb_xdrop(function);
    pb_xdrop(set);
    pb_xdrop(module);
    return status;
}

void pb_signals_watch(void)
{
    struct sigaction now;
    if (sigaction(SIGINT, NULL, &now) == 0 && installed
        && !(now.sa_flags & SA_SIGINFO && now.sa_sigaction == on_signal)) {
        host = now;
        install();
    }
}

int pb_signals_check(void)
{
    return G.PyErr_CheckSignals();
}

void pb_signals_pass_on(void)
{
    siginfo_t info;
    memset(&info, 0, sizeof info);
    pb_interrupted = 0;
    host_handle(SIGINT, &info, NULL);
}

void pb_signals_stop(void)
{
    struct sigaction now;
    if (installed && sigaction(SIGINT, NULL, &now) == 0 && now.sa_flags & SA_SIGINFO
        && now.sa_sigaction == on_signal)
        (void)sigaction(SIGINT, &host, NULL);
    installed = 0;
}

void pb_signals_forked(void)
{
    main_id = pthread_self();
    pb_interrupted = 0;
}
