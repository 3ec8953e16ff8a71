/* SPDX-License-Identifier: MIT
 *
 * What the files of the core tell one another.  The layers, lowest first; each file calls
 * only those before it:
 *
 *     api       the guest's functions           isolate  loading with hidden host names
 *     attach    thread states, the guest GIL, the stack left
 *     frame     argument memory
 *     raised    errors as a tag
 *     vectorcall.h  the fastest call that every guest has
 *     kind      what becomes of each guest type
 *     hostobj   host objects in the guest, callbacks
 *     value     cells to guest objects and back
 *     call, operate, handle                     the crossings
 *     signals, start                            process-wide state
 *
 * Locks, in the order in which they may be taken: the guest GIL, then the host's GIL is
 * never taken while the guest's is held (callbacks let go of it first).  The core itself
 * has one lock, in isolate.c, held only around dlopen; everything else is either the
 * thread's own or protected by the guest GIL, and says which.
 */
#ifndef PB_CORE_H
#define PB_CORE_H

#include "api.h"
#include "host.h"

#define PB_LIKELY(x) __builtin_expect(!!(x), 1)
#define PB_UNLIKELY(x) __builtin_expect(!!(x), 0)

#define PB_WORD(tag, length) ((int64_t)(tag) | (int64_t)(length) << 8)
#define PB_TAG(word) ((int)((word) & 255))
#define PB_LENGTH(word) ((word) >> 8)

extern pb_shared pb_state;

/* ---- attach.c ---- */

enum { PB_SPARE_FLOATS = 4 };

/* One per thread that ever attached.  Only its own thread (and that thread's signal
 * handlers) touches it; `inside` of the main thread is read by signals.c anywhere. */
typedef struct pb_thread {
    char *stack_limit;          /* below this address no guest call is begun; ~0 until known */
    char *stack_end;            /* lowest address of the stack */
    pb_tstate tstate;           /* the guest's state of this thread, or NULL */
    volatile int inside;        /* guest code is on top: route signals to the guest */
    volatile int held;          /* this thread holds the guest GIL (also while leased) */
    int ours;                   /* `tstate` was made by PyGILState_Ensure here */
    int leasing;                /* keep the GIL at the next detach */
    int spare_floats;           /* how many of `floats` there are: see call.c */
    pb_obj floats[PB_SPARE_FLOATS];     /* owned */
} pb_thread;

extern __thread __attribute__((tls_model("initial-exec"))) pb_thread pb_me;

void pb_attach_prepare(void);               /* before the guest starts */

/* The parts of pb_attach and pb_detach that are not inlined (below, after the lease). */
void pb_gil_take(pb_thread *t);
void pb_gil_drop(pb_thread *t);
int64_t pb_attach_refused(pb_thread *t);    /* 0, or the word to answer */

/* Around host code that guest code called: the thread gives up the guest GIL and takes it
 * again.  Step out of a thread the guest made itself is allowed; *foreign remembers that. */
pb_thread *pb_step_out(int *foreign);
void pb_step_in(pb_thread *t, int foreign);
/* Is there stack for host code?  Asked before a step out. */
int pb_stack_left_for_host(void);

/* Asked by the holder's own signal handler and by pb_detach: drop a GIL kept while idle. */
void pb_lease_give_up(void);

/* ---- lease.c: keeping the guest GIL between two calls ---- */
typedef struct pb_lease_words {
    volatile int wanted;        /* somebody wants the GIL: the holder drops it when it leaves */
    volatile int idle;          /* the holder runs host code */
    volatile int holder;        /* kernel id of the thread that may keep the GIL, or 0 */
} pb_lease_words;
extern pb_lease_words pb_lease;
void pb_lease_taken(pb_thread *t);          /* the GIL was just acquired: set t->leasing */
static inline void pb_lease_over(void)      /* the GIL is about to be dropped */
{
    pb_lease.holder = 0;
    pb_lease.idle = 0;
    pb_lease.wanted = 0;
}
void pb_lease_revoke(void);                 /* this thread is about to wait for the GIL */
void pb_lease_forked(void);                 /* in a forked child */

/* ---- attach.c again: every crossing goes through these two ---- */
extern volatile int pb_interrupted;         /* signals.c */
extern pb_thread *pb_main_thread;
/* Give an interrupt that guest code did not take to the host's own handler. */
void pb_signals_pass_on(void);

/* Take the guest GIL for this thread: NULL, and *refused is the word to answer, when that
 * cannot be.  Not re-entrant: guest code never calls it directly, only host code does. */
static inline pb_thread *pb_attach(int64_t *refused)
{
    pb_thread *t = &pb_me;
    if (PB_UNLIKELY((char *)__builtin_frame_address(0) < t->stack_limit || pb_state.state != 1)) {
        *refused = pb_attach_refused(t);
        if (*refused != 0)
            return NULL;
    }
    t->inside = 1;                  /* before `held` is read: see lease.c */
    __asm__ volatile("" ::: "memory");
    if (PB_UNLIKELY(!t->held))
        pb_gil_take(t);
    pb_lease.idle = 0;
    pb_state.entered++;
    return t;
}

static inline void pb_detach(pb_thread *t)
{
    if (PB_UNLIKELY(!t->leasing || pb_lease.wanted))
        pb_gil_drop(t);
    else
        pb_lease.idle = 1;
    __asm__ volatile("" ::: "memory");
    t->inside = 0;
    __asm__ volatile("" ::: "memory");
    if (PB_UNLIKELY(t->held && pb_lease.wanted))
        pb_lease_give_up();         /* the wish came between the lines above */
    if (PB_UNLIKELY(pb_interrupted) && t == pb_main_thread)
        pb_signals_pass_on();       /* and so did Ctrl-C */
}

/* ---- frame.c ---- */
enum { PB_BASE_CELLS = 64 };
int pb_cells_reserve(pb_frame *f, int64_t cells, int64_t kept);  /* 0 or -1 */
/* Copy `length` bytes into the frame's text: the offset, or -1 without memory. */
int64_t pb_text_copy(pb_frame *f, const char *bytes, int64_t length);

/* ---- raised.c ---- */
/* Take the pending guest exception into cell 0: PB_ERROR.  None pending is SystemError. */
int64_t pb_raised(pb_frame *f);
/* One cell as the whole result: `word`. */
int64_t pb_answer(pb_frame *f, int64_t word, int64_t payload);
/* The pending guest exception as one object with its traceback. new, or NULL */
pb_obj pb_exception_take(void);

/* ---- kind.c ---- */
typedef struct pb_kind {
    pb_type *type;              /* borrowed: `watch` clears the entry when the type dies */
    int64_t word;               /* PB_OBJECT, PB_HEAVY or PB_VALUE with its number */
    pb_obj reducer;             /* owned; of PB_VALUE: gives the value that crosses instead */
    pb_obj watch;               /* owned: a weak reference to a heap type */
} pb_kind;
/* NULL when the type was never classified.  Valid until the next guest call. */
const pb_kind *pb_kind_find(pb_type *type);

/* ---- hostobj.c ---- */
int pb_hostobj_start(void);                              /* 0, or -1 with a guest error set */
/* The number of the host object behind `o`, or -1. */
int64_t pb_hostobj_number(pb_obj o);

/* ---- value.c ---- */
/* Write `o` as cells from *at on; always consumes it.  0, or -1 with a guest error set. */
int pb_give(pb_frame *f, int64_t *at, pb_obj o /*steals*/);
/* Drop what was written to the cells [from, to), which no host will read.  Keeps a pending
 * guest error. */
void pb_ungive(pb_frame *f, int64_t from, int64_t to);
/* `o` as the whole result: its first word.  NULL means that a guest error is pending. */
int64_t pb_result(pb_frame *f, pb_obj o /*steals*/);
/* The value at cell *at, which moves on. new, or NULL with a guest error set */
pb_obj pb_take(const pb_frame *f, int64_t *at);
/* Likewise without a new reference when the cell holds a handle: *owned says which. */
pb_obj pb_take_borrowed(const pb_frame *f, int64_t *at, int *owned);




/* ---- iterate.c ---- */
int pb_fetchable(pb_obj o);

/* ---- signals.c ---- */
/* Before the guest starts; after it: 0, or -1 with a guest error set. */
void pb_signals_save(void);
int pb_signals_start(void);
void pb_signals_stop(void);
void pb_signals_forked(void);       /* this thread is the main one now */
void pb_signals_watch(void);        /* put our handler back if the host replaced it */
/* Called by the main thread with the guest GIL when an interrupt may be waiting: 0, or -1
 * with KeyboardInterrupt set. */
int pb_signals_check(void);

#endif
