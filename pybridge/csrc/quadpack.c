/* SPDX-License-Identifier: MIT
 *
 * scipy.integrate.quad of a host function.
 *
 * scipy's integrators in C (`_quadpack`) call a Python function through CPython, or, when they
 * are given a scipy.LowLevelCallable, a C function with a plain number.  Functions of ours take the
 * place of scipy's (pybridge/_quadpack.py): if they are called with a host function, they give
 * scipy's a C function, `point`, in its place; with anything else scipy's are called as ever.
 *
 * `point` does not ask the host for one value but, where it is known which points come next (rule.c),
 * for all of them.  scipy's code computes only numbers in between, so nobody can tell the
 * difference: the host function is called with the same points in the same order.  That
 * scipy's points are the known ones is tried out at the start, with a function in C, and is
 * compared each time: after one surprise no values are asked for ahead any more.  Integrators
 * with weights or break points ask for each value by itself.
 *
 * An error: scipy leaves an integration in which a Python function raised by a jump.  `point`
 * cannot, so it takes the error away, calls the host no more and gives 0 from then on, which
 * every integrator is content with soon; the error is set when scipy's function is back, and its
 * result dropped.
 *
 * Needs the guest GIL.
 */
#include <math.h>
#include <stddef.h>

#include "core.h"

typedef struct integral {
    pb_asked asked;             /* of the probe: function is NULL */
    pb_rule rule;
    int64_t next;               /* of the points: the one that comes */
    double x[PB_RULE_MOST], y[PB_RULE_MOST];
    int failed;
    pb_obj error[3];            /* owned, by then */
} integral;

static int foreseen[] = {[PB_RULE_FINITE] = 1, [PB_RULE_INFINITE] = 1};
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

/* scipy's with an integral whose function is found. new, or NULL with an error set */
static pb_obj integrate(const pb_cfunction *scipys, integral *i, pb_obj args /*borrowed*/)
{
    pb_obj callable = callable_make(i), out;
    if (callable == NULL)
        return NULL;
    out = call_with(scipys, callable, args);
    callable_end(callable);
    if (out != NULL && !i->failed && i->next != i->asked.points.count)
        surprised(i);                           /* it did not want them all */
    pb_rule_end(&i->rule);
    if (i->failed) {
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

static void rule_begin(pb_rule *r, pb_rule_kind kind, pb_obj args /*borrowed*/)
{
    r->kind = PB_RULE_UNKNOWN;
    if (kind == PB_RULE_UNKNOWN || !foreseen[kind] || !limit_read(G.PyTuple_GetItem(args, 1), &r->low)
        || !limit_read(G.PyTuple_GetItem(args, 2), &r->high))
        return;
    if (kind == PB_RULE_INFINITE) {
        if (r->high != 1.0 && r->high != -1.0 && r->high != 2.0)
            return;
        r->infinite = (int)r->high;
    }
    if (isfinite(r->low) && isfinite(r->high))
        r->kind = kind;
}

/* In the place of scipy's function, which is `self`; `more`: which argument is the tuple of
 * the function's further ones. */
static pb_obj run(pb_obj self, pb_obj args, ssize_t more, pb_rule_kind kind)
{
    enum { MOST = 16 };
    const pb_cfunction *scipys = (const pb_cfunction *)(const void *)self;
    const ssize_t n = G.PyTuple_Size(args);
    pb_obj function = n > more ? G.PyTuple_GetItem(args, 0) : NULL, further, items[MOST];
    if (!state.use || function == NULL || !pb_hostobj_is_function(function)
        || &(further = G.PyTuple_GetItem(args, more))->type->head != G.PyTuple_Type
        || G.PyTuple_Size(further) > MOST)
        return scipys->method->function(scipys->self, args);

    integral i;
    memset(&i, 0, offsetof(integral, x));
    i.failed = 0;
    pb_points *p = &i.asked.points;
    p->more = G.PyTuple_Size(further);
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
    pb_obj out = integrate(scipys, &i, args);
    pb_callback_frame_put(p->frame);
    return out;
}

#define FUNCTION(name, more, kind)                              \
    static pb_obj name(pb_obj self, pb_obj args)                \
    {                                                           \
        return run(self, args, more, kind);                     \
    }
FUNCTION(qagse, 3, PB_RULE_FINITE)
FUNCTION(qagie, 3, PB_RULE_INFINITE)
FUNCTION(qagpe, 4, PB_RULE_UNKNOWN)
FUNCTION(qawoe, 5, PB_RULE_UNKNOWN)
FUNCTION(qawfe, 4, PB_RULE_UNKNOWN)
FUNCTION(qawse, 5, PB_RULE_UNKNOWN)
FUNCTION(qawce, 4, PB_RULE_UNKNOWN)

/* ---- at the start ---- */

enum { WITH_ARGUMENTS = 1 /* METH_VARARGS */, FUNCTIONS = 7 };
/* ORDER QUADPACK: pybridge/guest/quadpack.py */
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
    pb_obj out = integrate((const pb_cfunction *)(const void *)scipys, &i, args);
    pb_xdrop(out);
    return out == NULL ? -1 : 0;
}

static int is_known(pb_obj o /*borrowed*/, const pb_method *ours)
{
    const pb_method *method = ((const pb_cfunction *)(const void *)o)->method;
    return &o->type->head == G.PyCFunction_Type && method->flags == ours->flags
        && strcmp(method->name, ours->name) == 0;
}

/* `box`: scipy's LowLevelCallable, what is tried out with the first two functions (tuples of
 * tuples of arguments), and the seven functions; ours take their places. 0, or -1 with an error set */
static int wrap_all(pb_obj box /*borrowed*/)
{
    enum { CALLABLE, TRIALS, FIRST = TRIALS + 2 };
    callable_type = (pb_type *)(void *)pb_dup(G.PyList_GetItem(box, CALLABLE));     /* stays for ever */
    for (int k = 0; k < FUNCTIONS; k++)
        if (!is_known(G.PyList_GetItem(box, FIRST + k), &methods[k])) {
            G.PyErr_SetString(*G.PyExc_TypeError, "another kind of function than expected");
            return -1;
        }
    for (int k = 0; k < 2; k++) {
        pb_obj trials = G.PyList_GetItem(box, TRIALS + k);
        for (ssize_t at = 0; at < G.PyTuple_Size(trials); at++)
            if (try_out(G.PyList_GetItem(box, FIRST + k), k == 0 ? PB_RULE_FINITE : PB_RULE_INFINITE,
                        G.PyTuple_GetItem(trials, at)) != 0)
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
