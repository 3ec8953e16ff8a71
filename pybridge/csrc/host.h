/* SPDX-License-Identifier: MIT
 *
 * The interface between the core and its host: flat, small, no guest types.
 *
 * A crossing is one call of a function below.  The host writes its arguments into the
 * cells of a frame, calls, and finds the result in the cells of the same frame.  A cell is
 * two words: the first holds a tag in its low 8 bits and a length or a number in the rest,
 * the second a payload (an integer, the bits of a double, an address).  Containers are
 * followed by their items, so a nested value is a run of cells.
 *
 * A frame belongs to whoever took it from the pool, until it is put back: one thread, one
 * crossing at a time.  So none of its fields needs a lock.  Callbacks nest by using
 * another frame.
 *
 * A handle is one owned reference to a guest object, as an integer; 0 is "released".
 * Every function here may be called from any thread that holds no guest lock; each
 * attaches to the guest by itself (see attach.c) and answers PB_REFUSED when it cannot.
 *
 * pybridge_build.py copies the marked parts into the cffi definition.
 */
#ifndef PB_HOST_H
#define PB_HOST_H

#include <stdint.h>

/* cdef begin */

/* ORDER TAGS: pybridge/_tags.py reads these names, give.c and take.c have the cases. */
enum {
    PB_ERROR,      /* payload: the guest exception, new; length: 0, or the number of its class,
                      and more cells follow (raised.c) */
    PB_NONE,
    PB_FALSE,
    PB_TRUE,
    PB_INT,        /* payload: the integer */
    PB_FLOAT,      /* payload: the bits of the double */
    PB_OBJECT,     /* payload: a handle.  To the host: new; length: the number of its class,
                      0 when it has none.  To the guest: borrowed */
    PB_HEAVY,      /* to the host: PB_OBJECT that owns much memory */
    PB_UNKNOWN,    /* to the host: PB_OBJECT of a type not yet classified (kind.c), or such
                      a type itself */
    PB_CLASS,      /* to the host: PB_OBJECT that is a type; length: the type's number */
    PB_HOST,       /* to the host: PB_OBJECT that stands for the host object of number length;
                      payload 0: an argument that the guest's caller holds meanwhile */
    PB_STR,        /* length in bytes; UTF-8, lone surrogates allowed.  To the guest:
                      payload: an address.  To the host: an offset into the frame's text */
    PB_BYTES,      /* likewise */
    PB_BIGINT,     /* likewise: two's complement, little endian */
    PB_COMPLEX,    /* payload: real part; the payload of the next cell: imaginary part */
    PB_ELLIPSIS,
    PB_NOTIMPLEMENTED,
    PB_TUPLE,      /* length: how many items follow */
    PB_FROZENSET,
    PB_LIST,       /* to the guest only, as PB_DICT (keys and values alternate), PB_SET */
    PB_DICT,
    PB_SET,
    PB_FLOATS,     /* to the guest: a list; length items at payload, doubles */
    PB_INTS,       /* to the guest: a list; length items at payload, int64_t */
    PB_SLICE,      /* three items follow */
    PB_RANGE,      /* three items follow */
    PB_BUILD,      /* to the guest: payload: a callable, borrowed; length arguments follow */
    PB_VALUE,      /* to the host: length: the number of its class; its fields follow */
    PB_SUBVALUE,   /* to the host: PB_OBJECT whose class derives from int, float, complex, str,
                      bytes or tuple; that value follows */
    PB_STOP,       /* the iterator has no more */
    PB_REFUSED,    /* length: one of the reasons below */
    PB_RAISE,      /* to the guest, from a callback: payload: an exception, borrowed */
    PB_LINK,       /* To the guest: a host container, the length-th of this crossing; payload:
                      the guest's object for it, borrowed, or 0: make one; its items follow as
                      a list, dict or set.  To the host: likewise; payload 0: of this frame's
                      own crossing; otherwise the address of the other frame, and two cells
                      follow: the guest's object, new, and the serial of that crossing */
    PB_SAME,       /* to the guest: the length-th container of this crossing again */
    PB_LATE,       /* to the guest, from a callback: the bits of a numpy.float64 that is made now */
    PB_TEXTS,      /* to the guest: a list; length texts, UTF-8, end to end at payload; the
                      payload of the next cell: the address of their lengths, int64_t */
    PB_TWIN        /* to the host, as the whole result: PB_OBJECT, the text at pb_shared.twin */
};

/* ORDER REASONS: pybridge/_raised.py */
enum {
    PB_NOT_STARTED = 1,
    PB_CLOSED,         /* the guest was closed at exit */
    PB_STACK,          /* too little stack is left on this thread */
    PB_RELEASED,       /* the handle is 0 */
    PB_NO_MEMORY,
    PB_NO_GUARD        /* memory that the host may free cannot be kept: guard.c */
};

/* ORDER OPS: operate.c, pybridge/_operators.py */
enum {
    PB_ADD, PB_SUB, PB_MUL, PB_MATMUL, PB_TRUEDIV, PB_FLOORDIV, PB_MOD, PB_DIVMOD,
    PB_LSHIFT, PB_RSHIFT, PB_AND, PB_XOR, PB_OR, PB_POW,
    PB_IADD, PB_ISUB, PB_IMUL, PB_IMATMUL, PB_ITRUEDIV, PB_IFLOORDIV, PB_IMOD,
    PB_ILSHIFT, PB_IRSHIFT, PB_IAND, PB_IXOR, PB_IOR, PB_IPOW,
    PB_NEG, PB_POS, PB_ABS, PB_INVERT, PB_AS_INT, PB_AS_FLOAT, PB_AS_INDEX,
    PB_LT, PB_LE, PB_EQ, PB_NE, PB_GT, PB_GE,
    PB_GETITEM, PB_SETITEM, PB_DELITEM, PB_CONTAINS,
    PB_LEN, PB_TRUTH, PB_HASH, PB_REPR, PB_TEXT, PB_ITER, PB_TYPE, PB_DIR,
    PB_OPERATIONS
};

enum { PB_METHOD = 0 };             /* as the length of PB_VALUE: a host function and its self */
enum { PB_HOST_PLAIN = -1, PB_HOST_FUNCTION = -2, PB_HOST_MEMORY = -3 };     /* kinds of pb_host_new */
/* The numbers of classes (pybridge/_kinds.py) that the core itself knows. */
enum { PB_LIST_ITERATOR = 1 /* pb_fetch can read ahead from it */ };

/* In a PB_OBJECT or PB_HEAVY word, above the number of the class: somebody else has the object
 * too, perhaps the host, by a proxy. */
enum { PB_SHARED_SHIFT = 32 };

/* Set in the word of a PB_HEAVY array that is part of another one, whose address is this word
 * of its object. */
enum { PB_PART_SHIFT = 31, PB_PART_BASE = 6 };

/* A chunk of handles is this many words; pybridge/_release.py owns the memory. */
#define PB_CHUNK 8

typedef struct pb_frame {
    int64_t *cells;         /* where arguments and results are: `base` or a larger block */
    int64_t *base;          /* never moves while the frame lives */
    char *text;             /* text and bytes going to the host */
    int64_t capacity;       /* of `cells`, in cells */
    int64_t text_capacity;
    int64_t text_used;
    int64_t index;          /* of a callback's frame; -1 for the host's own */
    int64_t given;          /* cells that may hold handles which the host has not yet taken */
    /* Host containers of this crossing (linked.c).  Afterwards: those that the guest keeps,
     * and in `numbers` which they were; there the host writes the numbers they get. */
    intptr_t *links;        /* owned */
    int64_t *numbers;
    int64_t links_used, links_capacity, links_serial;
} pb_frame;

/* Words that both sides read without a call. */
typedef struct pb_shared {
    int64_t state;          /* 0 not started, 1 running, 2 closed */
    int64_t heavy_bytes;    /* of objects handed out since the host last set this to 0 */
    int64_t dropped;        /* host objects that the guest let go, to be collected */
    int64_t entered;        /* attaches, by any thread */
    int64_t crossings;      /* of these, the ones that took the guest GIL */
    int64_t callbacks;
    int64_t released;       /* handles released */
    int64_t leases_revoked;
    int64_t host_stack;     /* bytes of stack that the host allows itself; 0: not counted */
    int64_t twin;           /* a guest string that the host has too, and keeps alive; 0: none */
    int64_t attached;       /* threads between pb_attached_begin and pb_attached_end */
} pb_shared;

/* Py_buffer: the same in every guest. */
typedef struct pb_buffer {
    char *buf;
    void *obj;
    int64_t len, itemsize;      /* in bytes */
    int readonly, ndim;
    char *format;               /* NULL: "B" */
    int64_t *shape, *strides;   /* ndim of each; strides in bytes, may be negative */
    int64_t *suboffsets;        /* NULL, or the memory is reached through pointers */
    void *internal;
} pb_buffer;

/* Host memory for the guest: exporter.c. */
typedef struct pb_export {
    char *address;              /* of the first element */
    int64_t bytes, itemsize, ndim, readonly;
    char *format;               /* PEP 3118 */
    int64_t *shape, *strides;   /* ndim of each; strides in bytes, may be negative */
    void *block;                /* NULL, or what the host may free meanwhile: guard.c */
} pb_export;

typedef struct pb_symbols {
    int enabled, hidden, prebound, patched, selftest;
} pb_symbols;

/* Starting and ending: start.c.  0, or -1 with a sentence in `error`. */
/* -2: nothing was begun, another library may be tried. */
int pb_start(const char *library, const char *program, int isolate,
             int argc, char **argv, char *error, int64_t error_size);
void pb_close(void);
pb_shared *pb_shared_state(void);
void pb_symbols_read(pb_symbols *out);
void pb_fork_before(void);
void pb_fork_after(int child);
void pb_callback_set(void *call);
void pb_lease_set(int enabled);
/* Keep the guest GIL until the other one is called: 0, or the word to answer. */
int64_t pb_attached_begin(void);
void pb_attached_end(void);
/* Let go of the GIL that this thread keeps that way, and keep it no more, until it is told to
 * resume: what to tell, 0 when it keeps nothing.  Never fail. */
int64_t pb_attached_suspend(void);
void pb_attached_resume(int64_t depth);
/* 1: crossings that must not fail now may use the last of this thread's stack; 0: no more.
 * Gives what was set before. */
int pb_stack_reserve(int use);
/* Asked on Ctrl-C in guest code; lets the host look for signals: see signals.c. */
void pb_interrupt_set(intptr_t asks, intptr_t looks);

/* Frames: frame.c. */
int pb_frame_open(pb_frame *f, int64_t index);   /* 0, or -1 without memory */
void pb_frame_close(pb_frame *f);
int pb_frame_reserve(pb_frame *f, int64_t cells, int64_t kept);
void pb_frame_shrink(pb_frame *f);               /* back to the base block */
void pb_frame_ungive(pb_frame *f);               /* drop what the host did not come to read: handle.c */

/* Crossings: each gives the first word of the result, which is also in the cells. */
/* nargs counts positional and keyword arguments; names: 0, or the handle that pb_names
 * gave.  Both share the cells, positional ones first. */
int64_t pb_call(pb_frame *f, intptr_t callable, int64_t nargs, intptr_t names);
int64_t pb_call_method(pb_frame *f, intptr_t self, intptr_t name, int64_t nargs, intptr_t names);
int64_t pb_get_attribute(pb_frame *f, intptr_t self, intptr_t name);
int64_t pb_set_attribute(pb_frame *f, intptr_t self, intptr_t name);
int64_t pb_delete_attribute(pb_frame *f, intptr_t self, intptr_t name);
int64_t pb_operate(pb_frame *f, int64_t operation, intptr_t self);
int64_t pb_operate_reflected(pb_frame *f, int64_t operation, intptr_t self);
int64_t pb_list_get(pb_frame *f, intptr_t self, int64_t index);
int64_t pb_list_set(pb_frame *f, intptr_t self, int64_t index);
int64_t pb_dict_get(pb_frame *f, intptr_t self);
int64_t pb_next(pb_frame *f, intptr_t iterator);
int64_t pb_fetch(pb_frame *f, intptr_t iterator, int64_t seen, int64_t most);
int64_t pb_intern(pb_frame *f, const char *text, int64_t length);
int64_t pb_text_new(pb_frame *f, const char *text, int64_t length);     /* PB_OBJECT, a str */
int64_t pb_names(pb_frame *f, int64_t count);
int64_t pb_import(pb_frame *f);
int64_t pb_kind_set(pb_frame *f, intptr_t type, int64_t word, intptr_t reducer);
/* numpy.float64, whose objects the host makes again when it needs them (0: none): one that nobody
 * else has crosses as PB_VALUE, a double. */
void pb_late_float_set(intptr_t type);
int64_t pb_late_float_make(pb_frame *f, intptr_t type, double value);
int64_t pb_context(pb_frame *f, intptr_t context, int enter);
int64_t pb_kind_get(intptr_t type);
void pb_kind_forget(int64_t number);
int64_t pb_value_of(pb_frame *f, intptr_t handle);
int64_t pb_error_plain(intptr_t exception);     /* raised.c */
int64_t pb_code_numberer(pb_frame *f);
int64_t pb_host_new(pb_frame *f, int64_t number, int64_t kind, int64_t reuse);
int64_t pb_export_set(pb_frame *f, intptr_t object, const pb_export *what);
int64_t pb_host_class_set(pb_frame *f, int64_t number, intptr_t box, int watchable);
int64_t pb_host_class_get(pb_frame *f, int64_t number);
void pb_host_meta_set(intptr_t box);

/* Linked containers: linked.c. */
int64_t pb_linked_start(pb_frame *f, intptr_t module);
int64_t pb_linked_settle(pb_frame *f, pb_frame *settled);
int64_t pb_linked_ref(pb_frame *f);
int64_t pb_linked_number(pb_frame *f, intptr_t object, int64_t number);
int64_t pb_host_live(pb_frame *f, int64_t number);

int64_t pb_buffer_get(pb_frame *f, intptr_t object);
int64_t pb_capsule_get(pb_frame *f, intptr_t capsule, const char *name);
int64_t pb_tensor_get(pb_frame *f, intptr_t capsule);
int64_t pb_arrow_read(pb_frame *f, intptr_t capsule, int next);
int64_t pb_lender(pb_frame *f, int which);

/* Native calls: native.c.  A loop is numpy's for one combination of types. */
#define PB_LOOP_ARGUMENTS 8
typedef void (*pb_loop_function)(char **, const intptr_t *, const intptr_t *, void *);
typedef struct pb_loop {
    pb_loop_function function;
    void *data;
    int nin;                /* one result more */
    char types[PB_LOOP_ARGUMENTS + 1];      /* numpy's type numbers */
} pb_loop;
/* Complex numbers by value: as C's own in every calling convention here. */
typedef struct pb_complex64 { float real, imag; } pb_complex64;
typedef struct pb_complex128 { double real, imag; } pb_complex128;
/* The C library's: what numpy's scalars use.  PyPy's own differs in the last bit. */
double pb_pow(double x, double y);
float pb_pow32(float x, float y);
/* 0, or -1: it is not the object that the numbers describe. */
int pb_loop_find(intptr_t ufunc, int nin, int nout, int ntypes, const char *types, int index, pb_loop *out);
/* The loop of a C function double(double) of scipy.special, one of those that _native.py names. */
void pb_loop_of_function(intptr_t function, pb_loop *out);
/* A NaN for which pb_loop_due is not 0: call the ufunc itself. */
int pb_loop_due(double x);
double pb_loop_d1(const pb_loop *l, double a);
double pb_loop_d2(const pb_loop *l, double a, double b);
double pb_loop_d3(const pb_loop *l, double a, double b, double c);
double pb_loop_d4(const pb_loop *l, double a, double b, double c, double d);
/* Arguments and result in cells; PB_STOP: call the ufunc itself. */
int64_t pb_loop_run(const pb_loop *l, pb_frame *f);
int64_t pb_capsule_read(pb_frame *f, intptr_t capsule);
int64_t pb_native_enter(pb_frame *f);
int64_t pb_native_leave(pb_frame *f);

/* Host functions as C functions: lowlevel.c.  The address of entry i of a kind (ORDER ENTRIES), of
 * which there are PB_LOW_POOL. */
#define PB_LOW_POOL 4
intptr_t pb_low_entry(int kind, int64_t i);
#define PB_LOW_NAN 0x7ff8706200000001   /* bits of the NaN that says: it failed */
typedef struct pb_low_call {
    int64_t outside[3];     /* pb_outside */
    int held;
} pb_low_call;
/* For a C function that the host makes by itself: 0, or -1: give 0 without running. */
int pb_low_enter(pb_low_call *call);
void pb_low_leave(pb_low_call *call);
void pb_low_fail(intptr_t exception);   /* steals it */

/* A host function's values at many points: points.c. */
typedef struct pb_points {
    const double *x;
    double *y;
    int64_t first, count;       /* the points from x[first] on; the host counts on */
    int64_t more;               /* further arguments, in the frame's cells */
    pb_frame *frame;
} pb_points;
/* scipy's integrators of host functions: quadpack.c. */
typedef struct pb_quadpack {
    int64_t use;                /* 1; 0: host functions are called as any other */
    int64_t integrals;          /* since the start: how many, */
    int64_t points, asked;      /* of how many points the host was asked, and how often */
    int64_t surprises;          /* other points than foreseen */
} pb_quadpack;
pb_quadpack *pb_quadpack_state(void);
/* Put functions of ours into the list `box`, each in the place of scipy's: PB_NONE. */
int64_t pb_quadpack_wrap(pb_frame *f, intptr_t box);

/* Releasing: handle.c.  Runs guest destructors, so never under a host lock; raises
 * nothing.  0, or -1 when the thread could not attach: nothing was released. */
int pb_release_chunks(int64_t *chunks, int64_t count);  /* addresses of PB_CHUNK words each */
int pb_release_handle(int64_t handle);
int pb_release_second(int64_t handle);
int64_t pb_dropped_take(int64_t *numbers, int64_t most);
int pb_kept_look(int64_t *numbers, int64_t n);
int pb_kept_drop(int64_t number, int ended);
int64_t pb_callback_frames_park(int64_t *indices, int64_t most);
void pb_callback_frames_unpark(void);

/* cdef end */

#ifndef PB_CFFI
/* callbacks begin */
int pb_host_call(pb_frame *f, int64_t number, int64_t nargs, int64_t nkeywords);
double pb_host_d0(double x, int64_t number);
double pb_host_d1(double x, int64_t number);
double pb_host_d2(double x, int64_t number);
double pb_host_d3(double x, int64_t number);
double pb_host_n0(int n, double *x, int64_t number);
double pb_host_n1(int n, double *x, int64_t number);
int pb_host_f0(double *in, intptr_t n, double *out, int64_t number);
int pb_host_f1(double *in, intptr_t n, double *out, int64_t number);
/* ORDER HOT: hot.h, pybridge/_callback.py */
int pb_hot_d0(double x, int64_t number, intptr_t frame);
int pb_hot_d1(double x, int64_t number, intptr_t frame);
int pb_hot_d2(double x, int64_t number, intptr_t frame);
int pb_hot_d3(double x, int64_t number, intptr_t frame);
int pb_hot_dd0(double x, double y, int64_t number, intptr_t frame);
int pb_hot_dd1(double x, double y, int64_t number, intptr_t frame);
int pb_hot_dd2(double x, double y, int64_t number, intptr_t frame);
int pb_hot_dd3(double x, double y, int64_t number, intptr_t frame);
int pb_hot_i0(int64_t x, int64_t number, intptr_t frame);
int pb_hot_i1(int64_t x, int64_t number, intptr_t frame);
int pb_hot_i2(int64_t x, int64_t number, intptr_t frame);
int pb_hot_i3(int64_t x, int64_t number, intptr_t frame);
int pb_hot_ii0(int64_t x, int64_t y, int64_t number, intptr_t frame);
int pb_hot_ii1(int64_t x, int64_t y, int64_t number, intptr_t frame);
int pb_hot_ii2(int64_t x, int64_t y, int64_t number, intptr_t frame);
int pb_hot_ii3(int64_t x, int64_t y, int64_t number, intptr_t frame);
int pb_hot_di0(double x, int64_t y, int64_t number, intptr_t frame);
int pb_hot_di1(double x, int64_t y, int64_t number, intptr_t frame);
int pb_hot_di2(double x, int64_t y, int64_t number, intptr_t frame);
int pb_hot_di3(double x, int64_t y, int64_t number, intptr_t frame);
int pb_hot_ddd0(double x, double y, double z, int64_t number, intptr_t frame);
int pb_hot_ddd1(double x, double y, double z, int64_t number, intptr_t frame);
int pb_hot_ddd2(double x, double y, double z, int64_t number, intptr_t frame);
int pb_hot_ddd3(double x, double y, double z, int64_t number, intptr_t frame);
/* ORDER POINTS: points.c, pybridge/_quadpack.py */
int pb_points_a0(intptr_t points, int64_t number);
int pb_points_a1(intptr_t points, int64_t number);
int pb_points_a2(intptr_t points, int64_t number);
int pb_points_a3(intptr_t points, int64_t number);
int pb_points_b0(intptr_t points, int64_t number);
int pb_points_b1(intptr_t points, int64_t number);
int pb_points_c0(intptr_t points, int64_t number);
int pb_points_c1(intptr_t points, int64_t number);
int pb_points_n0(intptr_t points, int64_t number);
int pb_points_n1(intptr_t points, int64_t number);
/* callbacks end */
#endif

#endif
