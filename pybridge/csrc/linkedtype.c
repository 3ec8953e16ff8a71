/* SPDX-License-Identifier: MIT
 *
 * The guest's types of linked containers: subclasses of list, dict and set.
 *
 * A slot that reads is the base's own, after a look whether the items are still those of the
 * host's (`fresh`).  What guest/linked.py calls to write is here too.
 *
 * All state is protected by the guest GIL.
 */
#include "linked.h"

/* ---- the types ---- */

typedef int (*traverse_function)(pb_obj, int (*)(pb_obj, void *), void *);

/* Containers inside one another would end by a recursion as deep as they are, against which
 * CPython protects its own types alone.  So from some depth on they wait for the outermost,
 * each with the one before in the word of its base. */
enum { DEEPEST_END = 40 };

static void end(pb_thread *t, pb_obj self)
{
    pb_type *type = self->type;
    t->ending++;
    pb_linked_bases[kind_of(self)]->dealloc(self);
    pb_drop(&type->head);
    t->ending--;
}

static void linked_dealloc(pb_obj self)
{
    linked *l = linked_of(self, kind_of(self));
    pb_thread *t = &pb_me;
    G.PyObject_GC_UnTrack(self);
    if (l->number != 0)
        pb_entry_drop(l->number - 1, self);
    pb_obj base = l->base;
    l->base = NULL;
    l->number = l->serial = 0;
    pb_xdrop(base);                     /* the items live on in the container itself */
    if (t->ending == DEEPEST_END) {
        l->base = t->ended;
        t->ended = self;
        return;
    }
    end(t, self);
    while (t->ending == 0 && t->ended != NULL) {
        pb_obj next = t->ended;
        l = linked_of(next, kind_of(next));
        t->ended = l->base;
        l->base = NULL;
        end(t, next);
    }
}

static int linked_traverse(pb_obj self, int (*visit)(pb_obj, void *), void *arg)
{
    int kind = kind_of(self);
    pb_obj base = linked_of(self, kind)->base;
    int status = visit(&self->type->head, arg);
    if (status == 0)
        status = ((traverse_function)(intptr_t)pb_linked_bases[kind]->traverse)(self, visit, arg);
    if (status == 0 && base != NULL)
        status = ((traverse_function)(intptr_t)pb_linked_bases[kind]->traverse)(base, visit, arg);
    return status;
}

static int linked_clear(pb_obj self)
{
    int kind = kind_of(self);
    linked *l = linked_of(self, kind);
    pb_obj base = l->base;
    l->base = NULL;                     /* what follows is no change to write through */
    pb_xdrop(base);
    return ((int (*)(pb_obj))(intptr_t)pb_linked_bases[kind]->clear)(self);
}

/* type(x)(items) is a plain container, as a program that writes this expects. */
static pb_obj linked_new(pb_type *type, pb_obj args, pb_obj keywords)
{
    for (int kind = 0; kind < KINDS; kind++)
        if (type == pb_linked_types[kind])
            return G.PyObject_Call(&pb_linked_bases[kind]->head, args, keywords);
    G.PyErr_SetString(*G.PyExc_TypeError, "a class of linked containers has no subclasses");
    return NULL;
}

/* ---- reading ----
 * The slots of the base, after a look whether the items are still those of the host's. */

static linked *argument(pb_obj o)
{
    int kind = kind_of(o);
    linked *l = kind < 0 ? NULL : linked_of(o, kind);
    return l != NULL && alive(l) ? l : NULL;
}

/* 0, or -1 with an error set */
static int freshen(pb_obj o, linked *l)
{
    if (pb_me.linking == o || !alive(l) || (l->turn == pb_me.turns && l->thread == &pb_me))
        return 0;
    if (pb_linked_push(o, kind_of(o)) != 0)
        return -1;
    return pb_linked_run(pb_linked_fetch, o, l);
}

static int fresh(pb_obj o)
{
    linked *l = argument(o);
    return l == NULL ? 0 : freshen(o, l);
}

/* Places in a type's tables of slots, in each version. */
enum {
    SQ_LENGTH, SQ_CONCAT, SQ_REPEAT, SQ_ITEM, SQ_CONTAINS = 7, SQ_INPLACE_CONCAT, SQ_INPLACE_REPEAT,
    MP_LENGTH = 0, MP_SUBSCRIPT
};

static void *slot_of(const void *table, int place)
{
    return ((void *const *)table)[place];
}

static ssize_t read_length(pb_obj o)
{
    const pb_type *base = pb_linked_bases[kind_of(o)];
    void *slot = base->mapping != NULL ? slot_of(base->mapping, MP_LENGTH) : slot_of(base->sequence, SQ_LENGTH);
    return fresh(o) != 0 ? -1 : ((ssize_t (*)(pb_obj))(intptr_t)slot)(o);
}

static pb_obj read_subscript(pb_obj o, pb_obj key)
{
    void *slot = slot_of(pb_linked_bases[kind_of(o)]->mapping, MP_SUBSCRIPT);
    return fresh(o) != 0 ? NULL : ((pb_obj (*)(pb_obj, pb_obj))(intptr_t)slot)(o, key);
}

static pb_obj read_item(pb_obj o, ssize_t i)
{
    void *slot = slot_of(pb_linked_bases[LIST]->sequence, SQ_ITEM);
    return fresh(o) != 0 ? NULL : ((pb_obj (*)(pb_obj, ssize_t))(intptr_t)slot)(o, i);
}

static int read_contains(pb_obj o, pb_obj x)
{
    void *slot = slot_of(pb_linked_bases[kind_of(o)]->sequence, SQ_CONTAINS);
    return fresh(o) != 0 ? -1 : ((int (*)(pb_obj, pb_obj))(intptr_t)slot)(o, x);
}

/* l + x, l * n, n * l, by the slots of sequences alone, as a list has them: with `__mul__` in Python the type
 * had that of numbers too, and numpy.int64(2) * l took l for an array. */
static pb_obj read_concat(pb_obj o, pb_obj x)
{
    void *slot = slot_of(pb_linked_bases[LIST]->sequence, SQ_CONCAT);
    return fresh(o) != 0 || fresh(x) != 0 ? NULL : ((pb_obj (*)(pb_obj, pb_obj))(intptr_t)slot)(o, x);
}

static pb_obj read_repeat(pb_obj o, ssize_t n)
{
    void *slot = slot_of(pb_linked_bases[LIST]->sequence, SQ_REPEAT);
    return fresh(o) != 0 ? NULL : ((pb_obj (*)(pb_obj, ssize_t))(intptr_t)slot)(o, n);
}

/* l += x and l *= n.  What was changed before an error reaches the host with the next look. */
static pb_obj changed(pb_obj o, pb_obj result /* steals */)
{
    if (result != NULL && argument(o) != NULL && pb_linked_push(o, LIST) != 0) {
        pb_drop(result);
        return NULL;
    }
    return result;
}

static pb_obj change_concat(pb_obj o, pb_obj x)
{
    void *slot = slot_of(pb_linked_bases[LIST]->sequence, SQ_INPLACE_CONCAT);
    if (fresh(o) != 0 || fresh(x) != 0)
        return NULL;
    return changed(o, ((pb_obj (*)(pb_obj, pb_obj))(intptr_t)slot)(o, x));
}

static pb_obj change_repeat(pb_obj o, ssize_t n)
{
    void *slot = slot_of(pb_linked_bases[LIST]->sequence, SQ_INPLACE_REPEAT);
    return fresh(o) != 0 ? NULL : changed(o, ((pb_obj (*)(pb_obj, ssize_t))(intptr_t)slot)(o, n));
}

static pb_obj read_iter(pb_obj o)
{
    return fresh(o) != 0 ? NULL : ((pb_obj (*)(pb_obj))(intptr_t)pb_linked_bases[kind_of(o)]->iter)(o);
}

static pb_obj read_repr(pb_obj o)
{
    int kind = kind_of(o);
    if (fresh(o) != 0)
        return NULL;
    if (kind != SET)
        return pb_linked_bases[kind]->repr(o);
    int inside = G.Py_ReprEnter(o);     /* for the copy's would not find a cycle */
    if (inside != 0)
        return inside < 0 ? NULL : G.PyUnicode_FromString("set(...)");
    pb_obj plain = pb_linked_copied(o, SET);      /* a set's repr begins with its class */
    pb_obj text = plain == NULL ? NULL : G.PyObject_Repr(plain);
    pb_xdrop(plain);
    G.Py_ReprLeave(o);
    return text;
}

static pb_obj read_compare(pb_obj o, pb_obj other, int operation)
{
    void *slot = (void *)(intptr_t)pb_linked_bases[kind_of(o)]->richcompare;
    if (fresh(o) != 0 || (kind_of(other) >= 0 && fresh(other) != 0))
        return NULL;
    return ((pb_obj (*)(pb_obj, pb_obj, int))(intptr_t)slot)(o, other, operation);
}

/* ---- what guest/linked.py calls ---- */

static pb_obj none_or(int status)
{
    return status == 0 ? pb_dup(G._Py_NoneStruct) : NULL;
}

static pb_obj method_fresh(pb_obj self, pb_obj o)
{
    (void)self;
    return none_or(fresh(o));
}

static pb_obj method_push(pb_obj self, pb_obj o)
{
    (void)self;
    int kind = kind_of(o);
    return none_or(kind < 0 ? 0 : pb_linked_push(o, kind));
}

/* What a list's items are and were, apart from what is equal at both ends: (start, stop, the
 * items in between); from now on they agree.  Of a dict or set: what it was. */
static pb_obj method_difference(pb_obj self, pb_obj o)
{
    (void)self;
    int kind = kind_of(o);
    linked *l = argument(o);
    if (l == NULL)
        return pb_dup(G._Py_NoneStruct);
    pb_obj fresh = pb_linked_copied(o, kind), old = l->base, out = NULL, part = NULL;
    if (fresh == NULL)
        return NULL;
    l->base = fresh;
    if (kind != LIST)
        return old;
    const list_object *a = (const list_object *)old, *b = (const list_object *)fresh;
    ssize_t start = 0, tail = 0, least = a->size < b->size ? a->size : b->size;
    while (start < least && a->items[start] == b->items[start])
        start++;
    while (tail < least - start && a->items[a->size - 1 - tail] == b->items[b->size - 1 - tail])
        tail++;
    part = G.PyList_GetSlice(fresh, start, b->size - tail);
    out = G.PyTuple_New(3);
    if (part == NULL || out == NULL || G.PyTuple_SetItem(out, 0, G.PyLong_FromLongLong(start)) != 0
        || G.PyTuple_SetItem(out, 1, G.PyLong_FromLongLong(a->size - tail)) != 0) {
        pb_xdrop(out);
        out = NULL;
    } else if (G.PyTuple_SetItem(out, 2, G.PySequence_Tuple(part)) != 0) {
        pb_drop(out);
        out = NULL;
    }
    pb_xdrop(part);
    pb_drop(old);
    return out;
}

static pb_method methods[] = {
    {"fresh", method_fresh, 8 /* METH_O */, NULL},
    {"push", method_push, 8, NULL},
    {"difference", method_difference, 8, NULL},
};

/* ---- start ---- */

static int type_make(int kind, pb_obj base, const char *name)
{
    pb_slot slots[] = {
        {52 /* tp_dealloc */, (const void *)(intptr_t)linked_dealloc},
        {71 /* tp_traverse */, (const void *)(intptr_t)linked_traverse},
        {51 /* tp_clear */, (const void *)(intptr_t)linked_clear},
        {65 /* tp_new */, (const void *)(intptr_t)linked_new},
        {45 /* sq_length */, (const void *)(intptr_t)read_length},
        {41 /* sq_contains */, (const void *)(intptr_t)read_contains},
        {62 /* tp_iter */, (const void *)(intptr_t)read_iter},
        {66 /* tp_repr */, (const void *)(intptr_t)read_repr},
        {67 /* tp_richcompare */, (const void *)(intptr_t)read_compare},
        {kind == SET ? 0 : 4 /* mp_length */, (const void *)(intptr_t)read_length},
        {5 /* mp_subscript */, (const void *)(intptr_t)read_subscript},
        {kind == DICT ? 0 : 44 /* sq_item */, (const void *)(intptr_t)read_item},
        {40 /* sq_concat */, (const void *)(intptr_t)read_concat},
        {46 /* sq_repeat */, (const void *)(intptr_t)read_repeat},
        {42 /* sq_inplace_concat */, (const void *)(intptr_t)change_concat},
        {43 /* sq_inplace_repeat */, (const void *)(intptr_t)change_repeat},
        {0, NULL}};
    pb_linked_bases[kind] = (pb_type *)(void *)base;
    pb_linked_sizes[kind] = (pb_linked_bases[kind]->basicsize + 7) & ~(ssize_t)7;
    pb_spec spec = {name, (int)(pb_linked_sizes[kind] + (ssize_t)sizeof(linked)), 0,
                    PB_TYPE_GC | (G.minor <= 9 ? PB_TYPE_DEFAULT_39 : 0), slots};
    pb_obj tuple = G.PyTuple_New(1);
    if (tuple == NULL || G.PyTuple_SetItem(tuple, 0, pb_dup(base)) != 0)
        return -1;
    pb_linked_types[kind] = (pb_type *)(void *)G.PyType_FromSpecWithBases(&spec, tuple);
    pb_drop(tuple);
    return pb_linked_types[kind] == NULL ? -1 : 0;
}

/* Make the types, and introduce them and guest/linked.py, `module`, to one another. */
int64_t pb_linked_start(pb_frame *f, intptr_t module)
{
    static const char *const names[] = {"list_type", "dict_type", "set_type"};
    int64_t refused = 0, answer;
    pb_obj m = (pb_obj)module, result = NULL;
    pb_thread *t = pb_attach(&refused);
    if (t == NULL)
        return pb_answer(f, refused, 0);
    if (type_make(LIST, G.PyList_Type, "pybridge.list") != 0 || type_make(DICT, G.PyDict_Type, "pybridge.dict") != 0
        || type_make(SET, G.PySet_Type, "pybridge.set") != 0)
        goto done;
    for (int kind = 0; kind < KINDS; kind++)
        if (G.PyObject_SetAttrString(m, names[kind], &pb_linked_types[kind]->head) != 0)
            goto done;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        pb_obj function = G.PyCFunction_NewEx(&methods[i], NULL, NULL);
        int failed = function == NULL || G.PyObject_SetAttrString(m, methods[i].name, function) != 0;
        pb_xdrop(function);
        if (failed)
            goto done;
    }
    pb_obj begin = G.PyObject_GetAttrString(m, "begin");
    if (begin != NULL)
        result = G.PyObject_CallObject(begin, NULL);
    pb_xdrop(begin);
    if (result == NULL)
        goto done;
    pb_linked_write_through = G.PyObject_GetAttrString(m, "write_through");
    pb_linked_fetch = G.PyObject_GetAttrString(m, "fetch");
    if (pb_linked_write_through == NULL || pb_linked_fetch == NULL) {
        pb_drop(result);
        result = NULL;
    }
done:
    answer = result == NULL ? pb_raised(f) : pb_answer(f, PB_NONE, 0);
    pb_xdrop(result);
    pb_detach(t);
    return answer;
}
