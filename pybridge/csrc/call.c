/* SPDX-License-Identifier: MIT
 *
 * Calls and attributes: the crossings that programs make most.
 *
 * The callable and the arguments are owned for the length of the call, and so is the object of
 * every other crossing in which guest code may run: host code that the guest calls back, or
 * another thread, may release the very proxies that the crossing was made with.
 *
 * A float made for an argument that nobody kept (its count is still 1 after the call) is
 * nobody's but ours: the next call of this thread puts its own number into it, instead of
 * freeing it and making another.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crossing.h"
#include "vectorcall.h"

enum { FEW = 12, OWNED_FLOAT = 2 };

typedef struct arguments {
    pb_obj few[FEW + 1], *all;  /* all[0] is free for the callee (PB_ARGUMENTS_OFFSET) */
    unsigned char few_owned[FEW], *owned;
    int64_t n;
} arguments;

/* new, or NULL with an error set */
static pb_obj float_make(pb_thread *t, int64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    if (t->spare_floats == 0)
        return G.PyFloat_FromDouble(value);
    pb_obj o = t->floats[--t->spare_floats];
    ((pb_float *)o)->value = value;
    return o;
}

static void float_drop(pb_thread *t, pb_obj o /*steals*/)
{
    if (o->refcount == 1 && t->spare_floats < PB_SPARE_FLOATS && !G.refcounts_by_call)
        t->floats[t->spare_floats++] = o;
    else
        pb_drop(o);
}

static int arguments_take(arguments *a, pb_thread *t, const pb_frame *f, int64_t n)
{
    int64_t at = 0;
    a->all = a->few;
    a->owned = a->few_owned;
    a->n = 0;
    if (PB_UNLIKELY(n > FEW)) {
        a->all = malloc(((size_t)n + 1) * sizeof *a->all + (size_t)n);
        if (a->all == NULL) {
            (void)G.PyErr_NoMemory();
            return -1;
        }
        a->owned = (unsigned char *)(a->all + n + 1);
    }
    for (int64_t i = 0; i < n; i++) {
        int owned = 1;
        pb_obj o;
        if (f->cells[2 * at] == PB_FLOAT) {
            o = float_make(t, f->cells[2 * at + 1]);
            owned = OWNED_FLOAT;
            at++;
        } else {
            o = pb_take(f, &at);
        }
        if (o == NULL)
            return -1;
        a->all[i + 1] = o;
        a->owned[i] = (unsigned char)owned;
        a->n = i + 1;
    }
    return 0;
}

static void arguments_drop(arguments *a, pb_thread *t)
{
    for (int64_t i = 0; i < a->n; i++) {
        if (a->owned[i] == OWNED_FLOAT)
            float_drop(t, a->all[i + 1]);
        else if (a->owned[i])
            pb_drop(a->all[i + 1]);
    }
    if (a->all != a->few)
        free(a->all);
}

static size_t positional(int64_t nargs, pb_obj names)
{
    return (size_t)(names == NULL ? nargs : nargs - G.PyTuple_Size(names));
}

/* Up to SIMPLE floats, ints and handles, one cell each, without the general machinery: this
 * is most calls.  Gives 0 when the arguments are of another kind; nothing was done then. */
enum { SIMPLE = 3 };

static inline int simple(const pb_frame *f, int64_t nargs)
{
    for (int64_t i = 0; i < nargs; i++) {
        int64_t word = f->cells[2 * i];
        if (word != PB_FLOAT && word != PB_INT && (word != PB_OBJECT || f->cells[2 * i + 1] == 0))
            return 0;
    }
    return 1;
}

static inline int64_t call_simple(pb_thread *t, pb_frame *f, pb_obj callable, int64_t nargs)
{
    pb_obj args[SIMPLE + 1], result = NULL;
    int64_t words[SIMPLE], i, word;

    for (i = 0; i < nargs; i++) {
        int64_t payload = f->cells[2 * i + 1];
        words[i] = f->cells[2 * i];             /* the result will be written over them */
        if (words[i] == PB_FLOAT)
            args[i + 1] = float_make(t, payload);
        else if (words[i] == PB_INT)
            args[i + 1] = G.PyLong_FromLongLong(payload);
        else
            args[i + 1] = pb_dup((pb_obj)payload);
        if (PB_UNLIKELY(args[i + 1] == NULL))
            goto done;
    }
    pb_dup(callable);
    result = pb_vectorcall_run(callable, args + 1, (size_t)nargs | PB_ARGUMENTS_OFFSET, NULL);
    pb_drop(callable);
done:
    word = crossing_result(t, f, result);
    while (i-- > 0) {
        if (words[i] == PB_FLOAT)
            float_drop(t, args[i + 1]);
        else
            pb_drop(args[i + 1]);
    }
    pb_detach(t);
    return word;
}

int64_t pb_call(pb_frame *f, intptr_t callable, int64_t nargs, intptr_t names)
{
    int64_t word = 0;
    pb_obj result = NULL;
    arguments a;
    pb_thread *t = crossing_begin(f, callable, &word);
    if (t == NULL)
        return word;
    if (PB_LIKELY(names == 0 && nargs <= SIMPLE && simple(f, nargs)))
        return call_simple(t, f, (pb_obj)callable, nargs);
    pb_dup((pb_obj)callable);
    if (PB_LIKELY(arguments_take(&a, t, f, nargs) == 0))
        result = pb_vectorcall_run((pb_obj)callable, a.all + 1,
                                   positional(nargs, (pb_obj)names) | PB_ARGUMENTS_OFFSET, (pb_obj)names);
    pb_drop((pb_obj)callable);
    word = crossing_result(t, f, result);
    arguments_drop(&a, t);              /* after the result, which may be one of them */
    crossing_leave(t, f);
    return word;
}

int64_t pb_call_method(pb_frame *f, intptr_t self, intptr_t name, int64_t nargs, intptr_t names)
{
    int64_t word = 0;
    pb_obj result = NULL;
    arguments a;
    pb_thread *t = crossing_begin(f, self, &word);
    if (t == NULL)
        return word;
    pb_dup((pb_obj)self);
    if (PB_LIKELY(arguments_take(&a, t, f, nargs) == 0)) {
        a.all[0] = (pb_obj)self;
        result = G.PyObject_VectorcallMethod((pb_obj)name, a.all, positional(nargs, (pb_obj)names) + 1,
                                             (pb_obj)names);
    }
    pb_drop((pb_obj)self);
    word = crossing_result(t, f, result);
    arguments_drop(&a, t);              /* after the result, which may be one of them */
    crossing_leave(t, f);
    return word;
}

int64_t pb_get_attribute(pb_frame *f, intptr_t self, intptr_t name)
{
    int64_t word = 0;
    pb_thread *t = crossing_begin(f, self, &word);
    if (t == NULL)
        return word;
    pb_dup((pb_obj)self);
    pb_obj value = G.PyObject_GetAttr((pb_obj)self, (pb_obj)name);
    pb_drop((pb_obj)self);
    return crossing_end(t, f, value);
}

int64_t pb_set_attribute(pb_frame *f, intptr_t self, intptr_t name)
{
    int64_t word = 0, at = 0;
    pb_thread *t = crossing_begin(f, self, &word);
    if (t == NULL)
        return word;
    pb_dup((pb_obj)self);
    pb_obj value = pb_take(f, &at);
    int failed = value == NULL || G.PyObject_SetAttr((pb_obj)self, (pb_obj)name, value) != 0;
    pb_xdrop(value);
    pb_drop((pb_obj)self);
    return crossing_end_plain(t, f, failed, PB_NONE, 0);
}

int64_t pb_delete_attribute(pb_frame *f, intptr_t self, intptr_t name)
{
    int64_t word = 0;
    pb_thread *t = crossing_begin(f, self, &word);
    if (t == NULL)
        return word;
    pb_dup((pb_obj)self);
    int failed = G.PyObject_SetAttr((pb_obj)self, (pb_obj)name, NULL) != 0;
    pb_drop((pb_obj)self);
    return crossing_end_plain(t, f, failed, PB_NONE, 0);
}

/* An interned guest string, as a handle that is never released. */
int64_t pb_intern(pb_frame *f, const char *text, int64_t length)
{
    int64_t word = 0;
    pb_thread *t = crossing_begin(f, 1, &word);
    if (t == NULL)
        return word;
    pb_obj name = G.PyUnicode_DecodeUTF8(text, length, "surrogatepass");
    if (name != NULL)
        G.PyUnicode_InternInPlace(&name);
    return crossing_end_plain(t, f, name == NULL, PB_OBJECT, (int64_t)(intptr_t)name);
}

/* A tuple of the `count` interned names in the cells (handles), as a handle. */
int64_t pb_names(pb_frame *f, int64_t count)
{
    int64_t word = 0, at = 0;
    pb_thread *t = crossing_begin(f, 1, &word);
    if (t == NULL)
        return word;
    pb_obj names = G.PyTuple_New(count);
    for (ssize_t i = 0; names != NULL && i < count; i++) {
        pb_obj name = pb_take(f, &at);
        if (name == NULL || G.PyTuple_SetItem(names, i, name) != 0) {     /* steals name */
            pb_drop(names);
            names = NULL;
        }
    }
    return crossing_end_plain(t, f, names == NULL, PB_OBJECT, (int64_t)(intptr_t)names);
}

/* The module named in cell 0, submodules included. */
int64_t pb_import(pb_frame *f)
{
    int64_t word = 0, at = 0;
    pb_thread *t = crossing_begin(f, 1, &word);
    if (t == NULL)
        return word;
    pb_obj module = NULL, name = pb_take(f, &at), top = NULL;
    if (name != NULL)
        top = G.PyImport_Import(name);              /* gives the top package of a.b.c */
    if (top != NULL) {
        module = G.PyDict_GetItemWithError(G.PyImport_GetModuleDict(), name);   /* borrowed */
        if (module != NULL)
            pb_dup(module);
        else if (G.PyErr_Occurred() == NULL)
            module = pb_dup(top);                   /* a module that replaced itself */
    }
    pb_xdrop(top);
    pb_xdrop(name);
    return crossing_end(t, f, module);
}

/* The object itself as a value, once its type is classified: for PB_UNKNOWN. */
int64_t pb_value_of(pb_frame *f, intptr_t handle)
{
    int64_t word = 0;
    pb_thread *t = crossing_begin(f, handle, &word);
    if (t == NULL)
        return word;
    return crossing_end(t, f, pb_dup((pb_obj)handle));
}
