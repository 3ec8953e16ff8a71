/* SPDX-License-Identifier: MIT
 *
 * scipy.integrate.quad of a host function: one integration.
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
 * result dropped.
 *
 * With more than some fifty intervals, NaN among the values before can make scipy write over the end of
 * an array (1.18: a crash without the bridge as well).  So where more are allowed, values are kept,
 * and as soon as one is not an everyday number, this integration is ended by zeros, and begun anew with
 * a Python function, `point_object`, with which scipy does its jump.  It is given the values that
 * are kept first, so the host function notices nothing.  With weights it is so from the beginning: some
 * versions read memory that nobody has set, and may ask for other points the second time.
 *
 * Needs the guest GIL.
 */
#include <math.h>
#include <stddef.h>
#include <stdlib.h>

#include "integral.h"

enum { WITH_ARGUMENTS = 1 /* METH_VARARGS */ };
int pb_integral_foreseen[PB_RULES];
pb_quadpack pb_quadpack_counts = {.use = 1};

/* ---- points ---- */

/* Where no host function is, while it is tried out: rough enough to be halved often. */
static double probe(double x)
{
    return x < 0.3 ? 1.0 / (1.0 + x * x) : 2.0 / (1.0 + x * x);
}

static void values_find(pb_integral *i)
{
    pb_points *p = &i->asked.points;
    if (i->asked.function == NULL) {
        for (; p->first < p->count; p->first++)
            i->y[p->first] = probe(i->x[p->first]);
        return;
    }
    pb_quadpack_counts.points += p->count;
    pb_quadpack_counts.asked++;
    if (pb_points_ask(&i->asked) != 0) {
        G.PyErr_Fetch(&i->error[0], &i->error[1], &i->error[2]);
        i->failed = 1;
    }
}

/* These are not the points that were foreseen: foresee none any more. */
static void surprised(pb_integral *i)
{
    pb_integral_foreseen[i->rule.kind] = 0;
    i->rule.kind = PB_RULE_UNKNOWN;
    pb_quadpack_counts.surprises++;
}

/* The values from the point x on. */
static void values_ask(pb_integral *i, double x)
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

void pb_integral_begin(pb_integral *i)
{
    memset(i, 0, offsetof(pb_integral, x));
    memset(&i->failed, 0, sizeof *i - offsetof(pb_integral, failed));
}

/* Keep a value that scipy is given: 0, or -1 when it is better not given. */
static int value_keep(pb_integral *i, double x, double y)
{
    static const double everyday = 1e100;
    if (i->used == i->capacity) {
        int64_t capacity = i->capacity == 0 ? 512 : 2 * i->capacity;
        struct kept *kept = realloc(i->kept, (size_t)capacity * sizeof *kept);
        if (kept == NULL) {
            (void)G.PyErr_NoMemory();
            G.PyErr_Fetch(&i->error[0], &i->error[1], &i->error[2]);
            i->failed = 1;
            return -1;
        }
        i->kept = kept;
        i->capacity = capacity;
    }
    i->kept[i->used++] = (struct kept){x, y};
    i->repeated = i->used;
    i->given_up = !(fabs(x) < everyday) || !(fabs(y) < everyday);
    return i->given_up ? -1 : 0;
}

/* scipy's function for a point: its own from here on. */
static double point(double x, void *data)
{
    pb_integral *i = data;
    if (PB_UNLIKELY(i == NULL || i->failed || i->given_up))
        return 0.0;
    if (PB_UNLIKELY(i->repeated < i->used)) {
        if (pb_bits_of(i->kept[i->repeated].x) == pb_bits_of(x))
            return i->kept[i->repeated++].y;
        surprised(i);
        i->repeated = i->used = i->next = i->asked.points.count = 0;
    }
    if (i->next == i->asked.points.count) {
        values_ask(i, x);
    } else if (PB_UNLIKELY(pb_bits_of(x) != pb_bits_of(i->x[i->next]))) {
        surprised(i);
        values_ask(i, x);
    }
    if (i->failed)
        return 0.0;
    const double y = i->y[i->next++];
    return PB_UNLIKELY(i->keeps) && value_keep(i, x, y) != 0 ? 0.0 : y;
}

/* ---- scipy's LowLevelCallable ---- */

pb_type *pb_integral_callable;
static pb_obj idle_callable;        /* owned: one that no integral uses, or NULL */

/* The capsule is its first item, and keeps the integral as its context. new, or NULL with an
 * error set */
static pb_obj callable_make(pb_integral *i)
{
    pb_obj made = idle_callable, capsule = NULL, items = NULL, args = NULL;
    idle_callable = NULL;
    if (made == NULL) {
        capsule = G.PyCapsule_New((void *)(uintptr_t)point, PB_INTEGRAL_POINT, NULL);
        items = G.PyTuple_New(3);
        args = G.PyTuple_New(1);
        if (capsule == NULL || items == NULL || args == NULL)
            goto done;
        (void)G.PyTuple_SetItem(items, 0, pb_dup(capsule));         /* steals */
        (void)G.PyTuple_SetItem(items, 1, pb_dup(G._Py_NoneStruct));
        (void)G.PyTuple_SetItem(items, 2, pb_dup(G._Py_NoneStruct));
        (void)G.PyTuple_SetItem(args, 0, pb_dup(items));
        made = ((const pb_type *)(const void *)G.PyTuple_Type)->new(pb_integral_callable, args, NULL);
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
    pb_integral *i = G.PyCapsule_GetContext(self);
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
static pb_obj object_make(pb_integral *i)
{
    static pb_method method = {"point", point_object, WITH_ARGUMENTS, NULL};
    pb_obj capsule = G.PyCapsule_New((void *)(uintptr_t)point, PB_INTEGRAL_POINT, NULL), out = NULL;
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

/* Call scipy's with a C function, or, `jumps`, with a Python one. new, or NULL with an error set */
static pb_obj integrate_once(const pb_cfunction *scipys, pb_integral *i, pb_obj args /*borrowed*/, int jumps)
{
    pb_obj callable = jumps ? object_make(i) : callable_make(i), out;
    if (callable == NULL)
        return NULL;
    out = call_with(scipys, callable, args);
    if (jumps) {
        object_end(callable);
        return out;
    }
    callable_end(callable);
    if (i->failed) {
        pb_xdrop(out);
        G.PyErr_Restore(i->error[0], i->error[1], i->error[2]);     /* steals; in place of any other */
        return NULL;
    }
    return out;
}

pb_obj pb_integral_run(const pb_cfunction *scipys, pb_integral *i, pb_obj args /*borrowed*/, int small)
{
    const int weighted = i->rule.kind > PB_RULE_BREAKS || i->rule.kind == PB_RULE_UNKNOWN;
    i->keeps = !small && !weighted;
    pb_obj out = integrate_once(scipys, i, args, !small && weighted);
    if (i->given_up) {
        pb_xdrop(out);
        G.PyErr_Clear();
        i->keeps = i->given_up = 0;
        i->repeated = 0;
        out = integrate_once(scipys, i, args, 1);
    }
    if (out != NULL && i->next != i->asked.points.count)
        surprised(i);                           /* it did not want them all */
    pb_rule_end(&i->rule);
    free(i->kept);
    return out;
}
