/* SPDX-License-Identifier: MIT
 *
 * scipy.integrate.quad of a host function.
 *
 * scipy's integrators in C (`_quadpack`) call a Python function through CPython, or, when they
 * are given a scipy.LowLevelCallable, a C function with a plain number.  Functions of ours take the
 * place of scipy's (pybridge/_quadpack.py): if they are called with a host function, or one that
 * `pybridge.lowlevel` made a C function, they give scipy's a C function, `point`, in its place;
 * with anything else scipy's are called as ever.
 *
 * What becomes of a host function is told in integral.c.
 *
 * Needs the guest GIL.
 */
#include <math.h>
#include <stdlib.h>

#include "callback.h"
#include "integral.h"

enum { WITH_ARGUMENTS = 1 /* METH_VARARGS */ };

/* ---- what scipy's functions are called with ---- */

/* Are few intervals allowed, so that zeros are safe after an error?  `more`: as in `run`. */
static int is_small(pb_obj args /*borrowed*/, ssize_t more, pb_rule_kind kind)
{
    enum { SAFE = 50 /* also scipy's own choice */ };
    for (ssize_t k = more + (kind == PB_RULE_CYCLES ? 3 : 4); k <= more + 4 && k < G.PyTuple_Size(args); k++) {
        pb_obj limit = G.PyTuple_GetItem(args, k);
        int64_t value;
        if (&limit->type->head != G.PyLong_Type || !pb_int_small(limit, &value) || value > SAFE)
            return 0;
    }
    return 1;
}

/* A limit of the range: 1 if it is a number of which reading it is nobody's affair. */
static int limit_read(pb_obj o /*borrowed*/, double *x)
{
    int64_t whole;
    if (&o->type->head == G.PyFloat_Type || o->type == pb_late_float)
        *x = ((const pb_float *)o)->value;
    else if (&o->type->head == G.PyLong_Type && pb_int_small(o, &whole))
        *x = (double)whole;
    else
        return 0;
    return 1;
}

/* Break points, an array of doubles with room for two more: 1, or 0. */
static int breaks_read(pb_rule *r, pb_obj o /*borrowed*/)
{
    enum { FORMAT = 4, SHAPE = 8 };
    pb_buffer b;
    if (G.PyObject_GetBuffer(o, &b, FORMAT | SHAPE) != 0) {
        G.PyErr_Clear();
        return 0;
    }
    const int64_t n = b.len / (int64_t)sizeof(double);
    int right = b.ndim == 1 && b.format != NULL && strcmp(b.format, "d") == 0 && n >= 2;
    if (right && (r->edges = malloc((size_t)n * sizeof *r->edges)) != NULL) {
        r->edges[0] = r->few[0];
        memcpy(r->edges + 1, b.buf, (size_t)(n - 2) * sizeof *r->edges);
        r->edges[n - 1] = r->few[1];
        for (int64_t k = 1; k < n; k++)
            right &= r->edges[k - 1] < r->edges[k];
        r->whole = n - 1;
    }
    G.PyBuffer_Release(&b);
    return right && r->edges != NULL;
}

/* What scipy's function is asked to integrate over: 1, or 0 when that is not usual. */
static int rule_read(pb_rule *r, pb_rule_kind kind, pb_obj args /*borrowed*/)
{
    static const double far = 1e150;        /* no overflow, so no NaN, between here and its opposite */
    double a, b;
    if (!limit_read(G.PyTuple_GetItem(args, 1), &a) || !limit_read(G.PyTuple_GetItem(args, 2), &b)
        || !(fabs(a) < far) || !(fabs(b) < far))
        return 0;
    r->whole = 1;
    r->few[0] = a;
    r->few[1] = b;
    switch (kind) {
    case PB_RULE_INFINITE:
        if (b != 1.0 && b != -1.0 && b != 2.0)
            return 0;
        r->bound = a;
        r->infinite = (int)b;
        r->few[0] = 0.0;
        r->few[1] = 1.0;
        return 1;
    case PB_RULE_CYCLES:
        if (b == 0.0 || fabs(b) > 1e9)
            return 0;
        r->cycle = (2.0 * floor(fabs(b)) + 1.0) * M_PI / fabs(b);
        r->few[1] = r->cycle + a;
        return 1;
    case PB_RULE_POWERS:
        r->few[1] = 0.5 * (b + a);
        r->few[2] = b;
        r->whole = 2;
        return a < b;
    case PB_RULE_POLE:
        return a < b && limit_read(G.PyTuple_GetItem(args, 3), &r->pole) && fabs(r->pole) < far;
    case PB_RULE_BREAKS:
        return breaks_read(r, G.PyTuple_GetItem(args, 3));
    default:
        return a < b;
    }
}

static void rule_begin(pb_rule *r, pb_rule_kind kind, pb_obj args /*borrowed*/)
{
    r->edges = r->few;
    if (pb_integral_foreseen[kind] && rule_read(r, kind, args))
        r->kind = kind;
}

/* The host function behind a LowLevelCallable of `pybridge.lowlevel`. new, or NULL */
static pb_obj lowlevel_behind(pb_obj callable /*borrowed*/)
{
    pb_obj capsule = G.PyTuple_GetItem(callable, 0), found = NULL;
    if (G.PyCapsule_IsValid(capsule, PB_INTEGRAL_POINT) && pb_low_is_of_quad(G.PyCapsule_GetPointer(capsule, PB_INTEGRAL_POINT)))
        found = G.PyObject_GetAttrString(G.PyTuple_GetItem(callable, 1), "host");
    if (found == NULL)
        G.PyErr_Clear();
    return found;
}

static int is_function(pb_obj o /*borrowed*/)
{
    return o != NULL && pb_hostobj_is_function(o);
}

enum { MOST_FURTHER = 16 };

/* scipy's with a host function and its further arguments. new, or NULL with an error set */
static pb_obj run_host(const pb_cfunction *scipys, pb_obj args, pb_obj function, pb_obj further, pb_rule_kind kind,
                       int small)
{
    pb_obj items[MOST_FURTHER];
    pb_integral i;
    pb_integral_begin(&i);
    pb_points *p = &i.asked.points;
    p->more = further == NULL ? 0 : G.PyTuple_Size(further);
    for (ssize_t k = 0; k < p->more; k++)
        items[k] = G.PyTuple_GetItem(further, k);
    p->x = i.x;
    p->y = i.y;
    p->frame = pb_callback_frame_get();
    if (p->frame == NULL)
        return NULL;
    i.asked.function = (pb_host_function *)function;
    i.asked.more = items;
    rule_begin(&i.rule, kind, args);
    pb_quadpack_counts.integrals++;
    pb_obj out = pb_integral_run(scipys, &i, args, small);
    pb_callback_frame_put(p->frame);
    return out;
}

/* In the place of scipy's function, which is `self`; `more`: which argument is the tuple of
 * the function's further ones. */
static pb_obj run(pb_obj self, pb_obj args, ssize_t more, pb_rule_kind kind)
{
    const pb_cfunction *scipys = (const pb_cfunction *)(const void *)self;
    pb_obj function = NULL, further = NULL, low = NULL, out;
    if (pb_quadpack_counts.use && G.PyTuple_Size(args) > more) {
        function = G.PyTuple_GetItem(args, 0);
        further = G.PyTuple_GetItem(args, more);
        if (function->type == pb_integral_callable) {          /* it takes no further ones */
            function = low = lowlevel_behind(function);
            further = NULL;
        } else if (&further->type->head != G.PyTuple_Type || G.PyTuple_Size(further) > MOST_FURTHER) {
            function = NULL;
        }
    }
    out = is_function(function) ? run_host(scipys, args, function, further, kind, is_small(args, more, kind))
                                : scipys->method->function(scipys->self, args);
    pb_xdrop(low);
    return out;
}

#define FUNCTION(name, more, kind)                              \
    static pb_obj name(pb_obj self, pb_obj args)                \
    {                                                           \
        return run(self, args, more, kind);                     \
    }
FUNCTION(qagse, 3, PB_RULE_FINITE)
FUNCTION(qagie, 3, PB_RULE_INFINITE)
FUNCTION(qagpe, 4, PB_RULE_BREAKS)
FUNCTION(qawoe, 5, PB_RULE_WAVE)
FUNCTION(qawfe, 4, PB_RULE_CYCLES)
FUNCTION(qawse, 5, PB_RULE_POWERS)
FUNCTION(qawce, 4, PB_RULE_POLE)

/* ---- at the start ---- */

enum { FUNCTIONS = 7 };
/* ORDER QUADPACK: pybridge/guest/quadpack.py, pb_rule_kind */
static pb_method methods[FUNCTIONS] = {
    {"_qagse", qagse, WITH_ARGUMENTS, NULL}, {"_qagie", qagie, WITH_ARGUMENTS, NULL},
    {"_qagpe", qagpe, WITH_ARGUMENTS, NULL}, {"_qawoe", qawoe, WITH_ARGUMENTS, NULL},
    {"_qawfe", qawfe, WITH_ARGUMENTS, NULL}, {"_qawse", qawse, WITH_ARGUMENTS, NULL},
    {"_qawce", qawce, WITH_ARGUMENTS, NULL}};

/* Like `run`, with the probe. 0, or -1 with an error set */
static int try_out(pb_obj scipys, pb_rule_kind kind, pb_obj args /*borrowed*/)
{
    pb_integral i;
    pb_integral_begin(&i);
    i.asked.points.x = i.x;
    i.asked.points.y = i.y;
    rule_begin(&i.rule, kind, args);
    pb_obj out = pb_integral_run((const pb_cfunction *)(const void *)scipys, &i, args, 1);
    if (i.rule.kind == PB_RULE_UNKNOWN)
        pb_integral_foreseen[kind] = 0;
    pb_xdrop(out);
    return out == NULL ? -1 : 0;
}

static int is_known(pb_obj o /*borrowed*/, const pb_method *ours)
{
    const pb_method *method = ((const pb_cfunction *)(const void *)o)->method;
    return &o->type->head == G.PyCFunction_Type && method->flags == ours->flags
        && strcmp(method->name, ours->name) == 0;
}

/* `box`: scipy's LowLevelCallable, and for each function a tuple of arguments with which it is tried
 * out, then the function, in whose place ours is put. 0, or -1 with an error set */
static int wrap_all(pb_obj box /*borrowed*/)
{
    enum { CALLABLE, TRIALS, FIRST = TRIALS + FUNCTIONS };
    pb_integral_callable = (pb_type *)(void *)pb_dup(G.PyList_GetItem(box, CALLABLE));     /* stays for ever */
    for (int k = 0; k < FUNCTIONS; k++) {
        pb_obj scipys = G.PyList_GetItem(box, FIRST + k), trials = G.PyList_GetItem(box, TRIALS + k);
        const pb_rule_kind kind = (pb_rule_kind)(PB_RULE_FINITE + k);
        if (!is_known(scipys, &methods[k])) {
            G.PyErr_SetString(*G.PyExc_TypeError, "another kind of function than expected");
            return -1;
        }
        pb_integral_foreseen[kind] = 1;
        for (ssize_t at = 0; at < G.PyTuple_Size(trials); at++)
            if (try_out(scipys, kind, G.PyTuple_GetItem(trials, at)) != 0)
                return -1;
    }
    for (int k = 0; k < FUNCTIONS; k++) {
        pb_obj scipys = G.PyList_GetItem(box, FIRST + k);
        methods[k].doc = ((const pb_cfunction *)(const void *)scipys)->method->doc;
        pb_obj module = G.PyObject_GetAttrString(scipys, "__module__");
        pb_obj ours = module == NULL ? NULL : G.PyCFunction_NewEx(&methods[k], scipys, module);
        pb_xdrop(module);
        if (ours == NULL)
            return -1;
        (void)G.PyList_SetItem(box, FIRST + k, ours);       /* steals */
    }
    return 0;
}

int64_t pb_quadpack_wrap(pb_frame *f, intptr_t box)
{
    int64_t refused = 0, answer;
    pb_thread *t = pb_attach(&refused);
    if (t == NULL)
        return pb_answer(f, refused, 0);
    answer = wrap_all((pb_obj)box) == 0 ? pb_answer(f, PB_NONE, 0) : pb_raised(f);
    pb_detach(t);
    return answer;
}

pb_quadpack *pb_quadpack_state(void)
{
    return &pb_quadpack_counts;
}
