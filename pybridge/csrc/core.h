/* SPDX-License-Identifier: MIT
 *
 * What the files of the core tell one another.  The layers, lowest first; each file calls
 * only those before it:
 *
 *     api       the guest's functions           isolate  loading with hidden host names
 *     stack     the stack that is left
 *     attach, attached   thread states, the guest GIL
 *     frame     argument memory
 *     raised    errors as a tag
 *     vectorcall.h  the fastest call that every guest has
 *     kind      what becomes of each guest type
 *     hosttable hostobj                 host objects in the guest
 *     callframe sitenames hot.h callback    calls of the host
 *     points, rule, integral, quadpack  host functions under scipy's quad
 *     handle, late, weight   what becomes of handles
 *     give, text, take    guest objects to cells and back
 *     linked, linkedtype   host lists, dicts and sets as the guest's own
 *     call, operate, context, exporter, interchange   the crossings
 *     signals, start                            process-wide state
 *
 * Locks, in the order in which they may be taken: those of the host's half, for which nobody
 * waits with the guest GIL (_locks.py); the guest GIL, which nobody waits for with the host's,
 * and with which callbacks do not wait for the host's; then the locks of isolate.c around
 * dlopen (guest_lock, load_lock) and of elfwalk.c (walking, innermost).
 * Everything else is either the thread's own or protected by the guest GIL, and says which.
 */
#ifndef PB_CORE_H
#define PB_CORE_H

#include <string.h>

#include "api.h"
#include "host.h"

#define PB_LIKELY(x) __builtin_expect(!!(x), 1)
#define PB_UNLIKELY(x) __builtin_expect(!!(x), 0)

#define PB_WORD(tag, length) ((int64_t)(tag) | (int64_t)(length) << 8)
#define PB_TAG(word) ((int)((word) & 255))
#define PB_LENGTH(word) ((word) >> 8)

static inline int64_t pb_bits_of(double value)
{
    int64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline double pb_double_of(int64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

extern pb_shared pb_state;

/* ---- attach.c, attached.c ---- */

enum { PB_SPARE_FLOATS = 4 };

/* One per thread that ever attached.  Only its own thread touches it, except of the main
 * thread the words marked *, about which see lease.c. */
typedef struct pb_thread {
    char *stack_limit;          /* below this address no guest call is begun; ~0 until known */
    char *stack_end;            /* lowest address of the stack; NULL when not known */
    char *stack_top;            /* from where the host counts what it uses, or a bit above */
    int reserve;                /* pb_stack_reserve */
    pb_tstate tstate;           /* the guest's state of this thread, or NULL */
    volatile int inside;        /* * guest code is on top, 2 and more: of host code of which
                                   the guest does not know (pb_attach_slow) */
    volatile int held;          /* * this thread took the guest GIL, and keeps it in a lease */
    volatile int keep;          /* * it need not drop it at the next detach */
    int ours;                   /* `tstate` was made here */
    int attached;               /* * how many pb_attached_begin are open: keeps the GIL */
    pb_tstate *own_slot, unused_slot;   /* of a thread that is attached: attached.c */
    pb_tstate *slot;            /* * the guest's own word for its current state; in a lease */
    unsigned nested;            /* how many pb_attach_slow ... */
    uint64_t nested_release;    /* ... and a bit for each: drop the GIL again */
    pb_obj low_error, kept;     /* owned: see lowlevel.c */
    int discard;                /* an exception left in `tstate` is nobody's: see stray */
    int64_t turns;              /* how often control came to the guest: see linked.c */
    pb_obj linking;             /* borrowed: the container that linked.c is at work on */
    pb_obj ended;               /* linkedtype.c: containers that wait for their end ... */
    int ending;                 /* ... and how many are ending inside one another */
    int spare_floats;           /* how many of `floats` there are: see call.c */
    pb_obj floats[PB_SPARE_FLOATS];     /* owned */
} pb_thread;

/* Values of `held`. */
enum { PB_FREE, PB_HELD, PB_CLAIMED /* another thread may be ending the lease */ };

extern __thread __attribute__((tls_model("initial-exec"))) pb_thread pb_me;

void pb_attach_prepare(void);               /* before the guest starts */
void pb_error_start(void);                  /* after, with the guest GIL */
void pb_thread_meet(pb_thread *t);          /* this thread comes for the first time */
void pb_attach_fork_before(void);
void pb_attach_fork_after(void);            /* in the child too */

/* ---- stack.c ---- */
void pb_stack_start(void);                  /* after the guest's start, with its GIL */
void pb_stack_measure(pb_thread *t);
/* Lower the guest's own count of C calls to what fits.  With the guest GIL. */
void pb_stack_limit_calls(pb_thread *t);
/* Is there stack for host code?  Asked before a step out. */
int pb_stack_left_for_host(void);
/* How much of it the host has used, as it counts. */
int64_t pb_stack_used_by_host(void);

/* ---- attach.c again ---- */

/* The parts of pb_attach and pb_detach that are not inlined (below). */
void pb_gil_take(pb_thread *t);
void pb_gil_drop(pb_thread *t);
int64_t pb_attach_slow(pb_thread *t);       /* 0, or the word to answer */
void pb_detach_nested(pb_thread *t);

/* Is there an exception in this thread's guest state?  Only for its own thread, with or
 * without the guest GIL. */
extern size_t pb_error_offset;              /* 0: not known */
static inline int pb_error_pending(const pb_thread *t)
{
    return pb_error_offset != 0 && t->tstate != NULL
        && *(const pb_obj *)(const void *)((const char *)t->tstate + pb_error_offset) != NULL;
}

/* Around host code that guest code called: the thread gives up the guest GIL and takes it
 * again, and is then as it was before; `outside` remembers how. */
typedef struct pb_outside {
    pb_tstate tstate;
    int inside, held;
} pb_outside;
_Static_assert(sizeof(pb_outside) <= sizeof ((pb_low_call *)0)->outside, "room for it");
pb_thread *pb_step_out(pb_outside *outside);
void pb_step_in(pb_thread *t, const pb_outside *outside);

/* ---- lease.c: keeping the guest GIL between two calls ---- */
void pb_lease_start(void);                  /* by the main thread, with the guest GIL */
void pb_lease_taken(pb_thread *t);          /* the GIL was just acquired: set t->keep */
void pb_lease_revoke(void);                 /* this thread is about to wait for the GIL */
void pb_lease_forked(pb_thread *t);         /* in a forked child, its only thread */

/* ---- attach.c again: every crossing goes through these two ---- */
extern volatile int pb_interrupted;         /* signals.c */
extern volatile int pb_noticed;             /* notice.c */
extern pb_thread *volatile pb_main_thread;
/* Give an interrupt that guest code did not take to the host's own handler. */
void pb_signals_pass_on(void);

/* Take the guest GIL for this thread: NULL, and *refused is the word to answer, when that
 * cannot be.  Each pb_attach has its pb_detach in the same C function. */
static inline pb_thread *pb_attach(int64_t *refused)
{
    pb_thread *t = &pb_me;
    if (PB_UNLIKELY((char *)__builtin_frame_address(0) < t->stack_limit || pb_state.state != 1
                    || t->inside)) {
        *refused = pb_attach_slow(t);
        if (*refused != 0)
            return NULL;
        if (t->inside)
            return t;
    }
    t->inside = 1;                  /* before `held` is read: see lease.c */
    __asm__ volatile("" ::: "memory");
    if (PB_LIKELY(t->held == PB_HELD))
        *t->slot = t->tstate;
    else
        pb_gil_take(t);
    pb_state.entered++;
    t->turns++;
    return t;
}

static inline void pb_detach(pb_thread *t)
{
    if (PB_UNLIKELY(t->inside != 1)) {
        pb_detach_nested(t);
        return;
    }
    if (PB_LIKELY(t->keep))
        *t->slot = NULL;
    else
        pb_gil_drop(t);
    __atomic_store_n(&t->inside, 0, __ATOMIC_RELEASE);
    __asm__ volatile("" ::: "memory");
    if (PB_UNLIKELY(pb_interrupted) && t == pb_main_thread)
        pb_signals_pass_on();       /* it came too late for the guest */
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

/* ---- hosttable.c ---- */
typedef struct pb_entry {
    pb_obj object;              /* borrowed: its destructor clears it; owned when `kept` */
    pb_obj guest_class;         /* owned: of a host class, a weak reference to the guest's */
    int64_t next;               /* in the list of dropped numbers */
    enum { PB_KNOWN, PB_QUEUED, PB_FORGOTTEN } state;   /* on that list; taken from it by the host */
    unsigned char kept;         /* only the table and weak references hold `object` */
    unsigned char mortal;       /* it is not kept again */
} pb_entry;
pb_entry *pb_entry_find(int64_t number);            /* valid until the next reserve, or NULL */
pb_entry *pb_entry_reserve(int64_t number);         /* likewise; NULL without memory */
/* Called by the destructor of `o`, which carries the number. */
void pb_entry_drop(int64_t number, pb_obj o);
/* From now on `o` carries the number, which begins a new life; 0 or -1 without memory. */
int pb_entry_set(int64_t number, pb_obj o /*borrowed*/);
/* Likewise, before: 1 when the table takes a reference, so that `o` lives on. */
int pb_entry_keep(int64_t number, pb_obj o);

/* ---- hostobj.c ---- */
typedef struct pb_host_function {
    pb_head head;
    int64_t tag;                /* as of all host objects: see there */
    pb_obj weak_references;
    pb_vectorcall call;
    pb_obj dict;
    short calls, entry;         /* hot.h */
    short points_entry;         /* points.c: 0, or one more than the entry point */
} pb_host_function;
int pb_hostobj_start(void);                              /* 0, or -1 with a guest error set */
/* The number of the host object that `o` carries, or -1. */
int64_t pb_hostobj_number(pb_obj o);
/* Make the type of host memory; the slots have room for one more before their end. */
int pb_hostobj_memory_type(const char *name, int size, pb_slot *slots);
/* What carries that number: `o`, or what `o`, which stands for a host object, holds.
 * borrowed from `o`, or NULL */
pb_obj pb_hostobj_behind(pb_obj o);
int pb_hostobj_is_function(pb_obj o);
/* Has an object that carries a number weak references? */
int pb_hostobj_is_watched(pb_obj o);

/* ---- callback.c; what its neighbours need of it is in callback.h ---- */
/* Calls of a host_function. */
pb_obj pb_callback_run(pb_obj self, const pb_obj *args, size_t nargsf, pb_obj names);

/* ---- points.c: a host function that C code asks for its value at many points ---- */
typedef struct pb_asked {
    pb_points points;           /* the host's part */
    pb_host_function *function; /* borrowed, as all here */
    const pb_obj *more;         /* its other arguments, as many as points.more */
} pb_asked;
/* The values at the points from points.first on.  0, or -1 with a guest error set.  With the
 * guest GIL. */
int pb_points_ask(pb_asked *a);

/* ---- lowlevel.c ---- */
/* Is it one of ours of `double (double, void *)`? */
int pb_low_is_of_quad(const void *function);

/* ---- rule.c: which points quadpack asks for next ---- */
enum { PB_RULE_MOST = 60 };
/* Of dqagse, dqagie, dqagpe, dqawoe, dqawfe, dqawse, dqawce. */
typedef enum {
    PB_RULE_UNKNOWN, PB_RULE_FINITE, PB_RULE_INFINITE, PB_RULE_BREAKS, PB_RULE_WAVE, PB_RULE_CYCLES,
    PB_RULE_POWERS, PB_RULE_POLE, PB_RULES
} pb_rule_kind;
typedef struct pb_interval { double low, high, first[2]; /* points of its left half, by rule */ } pb_interval;
typedef struct pb_rule {
    pb_rule_kind kind;
    double few[3], *edges;      /* `few`, or owned: of the intervals that it begins with */
    int64_t whole, begun;       /* how many these are; have been asked for */
    int infinite;               /* 1 to infinity, -1 from it, 2 both */
    double bound, pole, cycle;  /* of an infinite range; of a weight; how long a cycle is */
    double right[2];            /* the half that comes next, after an interval was `halved` */
    int halved;
    pb_interval *intervals;     /* owned: all that have been asked for and not halved */
    int64_t used, capacity;
} pb_rule;
/* The points that are asked for from now on, `x` being the first: how many, or 0: not known, from
 * now on. */
int64_t pb_rule_next(pb_rule *r, double x, double *points);
void pb_rule_end(pb_rule *r);

/* ---- handle.c ---- */
/* Drop what was written to the cells [from, to), which no host will read.  Keeps a pending
 * guest error. */
void pb_ungive(pb_frame *f, int64_t from, int64_t to);

/* ---- late.c ---- */
extern const pb_type *pb_late_float;        /* NULL before numpy is met */
pb_obj pb_late_float_new(double value);     /* new, or NULL with an error set */

/* ---- give.c ---- */
int pb_cell_add(pb_frame *f, int64_t *at, int64_t word, int64_t payload);
/* Write `o` as cells from *at on; always consumes it.  0, or -1 with a guest error set. */
int pb_give(pb_frame *f, int64_t *at, pb_obj o /*steals*/);
/* A cell for host object `number`; the carrier, if not NULL, belongs to it. 0, or -1 with an
 * error set */
int pb_give_host(pb_frame *f, int64_t *at, int64_t number, pb_obj carrier /*steals*/);
/* `o` as the whole result: its first word.  NULL means that a guest error is pending. */
int64_t pb_result(pb_frame *f, pb_obj o /*steals*/);

/* ---- text.c ---- */
void pb_text_start(void);                           /* with the guest GIL */
/* A text in UTF-8, lone surrogates included. new, or NULL with an error set */
pb_obj pb_text_make(const char *bytes, int64_t length);

/* ---- take.c ---- */
/* The value at cell *at, which moves on. new, or NULL with a guest error set */
pb_obj pb_take(const pb_frame *f, int64_t *at);
/* Likewise at a known depth of nesting. */
pb_obj pb_take_at(const pb_frame *f, int64_t *at, int depth);

/* ---- linked.c ---- */
extern pb_type *pb_linked_types[3];
static inline int pb_is_linked(const pb_head *o)
{
    return o->type == pb_linked_types[0] || o->type == pb_linked_types[1] || o->type == pb_linked_types[2];
}
/* What PB_LINK says, *at being the cell after it. new, or NULL with a guest error set */
pb_obj pb_linked_take(pb_frame *f, int64_t *at, int64_t index, intptr_t handle, int depth);
/* Give a linked container: 1 when it is linked no more and nothing was done; 0, which
 * consumed `o`; or -1. */
int pb_linked_give(pb_frame *f, int64_t *at, pb_obj o /*steals on 0*/);
/* Write what guest code in C did to this crossing's containers through to the host's.  May
 * be called with an error set, and keeps it.  0, or -1 with an error set. */
int pb_linked_push_all(pb_frame *f);
/* Let go of this crossing's containers but those that the guest keeps: how many. */
int64_t pb_linked_finish(pb_frame *f);
void pb_linked_forget(pb_frame *f);

/* ---- buffer.c ---- */
void pb_buffer_drop(pb_buffer *buffer /*steals*/);

/* ---- exporter.c ---- */
int pb_exporter_start(void);        /* 0, or -1 with a guest error set */

/* ---- iterate.c ---- */
int pb_fetchable(pb_obj o);

/* ---- pile.c ---- */
int pb_pile_start(void);                    /* 0, or -1 with a guest error set */
void pb_pile_dropped(int64_t objects);      /* so many that the cycle collector knows, at once */

/* ---- signals.c ---- */
/* Before the guest starts; after it: 0, or -1 with a guest error set. */
void pb_signals_save(void);
int pb_signals_start(void);
void pb_signals_restore(void);      /* as saved: after a start that failed */
void pb_signals_stop(void);
void pb_signals_forked(void);       /* this thread is the main one now */
void pb_signals_watch(void);        /* put our handler back if somebody replaced it */
/* Called by the main thread with the guest GIL, an error may be pending, when an interrupt
 * may be waiting: 0, or -1 with what the handler raised instead. */
int pb_signals_check(void);
/* Back from host code that was signalled (pb_noticed): 0, or -1 with what it raised. */
int pb_signals_look(void);
/* Call the guest's signal.signal, `set`: new, or NULL with its error. */
pb_obj pb_signals_register(pb_obj set /*borrowed*/, int number, pb_obj function /*borrowed*/);

/* ---- notice.c, called by signals.c ---- */
int pb_notice_start(pb_obj set /*borrowed*/);   /* 0, or -1 with a guest error set */
void pb_notice_stop(void);
void pb_notice_forked(void);
void pb_notice_watch(void);
void pb_nudge(void);                /* end what the main thread waits for, in a moment */
void pb_nudge_end(void);
struct sigaction;
int pb_is_guests(const struct sigaction *action);

#endif
