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
 * `point` does not ask the host for one value but, where it is known which points come next (rule.c),
 * for all of them.  scipy's code computes only numbers in between, so nobody can tell the
 * difference: the host function is called with the same points in the same order.  That
 * scipy's points are the known ones is tried out at the start, with a function in C, and is
 * compared each time: after one surprise this integrator's values are not asked for ahead any
 * more, but each by itself.
 *
 * An error: scipy leaves an integration in which a Python function raised by a jump.  `point`
 * cannot, so it takes the error away, calls the host no more and gives 0 from then on, which
 * every integrator is content with soon; the error is set when scipy's function is back, and its
 * result dropped.  With more than some fifty intervals, NaN among the values before can make scipy
 * write over the end of an array (1.18: a crash without the bridge as well).  So where more are
 * allowed, which is seldom, scipy is given a Python function, `point_object`, and does its jump.
 *
 * Needs the guest GIL.
 */
#include <math.h>
#include <stddef.h>
#include <stdlib.h>

#include "core.h"

typedef struct integral {
    pb_asked asked;             /* of the probe: function is NULL */
    pb_rule rule;
    int64_t next;               /* of the points: the one that comes */
    double x[PB_RULE_MOST], y[PB_RULE_MOST];
    int failed;
    pb_obj error[3];            /* owned, by then */
} integral;

enum { WITH_ARGUMENTS = 1 /* METH_VARARGS */ };
static int foreseen[PB_RULES];      /* 1: that integrator's points have always been as known */
static pb_quadpack state = {.use = 1};
static const char signature[] = "double (double, void *)";

/* ---- points ---- */

/* Where no host function is, while it is tried out: rough enough to be halved often. */
static double probe(double x)
{
    return x < 0.3 ? 1.0 / (1.0 + x * x) : 2.0 / (1.0 + x * x);
}

static void values_find(integral *i)
{
    pb_points *p = &i->asked.points;
    if (i->asked.function == NULL) {
        for (; p->first < p->count; p->first++)
            i->y[p->first] = probe(i->x[p->first]);
        return;
    }
    state.points += p->count;
    state.asked++;
    if (pb_points_ask(&i->asked) != 0) {
        G.PyErr_Fetch(&i->error[0], &i->error[1], &i->error[2]);
        i->failed = 1;
    }
}

/* These are not the points that were foreseen: foresee none any more. */
static void surprised(integral *i)
{
    foreseen[i->rule.kind] = 0;
    i->rule.kind = PB_RULE_UNKNOWN;
    state.surprises++;
}

/* The values from the point x on. */
static void values_ask(integral *i, double x)
{
    pb_points *p = &i->asked.points;
    p->first = i->next = p->count = 0;
    if (i->rule.kind != PB_RULE_UNKNOWN)
        p->count = pb_rule_next(&i->rule, x, i->x);
    if (p->count == 0) {
        i->rule.kind = PB_RULE_UNKNOWN;
        i->x[0] = x;
        p->count = 1;
    }
    values_find(i);
}

/* scipy's function for a point: its own from here on. */
static double point(double x, void *data)
{
    integral *i = data;
    if (PB_UNLIKELY(i == NULL || i->failed))
        return 0.0;
    if (i->next == i->asked.points.count) {
        values_ask(i, x);
    } else if (PB_UNLIKELY(pb_bits_of(x) != pb_bits_of(i->x[i->next]))) {
        surprised(i);
        values_ask(i, x);
    }
    return i->failed ? 0.0 : i->y[i->next++];
}

/* ---- scipy's LowLevelCallable ---- */

static pb_type *callable_type;
static pb_obj idle_callable;        /* owned: one that no integral uses, or NULL */

/* The capsule is its first item, and keeps the integral as its context. new, or NULL with an
 * error set */
static pb_obj callable_make(integral *i)
{
    pb_obj made = idle_callable, capsule = NULL, items = NULL, args = NULL;
    idle_callable = NULL;
    if (made == NULL) {
        capsule = G.PyCapsule_New((void *)(uintptr_t)point, signature, NULL);
        items = G.PyTuple_New(3);
        args = G.PyTuple_New(1);
        if (capsule == NULL || items == NULL || args == NULL)
            goto done;
        (void)G.PyTuple_SetItem(items, 0, pb_dup(capsule));         /* steals */
        (void)G.PyTuple_SetItem(items, 1, pb_dup(G._Py_NoneStruct));
        (void)G.PyTuple_SetItem(items, 2, pb_dup(G._Py_NoneStruct));
        (void)G.PyTuple_SetItem(args, 0, pb_dup(items));
        made = ((const pb_type *)(const void *)G.PyTuple_Type)->new(callable_type, args, NULL);
        if (made == NULL)
            goto done;
    }
    if (G.PyCapsule_SetContext(G.PyTuple_GetItem(made, 0), i) != 0) {
        pb_drop(made);
        made = NULL;
    }
done:
    pb_xdrop(capsule);
    pb_xdrop(items);
    pb_xdrop(args);
    return made;
}

/* The same for scipy as a Python function, which has the number as its first argument. new, or NULL with
 * an error set: the host function's */
static pb_obj point_object(pb_obj self, pb_obj args)
{
    integral *i = G.PyCapsule_GetContext(self);
    pb_obj x = G.PyTuple_Size(args) == 0 ? NULL : G.PyTuple_GetItem(args, 0);
    if (i == NULL || x == NULL || &x->type->head != G.PyFloat_Type) {
        G.PyErr_SetString(*G.PyExc_TypeError, "this function is scipy's to call, while it integrates");
        return NULL;
    }
    const double y = point(((const pb_float *)(const void *)x)->value, i);
    if (i->failed) {
        G.PyErr_Restore(i->error[0], i->error[1], i->error[2]);     /* steals */
        memset(i->error, 0, sizeof i->error);
        return NULL;
    }
    return G.PyFloat_FromDouble(y);
}

/* new, or NULL with an error set */
static pb_obj object_make(integral *i)
{
    static pb_method method = {"point", point_object, WITH_ARGUMENTS, NULL};
    pb_obj capsule = G.PyCapsule_New((void *)(uintptr_t)point, signature, NULL), out = NULL;
    if (capsule != NULL && G.PyCapsule_SetContext(capsule, i) == 0)
        out = G.PyCFunction_NewEx(&method, capsule, NULL);
    pb_xdrop(capsule);
    return out;
}

static void object_end(pb_obj object /*steals*/)
{
    (void)G.PyCapsule_SetContext(((const pb_cfunction *)(const void *)object)->self, NULL);
    pb_drop(object);
}

/* Whoever keeps it calls `point` without an integral. */
static void callable_end(pb_obj callable /*steals*/)
{
    (void)G.PyCapsule_SetContext(G.PyTuple_GetItem(callable, 0), NULL);
    if (idle_callable == NULL && (int32_t)callable->refcount == 1)
        idle_callable = callable;
    else
        pb_drop(callable);
}

/* ---- integrals ---- */

/* Call scipy's with `function` as its first argument. new, or NULL with an error set */
static pb_obj call_with(const pb_cfunction *scipys, pb_obj function /*borrowed*/, pb_obj args /*borrowed*/)
{
    ssize_t n = G.PyTuple_Size(args);
    pb_obj changed = G.PyTuple_New(n);
    if (changed == NULL)
        return NULL;
    (void)G.PyTuple_SetItem(changed, 0, pb_dup(function));          /* steals */
    for (ssize_t k = 1; k < n; k++)
        (void)G.PyTuple_SetItem(changed, k, pb_dup(G.PyTuple_GetItem(args, k)));
    pb_obj out = scipys->method->function(scipys->self, changed);
    pb_drop(changed);
    return out;
}

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

/* scipy's with an integral whose function is found. new, or NULL with an error set */
static pb_obj integrate(const pb_cfunction *scipys, integral *i, pb_obj args /*borrowed*/, int small)
{
    pb_obj callable = small ? callable_make(i) : object_make(i), out = NULL;
    if (callable != NULL) {
        out = call_with(scipys, callable, args);
        (small ? callable_end : object_end)(callable);
    }
    if (out != NULL && !i->failed && i->next != i->asked.points.count)
        surprised(i);                           /* it did not want them all */
    pb_rule_end(&i->rule);
    if (i->failed && small) {
        pb_xdrop(out);
        G.PyErr_Restore(i->error[0], i->error[1], i->error[2]);     /* steals; in place of any other */
        return NULL;
    }
    return out;
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
        r->bound = a;
        r->infinite = (int)b;
        r->few[0] = 0.0;
        r->few[1] = 1.0;
        return b == 1.0 || b == -1.0 || b == 2.0;
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
    if (foreseen[kind] && rule_read(r, kind, args))
        r->kind = kind;
}

/* The host function behind a LowLevelCallable of `pybridge.lowlevel`. new, or NULL */
static pb_obj lowlevel_behind(pb_obj callable /*borrowed*/)
{
    pb_obj capsule = G.PyTuple_GetItem(callable, 0), found = NULL;
    if (G.PyCapsule_IsValid(capsule, signature) && pb_low_is_of_quad(G.PyCapsule_GetPointer(capsule, signature)))
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
    integral i;
    memset(&i, 0, offsetof(integral, x));
    i.failed = 0;
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
    state.integrals++;
    pb_obj out = integrate(scipys, &i, args, small);
    pb_callback_frame_put(p->frame);
    return out;
}

/* In the place of scipy's function, which is `self`; `more`: which argument is the tuple of
 * the function's further ones. */
static pb_obj run(pb_obj self, pb_obj args, ssize_t more, pb_rule_kind kind)
{
    const pb_cfunction *scipys = (const pb_cfunction *)(const void *)self;
    pb_obj function = NULL, further = NULL, low = NULL, out;
    if (state.use && G.PyTuple_Size(args) > more) {
        function = G.PyTuple_GetItem(args, 0);
        further = G.PyTuple_GetItem(args, more);
        if (function->type == callable_type) {          /* it takes no further ones */
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
    integral i;
    memset(&i, 0, offsetof(integral, x));
    i.failed = 0;
    i.asked.points.x = i.x;
    i.asked.points.y = i.y;
    rule_begin(&i.rule, kind, args);
    pb_obj out = integrate((const pb_cfunction *)(const void *)scipys, &i, args, 1);
    if (i.rule.kind == PB_RULE_UNKNOWN)
        foreseen[kind] = 0;
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
    callable_type = (pb_type *)(void *)pb_dup(G.PyList_GetItem(box, CALLABLE));     /* stays for ever */
    for (int k = 0; k < FUNCTIONS; k++) {
        pb_obj scipys = G.PyList_GetItem(box, FIRST + k), trials = G.PyList_GetItem(box, TRIALS + k);
        const pb_rule_kind kind = (pb_rule_kind)(PB_RULE_FINITE + k);
        if (!is_known(scipys, &methods[k])) {
            G.PyErr_SetString(*G.PyExc_TypeError, "another kind of function than expected");
            return -1;
        }
        foreseen[kind] = 1;
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
    return &state;
}
