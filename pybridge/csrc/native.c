/* SPDX-License-Identifier: MIT
 *
 * Native calls: the C functions behind guest callables, called without a guest object.
 *
 * A ufunc keeps, for each combination of types, an inner loop over raw memory.  Called with
 * one element it computes what the ufunc would, without the GIL: numpy itself calls loops of
 * numbers without it.  What numpy does around a loop is to look at the floating-point flags,
 * and, when one has risen, to warn or raise as `errstate` says.  Here a risen flag, or a guest
 * exception that the loop left behind, is answered with NaN (pb_loop_d*) or PB_STOP
 * (pb_loop_run): the host then calls the ufunc itself, which does what is due.  A result that
 * is NaN without a flag takes the same way, and comes back as it was.
 *
 * Any thread, without the guest GIL.  The ufunc is kept alive by the host.
 */
#include <fenv.h>
#include <limits.h>
#include <math.h>
#include <string.h>

#include "crossing.h"

enum { FLAGS = FE_DIVBYZERO | FE_OVERFLOW | FE_UNDERFLOW | FE_INVALID };

/* Which of FLAGS are up.  Floats and doubles are computed in SSE registers, so on x86-64 the
 * word of these alone is read: half the cost of fetestexcept. */
static inline int flags_up(void)
{
#ifdef __x86_64__
    return (int)(__builtin_ia32_stmxcsr() & (unsigned)FLAGS);
#else
    return fetestexcept(FLAGS);
#endif
}

/* numpy's PyUFuncObject, up to what is used: the same from numpy 1.7 to 2. */
typedef struct ufunc_object {
    pb_head head;
    int nin, nout, nargs, identity;
    pb_loop_function *functions;
    void *const *data;
    int ntypes, reserved;
    const char *name, *types;   /* ntypes times nargs type numbers */
} ufunc_object;

double pb_pow(double x, double y)
{
    return pow(x, y);
}

float pb_pow32(float x, float y)
{
    return powf(x, y);
}

int pb_loop_find(intptr_t ufunc, int nin, int nout, int ntypes, const char *types, int index, pb_loop *out)
{
    const ufunc_object *u = (const ufunc_object *)ufunc;
    /* What numpy's attributes say must be what stands here, or the layout is another. */
    if (u->nin != nin || u->nout != nout || u->nargs != nin + nout || u->ntypes != ntypes
        || index < 0 || index >= ntypes || nin < 1 || nin > PB_LOOP_ARGUMENTS || nout != 1)
        return -1;
    if (memcmp(u->types, types, (size_t)ntypes * (size_t)u->nargs) != 0)
        return -1;
    out->function = u->functions[index];
    out->data = u->data == NULL ? NULL : u->data[index];
    out->nin = nin;
    memcpy(out->types, u->types + index * u->nargs, (size_t)u->nargs);
    return out->function == NULL ? -1 : 0;
}

/* The NaN that says: call the ufunc itself.  One that a loop computes has other bits. */
static const uint64_t due = 0x7ff8706264756500;

static double due_nan(void)
{
    double x;
    memcpy(&x, &due, sizeof x);
    return x;
}

int pb_loop_due(double x)
{
    return memcmp(&x, &due, sizeof x) == 0;
}

/* A C function of one double as a loop.  Where it may have reported an error through other ways
 * than a flag the ufunc is due: see _native.py, _PLAIN. */
static void function_d1(char **pointers, const intptr_t *n, const intptr_t *strides, void *f)
{
    (void)n, (void)strides;
    double x, r;
    memcpy(&x, pointers[0], sizeof x);
    r = ((double (*)(double))f)(x);
    if (PB_UNLIKELY(r == 0.0 || fabs(r) == 1.0 || r == 2.0 || !isfinite(r)))
        r = due_nan();
    memcpy(pointers[1], &r, sizeof r);
}

void pb_loop_of_function(intptr_t function, pb_loop *out)
{
    memset(out, 0, sizeof *out);
    out->function = function_d1;
    out->data = (void *)function;
    out->nin = 1;
}

/* Has a guest exception been left in this thread's state?  The thread does not hold the GIL,
 * but nobody else sets its exceptions. */
static inline int left_behind(pb_thread *t)
{
    if (PB_LIKELY(!pb_error_pending(t)))
        return 0;
    t->discard = 1;             /* the ufunc itself is going to raise it again */
    return 1;
}

/* 0; 1 when something is due that only the ufunc does.  A flag that is up may be an old one, of
 * the host's own arithmetic.  Before numpy's and scipy's loops, of which some look at the flags
 * themselves, these are cleared; a C function only computes, so that after it one look is
 * enough, and where any is up it is called again. */
static inline int loop_call(const pb_loop *l, char **pointers)
{
    static const intptr_t one = 1, strides[PB_LOOP_ARGUMENTS + 1];
    const int plain = l->function == function_d1;
    if (!plain && PB_UNLIKELY(flags_up()))
        (void)feclearexcept(FLAGS);
    l->function(pointers, &one, strides, l->data);
    if (plain && PB_UNLIKELY(flags_up())) {
        (void)feclearexcept(FLAGS);
        l->function(pointers, &one, strides, l->data);
    }
    const int up = flags_up();
    return left_behind(&pb_me) || up;
}

#define LOOP(n, parameters, pointers)                                               \
    double pb_loop_d##n parameters                                                  \
    {                                                                               \
        double result = 0.0;                                                        \
        char *p[] = pointers;                                                       \
        return PB_UNLIKELY(loop_call(l, p)) ? due_nan() : result;                   \
    }
#define AT(x) (char *)&(x)
#define LIST(...) {__VA_ARGS__, AT(result)}
LOOP(1, (const pb_loop *l, double a), LIST(AT(a)))
LOOP(2, (const pb_loop *l, double a, double b), LIST(AT(a), AT(b)))
LOOP(3, (const pb_loop *l, double a, double b, double c), LIST(AT(a), AT(b), AT(c)))
LOOP(4, (const pb_loop *l, double a, double b, double c, double d), LIST(AT(a), AT(b), AT(c), AT(d)))

/* ---- any types ---- */

typedef union element {
    int8_t b; int16_t h; int32_t i; int64_t q;
    uint8_t B; uint16_t H; uint32_t I; uint64_t Q;
    float f; double d;
    struct { float real, imag; } F;
    struct { double real, imag; } D;
} element;

/* numpy's type numbers. */
enum {
    BOOL, BYTE, UBYTE, SHORT, USHORT, INT, UINT, LONG, ULONG, LONGLONG, ULONGLONG, FLOAT,
    DOUBLE, LONGDOUBLE, CFLOAT, CDOUBLE
};

static int fits(int64_t x, int64_t low, int64_t high)
{
    return x >= low && x <= high;
}

static int whole_store(element *e, int type, int64_t x)
{
    switch (type) {
    case BOOL: e->B = (uint8_t)x; return fits(x, 0, 1);
    case BYTE: e->b = (int8_t)x; return fits(x, INT8_MIN, INT8_MAX);
    case UBYTE: e->B = (uint8_t)x; return fits(x, 0, UINT8_MAX);
    case SHORT: e->h = (int16_t)x; return fits(x, INT16_MIN, INT16_MAX);
    case USHORT: e->H = (uint16_t)x; return fits(x, 0, UINT16_MAX);
    case INT: e->i = (int32_t)x; return fits(x, INT32_MIN, INT32_MAX);
    case UINT: e->I = (uint32_t)x; return fits(x, 0, UINT32_MAX);
    case LONG: case LONGLONG: e->q = x; return 1;
    case ULONG: case ULONGLONG: e->Q = (uint64_t)x; return x >= 0;
    default: return 0;
    }
}

static int float_store(element *e, int type, double x, double imag)
{
    switch (type) {
    case FLOAT: e->f = (float)x; return 1;
    case DOUBLE: e->d = x; return 1;
    case CFLOAT: e->F.real = (float)x; e->F.imag = (float)imag; return 1;
    case CDOUBLE: e->D.real = x; e->D.imag = imag; return 1;
    default: return 0;
    }
}

/* The argument at cell *at as an element of a type.  0: it is of another kind. */
static int element_take(element *e, int type, const pb_frame *f, int64_t *at)
{
    const int64_t *c = f->cells + 2 * *at;
    double real, imag;
    memset(e, 0, sizeof *e);
    ++*at;
    switch (PB_TAG(c[0])) {
    case PB_FALSE: case PB_TRUE:
        return type < FLOAT ? whole_store(e, type, PB_TAG(c[0]) == PB_TRUE)
                            : float_store(e, type, PB_TAG(c[0]) == PB_TRUE, 0);
    case PB_INT:
        return type < FLOAT ? whole_store(e, type, c[1]) : float_store(e, type, (double)c[1], 0);
    case PB_FLOAT:
        memcpy(&real, c + 1, sizeof real);
        return float_store(e, type, real, 0);
    case PB_COMPLEX:
        ++*at;
        memcpy(&real, c + 1, sizeof real);
        memcpy(&imag, c + 3, sizeof imag);
        return type >= CFLOAT && float_store(e, type, real, imag);
    default:
        return 0;
    }
}

static int64_t bits(double x)
{
    int64_t word;
    memcpy(&word, &x, sizeof word);
    return word;
}

static int64_t element_give(const element *e, int type, pb_frame *f)
{
    switch (type) {
    case BOOL: return pb_answer(f, e->B ? PB_TRUE : PB_FALSE, 0);
    case BYTE: return pb_answer(f, PB_INT, e->b);
    case UBYTE: return pb_answer(f, PB_INT, e->B);
    case SHORT: return pb_answer(f, PB_INT, e->h);
    case USHORT: return pb_answer(f, PB_INT, e->H);
    case INT: return pb_answer(f, PB_INT, e->i);
    case UINT: return pb_answer(f, PB_INT, e->I);
    case LONG: case LONGLONG: return pb_answer(f, PB_INT, e->q);
    case ULONG: case ULONGLONG: return e->Q > INT64_MAX ? PB_STOP : pb_answer(f, PB_INT, e->q);
    case FLOAT: return pb_answer(f, PB_FLOAT, bits((double)e->f));
    case DOUBLE: return pb_answer(f, PB_FLOAT, bits(e->d));
    case CFLOAT: case CDOUBLE:
        f->cells[2] = PB_COMPLEX;
        f->cells[3] = bits(type == CFLOAT ? (double)e->F.imag : e->D.imag);
        return pb_answer(f, PB_COMPLEX, bits(type == CFLOAT ? (double)e->F.real : e->D.real));
    default: return PB_STOP;
    }
}

int64_t pb_loop_run(const pb_loop *l, pb_frame *f)
{
    element elements[PB_LOOP_ARGUMENTS + 1];
    char *pointers[PB_LOOP_ARGUMENTS + 1];
    int64_t at = 0;
    for (int i = 0; i <= l->nin; i++) {
        pointers[i] = (char *)&elements[i];
        if (i < l->nin && !element_take(&elements[i], l->types[i], f, &at))
            return PB_STOP;
    }
    memset(&elements[l->nin], 0, sizeof elements[0]);
    if (loop_call(l, pointers))
        return PB_STOP;
    return element_give(&elements[l->nin], l->types[l->nin], f);
}

/* ---- capsules ---- */

/* What a capsule holds, as a tuple: (name or None, address, address of the context). */
int64_t pb_capsule_read(pb_frame *f, intptr_t capsule)
{
    int64_t word = 0;
    pb_thread *t = crossing_begin(f, capsule, &word);
    if (t == NULL)
        return word;
    pb_obj o = (pb_obj)capsule, out = NULL;
    if (&o->type->head != G.PyCapsule_Type) {
        G.PyErr_SetString(*G.PyExc_TypeError, "not a capsule");
        return crossing_end(t, f, NULL);
    }
    const char *name = G.PyCapsule_GetName(o);
    void *pointer = G.PyCapsule_GetPointer(o, name), *context = G.PyCapsule_GetContext(o);
    if (pointer != NULL)
        out = G.PyTuple_New(3);
    if (out != NULL) {
        pb_obj items[3] = {
            name == NULL ? pb_dup(G._Py_NoneStruct)
                         : G.PyUnicode_DecodeUTF8(name, (ssize_t)strlen(name), "surrogateescape"),
            G.PyLong_FromLongLong((long long)(intptr_t)pointer),
            G.PyLong_FromLongLong((long long)(intptr_t)context)};
        int failed = 0;
        for (ssize_t i = 0; i < 3; i++)
            failed |= items[i] == NULL || G.PyTuple_SetItem(out, i, items[i]) != 0;  /* steals */
        if (failed) {
            pb_drop(out);
            out = NULL;
        }
    }
    return crossing_end(t, f, out);
}

/* ---- functions that need the guest GIL ---- */

/* Around the call of a C function that must have the guest GIL: 0, or the word to answer.
 * Between the two the thread counts as inside the guest. */
int64_t pb_native_enter(pb_frame *f)
{
    int64_t refused = 0;
    pb_thread *t = pb_attach(&refused);
    return t == NULL ? pb_answer(f, refused, 0) : 0;
}

/* PB_NONE, or the exception that the function set. */
int64_t pb_native_leave(pb_frame *f)
{
    pb_thread *t = &pb_me;
    return crossing_end_plain(t, f, G.PyErr_Occurred() != NULL, PB_NONE, 0);
}
