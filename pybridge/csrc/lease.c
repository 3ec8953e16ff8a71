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
 * In a lease the GIL is held by nobody's thread state.  The guest has a word that names its
 * current one: a variable of the process up to 3.11, a thread-local one from 3.12 on (`slot`,
 * found at start as the only word that holds the state while it is current, and NULL while it
 * is not).  The keeper sets it to NULL when it leaves with the GIL, and back when it returns.
 * So guest code that runs on the keeper outside of our books (host code calls a C function of
 * the guest, which calls PyGILState_Ensure) does not believe that it has the GIL: it waits
 * for it, until the watcher has ended the lease, and is never surprised by its end.  And the
 * claimer can drop the GIL: it makes the keeper's state its own current one, and calls
 * PyEval_SaveThread, which knows nothing of threads.
 *
 * Tried and left: asking the keeper by a signal.  It interrupts the host's system calls:
 * PyPy's accept with a timeout fails, poll loses count of its timeout; a blocked signal
 * keeps the GIL for ever.
 *
 * Leases are off where something above is missing: the system call, the slot, an unknown
 * version.  Everything works without them.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
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
    UNUSED = 2,
    DROWSY = 16
};

typedef struct tls_index { unsigned long module, offset; } tls_index;
extern void *__tls_get_addr(tls_index *);

static int enabled = 1, possible;
static void *interpreter;
static tls_index slot;          /* module 0: `offset` is an address */
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

/* This thread's. */
static pb_tstate *slot_address(void)
{
    tls_index i = slot;
    return slot.module == 0 ? (pb_tstate *)slot.offset : __tls_get_addr(&i);
}

/* Look in `size` bytes from slot.offset on.  0, or -1 when there is no such word, or more
 * than one. */
static int slot_search(pb_tstate current, size_t size)
{
    int candidates = 0;
    unsigned long chosen = 0, end = slot.offset + size;
    for (; slot.offset + sizeof current <= end; slot.offset += sizeof current) {
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
    return candidates == 1 ? 0 : -1;
}

static int slot_find(pb_tstate current)
{
    if (G.minor >= 12) {
        found f = {(uintptr_t)G.PyGILState_Ensure, 0, 0};
        (void)dl_iterate_phdr(find_module, &f);
        slot.module = f.module;
        return f.module == 0 ? -1 : slot_search(current, f.size);
    }
    Dl_info info;
    const ElfW(Sym) *symbol = NULL;
    if (G._PyRuntime == NULL || dladdr1(G._PyRuntime, &info, (void **)&symbol, RTLD_DL_SYMENT) == 0
        || symbol == NULL || info.dli_saddr != (void *)G._PyRuntime)
        return -1;
    slot.offset = (uintptr_t)G._PyRuntime;
    return slot_search(current, symbol->st_size);
}

void pb_lease_start(void)
{
    interpreter = G.PyInterpreterState_Main();
    possible = G.minor <= 13
        && syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0
        && slot_find(G.PyThreadState_Get()) == 0;
}

/* ---- ending a lease ---- */

static int barrier(void)
{
    return syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0;
}

/* By a thread without the guest GIL.  Does nothing if the keeper is in the guest. */
static void take_over(pb_thread *keeper)
{
    int held = PB_HELD;
    if (pthread_mutex_trylock(&claiming) != 0)
        return;                             /* somebody else is at it */
    if (__atomic_compare_exchange_n(&keeper->held, &held, PB_CLAIMED, 0, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST)) {
        int drop = barrier() && !__atomic_load_n(&keeper->inside, __ATOMIC_SEQ_CST)
            && !keeper->attached;           /* written while inside */
        if (drop) {
            *slot_address() = keeper->tstate;
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
    if (keeper == NULL || keeper == &pb_me || keeper->held == PB_FREE || keeper->attached)
        return;
    keeper->keep = 0;
    if (!keeper->inside)
        take_over(keeper);
}

/* ---- the watcher ---- */

/* How long to sleep: 0 a tick, 1 until woken, or (2) a while. */
static int look(pb_thread *keeper, int *age, int *unused, int *quiet)
{
    static int64_t seen;
    if (keeper == NULL || pb_state.state != 1)
        return 1;
    if (keeper->inside)
        pb_signals_watch();
    if (keeper->held == PB_FREE || keeper->attached) {
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
        *unused = pb_state.entered == seen ? *unused + 1 : 0;
        seen = pb_state.entered;
        if (others || *unused >= UNUSED)
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
    t->keep = t->attached > 0;
    if (t->keep)
        return;
    if (t != pb_main_thread)
        return;
    if (!started) {                         /* with the guest GIL: one thread at a time */
        started = 1;
        if (watcher_start() != 0)
            possible = 0;
    }
    if (possible && enabled) {
        pb_tstate head = G.PyInterpreterState_ThreadHead(interpreter);
        if (head == t->tstate && G.PyThreadState_Next(head) == NULL) {
            t->slot = slot_address();
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
