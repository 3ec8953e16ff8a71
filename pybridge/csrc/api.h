/* SPDX-License-Identifier: MIT
 *
 * The guest as the core sees it: opaque objects, the few layouts that never changed from
 * CPython 3.9 to 3.14 on 64-bit GIL builds, and one struct of function pointers.
 *
 * Layouts were compared with each version's headers: an object starts with its reference
 * count and its type; of a type the offsets used here are the same everywhere.
 *
 * Any function of `G` needs the guest GIL, except Py_InitializeEx, PyGILState_Ensure and
 * _GetThisThreadState, PyThreadState_New, PyInterpreterState_Main.
 */
#ifndef PB_API_H
#define PB_API_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <wchar.h>

typedef struct pb_type pb_type;
typedef struct pb_head {
    int64_t refcount;           /* 3.12+: an immortal object's low 32 bits are negative */
    pb_type *type;
} pb_head;
typedef pb_head *pb_obj;
typedef struct pb_guest_thread *pb_tstate;
/* The caller lets the callee write to args[-1]. */
#define PB_ARGUMENTS_OFFSET ((size_t)1 << 63)
typedef pb_obj (*pb_vectorcall)(pb_obj, const pb_obj *, size_t, pb_obj);

struct pb_type {
    pb_head head;
    ssize_t size;
    const char *name;
    ssize_t basicsize;          /* offset 32 */
    ssize_t itemsize;
    void (*dealloc)(pb_obj);
    ssize_t vectorcall_offset;  /* 56 */
    void *getattr, *setattr, *async;
    pb_obj (*repr)(pb_obj);
    struct { pb_obj (*binary[29])(pb_obj, pb_obj); } *number;    /* 96 */
    void *sequence, *mapping, *hash, *call, *str, *getattro, *setattro;
    struct { int (*get)(pb_obj, void *, int); void *release; } *buffer; /* 160 */
    unsigned long flags;        /* 168 */
    const char *doc;
    void *traverse, *clear, *richcompare;
    ssize_t weaklist_offset;
    void *iter;
    pb_obj (*iternext)(pb_obj); /* 224 */
    void *methods, *members, *getset;
    pb_type *base;              /* 256 */
    pb_obj dict;
    void *descr_get, *descr_set;
    ssize_t dictoffset;
    void *init, *alloc;
    pb_obj (*new)(pb_type *, pb_obj, pb_obj);   /* 312 */
    void (*free)(void *);       /* 320 */
    void *is_gc;
    pb_obj bases, mro, cache, subclasses, weaklist;
    void *del;
    unsigned version_tag;
    void *finalize;             /* 392 */
};
_Static_assert(offsetof(struct pb_type, basicsize) == 32, "layout of a type");
_Static_assert(offsetof(struct pb_type, vectorcall_offset) == 56, "layout of a type");
_Static_assert(offsetof(struct pb_type, number) == 96, "layout of a type");
_Static_assert(offsetof(struct pb_type, buffer) == 160, "layout of a type");
_Static_assert(offsetof(struct pb_type, flags) == 168, "layout of a type");
_Static_assert(offsetof(struct pb_type, iternext) == 224, "layout of a type");
_Static_assert(offsetof(struct pb_type, base) == 256, "layout of a type");
_Static_assert(offsetof(struct pb_type, free) == 320, "layout of a type");
_Static_assert(offsetof(struct pb_type, finalize) == 392, "layout of a type");

enum {
    PB_TYPE_DEFAULT_39 = 1 << 18,   /* Py_TPFLAGS_DEFAULT up to 3.9; 0 later */
    PB_TYPE_HEAP = 1 << 9,
    PB_TYPE_BASE = 1 << 10,         /* may be subclassed */
    PB_TYPE_VECTORCALL = 1 << 11,
    PB_TYPE_GC = 1 << 14,
    PB_TYPE_METHOD = 1 << 17,       /* called with the instance, without being bound first */
    /* subclasses of ... */
    PB_TYPE_INT = 1 << 24,
    PB_TYPE_TUPLE = 1 << 26,
    PB_TYPE_BYTES = 1 << 27,
    PB_TYPE_STR = 1 << 28,
    PB_TYPE_EXCEPTION = 1 << 30
};
static const unsigned long PB_TYPE_TYPE = 1ul << 31;    /* a subclass of type */

typedef struct pb_cfunction { pb_head head; const struct pb_method *method; pb_obj self; } pb_cfunction;
typedef struct pb_method_object { pb_head head; pb_obj function, self; } pb_method_object;
typedef struct pb_float { pb_head head; double value; } pb_float;

#include "host.h"               /* pb_buffer, which is Py_buffer */
_Static_assert(sizeof(pb_buffer) == 80, "layout of Py_buffer");

typedef struct pb_status { int type; const char *function, *message; int exitcode; } pb_status;
typedef struct pb_slot { int slot; const void *function; } pb_slot;
typedef struct pb_spec { const char *name; int basicsize, itemsize; unsigned flags; pb_slot *slots; } pb_spec;
typedef struct pb_method { const char *name; pb_obj (*function)(pb_obj, pb_obj); int flags; const char *doc; } pb_method;
typedef struct pb_member { const char *name; int type; ssize_t offset; int flags; const char *doc; } pb_member;
typedef struct pb_getset { const char *name; const void *get, *set; const char *doc; void *closure; } pb_getset;

/* The struct of pointers, from api.def. */
struct pb_api {
#define API(name, result, arguments, gives, fails) result (*name) arguments;
#define OPTIONAL(name, result, arguments, gives, fails) result (*name) arguments;
#define DATA(name) pb_obj name;
#define POINTER(name) pb_obj *name;
#define FLAG(name) int *name;
#include "api.def"
#undef API
#undef OPTIONAL
#undef DATA
#undef POINTER
#undef FLAG
    int minor;                  /* of the guest's version: 3.minor */
    int refcounts_by_call;      /* a guest whose count is not the plain word above */
};
extern struct pb_api G;

/* 0, or -1 with a sentence that names the missing symbol. */
int pb_api_load(void *library, char *error, size_t size);

static inline pb_obj pb_dup(pb_obj o)           /* new */
{
    if (__builtin_expect(G.refcounts_by_call, 0))
        G.Py_IncRef(o);
    else if ((int32_t)o->refcount >= 0)
        o->refcount++;
    return o;
}

static inline void pb_drop(pb_obj o /*steals*/)
{
    if (__builtin_expect(G.refcounts_by_call, 0))
        G.Py_DecRef(o);
    else if ((int32_t)o->refcount >= 0 && --o->refcount == 0)
        G._Py_Dealloc(o);
}

static inline void pb_xdrop(pb_obj o /*steals, may be NULL*/)
{
    if (o != NULL)
        pb_drop(o);
}

/* An int of a single digit, read where it lies: most ints are.  1, or 0: ask the guest.  Its
 * header word is a signed digit count up to 3.11, then a tag: count << 3 | sign. */
static inline int pb_int_small(pb_obj o /*borrowed, an exact int*/, int64_t *value)
{
    int64_t word = ((const int64_t *)o)[2], digit = ((const uint32_t *)o)[6];
    if (G.refcounts_by_call)
        return 0;
    if (G.minor <= 11) {
        *value = word * digit;
        return word >= -1 && word <= 1;
    }
    *value = (1 - (word & 3)) * digit;
    return word >> 3 <= 1;
}

#endif
