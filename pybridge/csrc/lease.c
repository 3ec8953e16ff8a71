/* SPDX-License-Identifier: MIT
 *
 * The lease: after a call a thread may keep the guest GIL for its next call.  Taking and
 * dropping the GIL costs 25 to 45 ns, three mutexes; a call through a kept GIL costs less
 * than half.
 *
 * A kept GIL must not make anybody wait.  The rules:
 *
 * - Only when the guest has a single thread state is the GIL kept at all (looked at each
 *   time that the GIL is acquired).  Programs with guest threads, or with several host
 *   threads that call, have CPython's ordinary GIL.
 * - A host thread that wants the GIL sends the holder a signal; the handler runs on the
 *   holder and drops the GIL if the holder is in host code (`idle`).  The thread state of
 *   CPython 3.12+ is a thread-local variable, so nobody else can drop it for the holder.
 * - A guest thread cannot ask.  So a watcher thread ends each lease: after TICK it sets
 *   `wanted`, which the holder sees when it next leaves the guest; if the holder is idle,
 *   it is sent the signal.
 *
 * The holder's two sides, pb_attach and pb_detach on one hand and the handler on the other,
 * run on the same thread, so compiler barriers order them: attach sets `inside` before it
 * reads `held`, the handler drops only when `inside` is 0.  PyEval_SaveThread in a signal
 * handler is sound here, because the interrupted code is host code: it cannot be in the
 * middle of the guest GIL's own mutexes.
 *
 * pb_lease's words are written with the guest GIL held, except `wanted`.  The handler is
 * installed with SA_RESTART; a host call that is never restarted (poll, nanosleep) sees
 * EINTR once, which Python retries.
 *
 * The watcher sleeps while there are no leases and costs nothing then.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core.h"

enum { TICK_NS = 2000000, DROWSY_TICKS = 16 };

pb_lease_words pb_lease;

static int enabled = 1, started;
static int signal_number;
static sem_t wake;
static volatile int asleep;
static __thread __attribute__((tls_model("initial-exec"))) int my_id;

static void on_signal(int number)
{
    (void)number;
    pb_lease.wanted = 1;
    pb_lease_give_up();
}

static void poke(int holder)
{
    pb_state.leases_revoked++;
    (void)syscall(SYS_tgkill, getpid(), holder, signal_number);
}

static void *watch(void *unused)
{
    const struct timespec tick = {0, TICK_NS};
    (void)unused;
    for (;;) {
        int quiet = 0;
        while (quiet < DROWSY_TICKS) {
            (void)nanosleep(&tick, NULL);
            int holder = pb_lease.holder;
            if (holder == 0 || (pb_lease.wanted && !pb_lease.idle)) {
                quiet++;            /* nobody, or one who will see the wish on leaving */
                continue;
            }
            quiet = 0;
            if (pb_lease.wanted)
                poke(holder);
            else
                pb_lease.wanted = 1;
        }
        asleep = 1;
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        if (pb_lease.holder != 0 && !pb_lease.wanted) {
            asleep = 0;
            continue;
        }
        while (sem_wait(&wake) != 0 && errno == EINTR)
            ;
        asleep = 0;
    }
    return NULL;
}

/* A signal of its own: the highest real-time one that nobody handles yet. */
static int signal_claim(void)
{
    struct sigaction action, old;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART | SA_ONSTACK;
    (void)sigfillset(&action.sa_mask);
    for (int number = SIGRTMAX - 2; number > SIGRTMIN; number--)
        if (sigaction(number, NULL, &old) == 0 && old.sa_handler == SIG_DFL)
            return sigaction(number, &action, NULL) == 0 ? number : 0;
    return 0;
}

static int watcher_start(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
    int failed;

    if (signal_number == 0 && (signal_number = signal_claim()) == 0)
        return -1;
    if (sem_init(&wake, 0, 0) != 0 || pthread_attr_init(&attributes) != 0)
        return -1;
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attributes, 128 << 10);
    (void)sigfillset(&all);                 /* no signal of the process lands here */
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    failed = pthread_create(&thread, &attributes, watch, NULL);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    return failed ? -1 : 0;
}

void pb_lease_taken(pb_thread *t)
{
    t->leasing = 0;
    if (!enabled)
        return;
    pb_tstate head = G.PyInterpreterState_ThreadHead(G.PyInterpreterState_Main());
    if (head == NULL || G.PyThreadState_Next(head) != NULL)
        return;
    if (!started) {                         /* with the guest GIL: one thread at a time */
        started = 1;
        if (watcher_start() != 0) {
            enabled = 0;
            return;
        }
    }
    if (my_id == 0)
        my_id = (int)syscall(SYS_gettid);
    t->leasing = 1;
    pb_lease.wanted = 0;
    pb_lease.idle = 0;
    pb_lease.holder = my_id;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (asleep)
        (void)sem_post(&wake);
    if (t == pb_main_thread)
        pb_signals_watch();                 /* every few milliseconds, while calls are made */
}

void pb_lease_revoke(void)
{
    int holder = pb_lease.holder;
    if (holder != 0 && holder != my_id) {
        pb_lease.wanted = 1;
        if (pb_lease.idle)
            poke(holder);
    }
}

void pb_lease_forked(void)
{
    started = 0;
    asleep = 0;
    my_id = 0;
    pb_lease_over();
}

void pb_lease_set(int on)
{
    enabled = on;
    if (!on)
        pb_lease_revoke();
}
