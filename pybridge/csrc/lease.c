/* SPDX-License-Identifier: MIT
 *
 * The lease: after a call the main thread may keep the guest GIL for its next call.  Taking
 * and dropping the GIL costs 25 to 45 ns, three mutexes; a call through a kept GIL costs less
 * than half.
 *
 * A kept GIL must not make anybody wait, and the thread that keeps it may be anywhere in host
 * code, also blocked.  So whoever wants the GIL ends the lease without the keeper's help.
 *
 * Who keeps: the main thread, if the guest has no other thread state at that moment (looked
 * at each time that it takes the GIL).  Programs with guest threads, or with several host
 * threads that call, have CPython's ordinary GIL.
 *
 * Who ends it: a host thread that is about to wait for the GIL (pb_lease_revoke); and, since
 * a guest's own thread cannot ask, a watcher thread.  Each TICK it looks whether there is
 * another thread state; it also ends leases that are not used any more, and makes the keeper
 * drop the GIL once in a while (RENEW) for waiters that it cannot see.  It sleeps while there
 * is nothing to watch.
 *
 * Ending it, take_over: the keeper's `held` goes from HELD to CLAIMED, and if the keeper is
 * not `inside` the claimer drops the GIL in its place, then sets FREE; otherwise it sets HELD
 * again, and `keep`, which was cleared before, makes the keeper drop the GIL itself when it
 * leaves.  The keeper sets `inside` before it reads `held`, and waits while that is CLAIMED.
 * Two threads each write one word and read the other's, so both need a full barrier between;
 * the keeper's, on the fast path, is free because the claimer's is membarrier(2), which makes
 * every thread of the process pass one.
 *
 * Dropping the GIL in another thread's place.  To 3.11 the current thread state is one
 * variable of the process: PyEval_SaveThread does it from any thread.  From 3.12 on it is a
 * thread-local variable, `slot`, found at start as the only word of libpython's thread-local
 * memory that holds the state while it is current and NULL while it is not; the claimer moves
 * the keeper's value to its own slot, and then calls PyEval_SaveThread.
 *
 * Guest code can run on the keeper outside of our books: host code calls a C function of the
 * guest, whose PyGILState_Ensure sees the GIL held.  It counts in the thread state (`ensured`,
 * found at start by calling it twice), and no lease is ended while that number is not what
 * it was.  Hole: a keeper that lies just between PyGILState_Ensure's test and its increment
 * (a few instructions) through all of take_over, which waits a little for that reason.
 *
 * Tried and left: asking the keeper by a signal.  It interrupts the host's system calls:
 * PyPy's accept with a timeout fails, poll loses count of its timeout; a blocked signal
 * keeps the GIL for ever.
 *
 * Leases are off where something above is missing: the system call, the slot, an unknown
 * version.  Everything works without them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/membarrier.h>
#include <link.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core.h"

enum {
    TICK_NS = 2000000,
    RENEW = 5,                  /* ticks */
    UNUSED = 8,
    DROWSY = 16,
    SETTLE_NS = 20000,
    LOOKED_THROUGH = 256        /* bytes of a thread state */
};

typedef struct tls_index { unsigned long module, offset; } tls_index;
extern void *__tls_get_addr(tls_index *);

static int enabled = 1, possible;
static void *interpreter;
static size_t ensured_offset;
static tls_index slot;          /* module 0: there is none */
static pb_tstate *keepers_slot;
static pthread_mutex_t claiming = PTHREAD_MUTEX_INITIALIZER;
static sem_t wake;
static volatile int started, asleep;

/* ---- at start ---- */

typedef struct found { uintptr_t address; unsigned long module; size_t size; } found;

static int find_module(struct dl_phdr_info *info, size_t size, void *data)
{
    found *f = data;
    int inside = 0;
    size_t tls = 0;
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type == PT_LOAD && f->address - (info->dlpi_addr + p->p_vaddr) < p->p_memsz)
            inside = 1;
        if (p->p_type == PT_TLS)
            tls = p->p_memsz;
    }
    if (inside) {
        f->module = info->dlpi_tls_modid;
        f->size = tls;
    }
    return inside;
}

static pb_tstate *slot_address(void)
{
    tls_index i = slot;
    return __tls_get_addr(&i);
}

/* 0, or -1 when there is no such word, or more than one. */
static int slot_find(pb_tstate current)
{
    found f = {(uintptr_t)G.PyGILState_Ensure, 0, 0};
    int candidates = 0;
    unsigned long chosen = 0;
    (void)dl_iterate_phdr(find_module, &f);
    if (f.module == 0)
        return -1;
    slot.module = f.module;
    for (slot.offset = 0; slot.offset + sizeof current <= f.size; slot.offset += sizeof current) {
        if (*slot_address() != current)
            continue;
        (void)G.PyEval_SaveThread();
        int cleared = *slot_address() == NULL;
        G.PyEval_RestoreThread(current);
        if (cleared && *slot_address() == current) {
            candidates++;
            chosen = slot.offset;
        }
    }
    slot.offset = chosen;
    if (candidates != 1)
        slot.module = 0;
    return candidates == 1 ? 0 : -1;
}

/* Where PyGILState_Ensure counts.  0, or -1. */
static int ensured_find(pb_tstate current)
{
    enum { N = LOOKED_THROUGH / sizeof(int) };
    int seen[4][N], fits = 0;
    memcpy(seen[0], current, sizeof seen[0]);
    int first = G.PyGILState_Ensure();
    memcpy(seen[1], current, sizeof seen[1]);
    int second = G.PyGILState_Ensure();
    memcpy(seen[2], current, sizeof seen[2]);
    G.PyGILState_Release(second);
    G.PyGILState_Release(first);
    memcpy(seen[3], current, sizeof seen[3]);
    for (size_t i = 0; i < N; i++)
        if (seen[1][i] - seen[0][i] == 1 && seen[2][i] - seen[1][i] == 1 && seen[3][i] == seen[0][i]) {
            ensured_offset = i * sizeof(int);
            fits++;
        }
    return fits == 1 ? 0 : -1;
}

void pb_lease_start(void)
{
    pb_tstate current = G.PyThreadState_Get();
    interpreter = G.PyInterpreterState_Main();
    possible = G.minor <= 13
        && syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0
        && ensured_find(current) == 0
        && (G.minor < 12 || slot_find(current) == 0);
}

void pb_lease_known(pb_thread *t)
{
    if (!possible)
        return;
    t->ensured = (const volatile int *)(const void *)((char *)t->tstate + ensured_offset);
    t->ensured_outside = *t->ensured;
}

/* ---- ending a lease ---- */

static int barrier(void)
{
    return syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0;
}

static int outside(const pb_thread *keeper)
{
    return !keeper->inside && *keeper->ensured == keeper->ensured_outside;
}

/* By a thread without the guest GIL.  Does nothing if the keeper is in the guest. */
static void take_over(pb_thread *keeper)
{
    static const struct timespec settle = {0, SETTLE_NS};
    int held = PB_HELD;
    if (pthread_mutex_trylock(&claiming) != 0)
        return;                             /* somebody else is at it */
    if (__atomic_compare_exchange_n(&keeper->held, &held, PB_CLAIMED, 0, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST)) {
        int drop = barrier() && outside(keeper);
        if (drop) {
            (void)nanosleep(&settle, NULL);
            drop = outside(keeper);
        }
        if (drop) {
            if (slot.module != 0) {
                *slot_address() = keeper->tstate;
                *keepers_slot = NULL;
            }
            (void)G.PyEval_SaveThread();
            pb_state.leases_revoked++;
        }
        __atomic_store_n(&keeper->held, drop ? PB_FREE : PB_HELD, __ATOMIC_SEQ_CST);
    }
    (void)pthread_mutex_unlock(&claiming);
}

void pb_lease_revoke(void)
{
    pb_thread *keeper = pb_main_thread;
    if (keeper == NULL || keeper == &pb_me || keeper->held == PB_FREE)
        return;
    keeper->keep = 0;
    if (!keeper->inside)
        take_over(keeper);
}

/* ---- the watcher ---- */

/* How long to sleep: 0 a tick, 1 until woken, or (2) a while. */
static int look(pb_thread *keeper, int *age, int *unused, int *quiet)
{
    if (keeper == NULL || pb_state.state != 1)
        return 1;
    if (keeper->inside)
        pb_signals_watch();
    if (keeper->held == PB_FREE) {
        *age = *unused = 0;
        return ++*quiet >= DROWSY;
    }
    int others = G.PyInterpreterState_ThreadHead(interpreter) != keeper->tstate;
    if (others || ++*age >= RENEW) {
        keeper->keep = 0;
        *age = 0;
    }
    if (!keeper->inside) {
        *quiet = 0;
        if (others || ++*unused >= UNUSED)
            take_over(keeper);
        return 0;
    }
    *unused = 0;
    if (keeper->keep)
        *quiet = 0;
    return ++*quiet >= DROWSY ? 2 : 0;
}

static void *watch(void *unused_argument)
{
    static const struct timespec tick = {0, TICK_NS};
    int age = 0, unused = 0, quiet = 0;
    (void)unused_argument;
    for (;;) {
        (void)nanosleep(&tick, NULL);
        int how = look(pb_main_thread, &age, &unused, &quiet);
        if (how == 0)
            continue;
        asleep = 1;
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        if (how == 2) {
            struct timespec until;
            (void)clock_gettime(CLOCK_REALTIME, &until);
            until.tv_nsec += 50 * 1000 * 1000;
            if (until.tv_nsec >= 1000000000) {
                until.tv_sec++;
                until.tv_nsec -= 1000000000;
            }
            (void)sem_timedwait(&wake, &until);
        } else if (pb_main_thread == NULL || pb_main_thread->held == PB_FREE || pb_state.state != 1) {
            while (sem_wait(&wake) != 0 && errno == EINTR)
                ;
            quiet = 0;
        }
        asleep = 0;
    }
    return NULL;
}

static int watcher_start(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
    int failed;

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
    t->keep = 0;
    if (t != pb_main_thread)
        return;
    if (!started) {                         /* with the guest GIL: one thread at a time */
        started = 1;
        if (watcher_start() != 0)
            possible = 0;
    }
    if (possible && enabled && t->ensured != NULL) {
        pb_tstate head = G.PyInterpreterState_ThreadHead(interpreter);
        if (head == t->tstate && G.PyThreadState_Next(head) == NULL) {
            if (slot.module != 0)
                keepers_slot = slot_address();
            t->keep = 1;
        }
    }
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (asleep) {
        asleep = 0;
        (void)sem_post(&wake);
    }
}

/* The watcher is gone; it may have been about to claim this thread's lease. */
void pb_lease_forked(pb_thread *t)
{
    started = 0;
    asleep = 0;
    t->keep = 0;
    if (t->held == PB_CLAIMED)
        t->held = PB_HELD;
    (void)pthread_mutex_init(&claiming, NULL);
}

void pb_lease_set(int on)
{
    enabled = on;
    if (!on && pb_main_thread != NULL)
        pb_main_thread->keep = 0;
}
