/* SPDX-License-Identifier: MIT
 *
 * Linked containers: a host list, dict or set as the guest's own.  C extensions demand real
 * ones, so the guest's object is a real list, dict or set, of a subclass; it has the items
 * that the host's container had when control last came to the guest, and remembers that
 * container.  pybridge/_linked.py is the host's half, pybridge/guest/linked.py wraps methods.
 *
 * Host to guest: the items cross with the container; they are put into the guest's object,
 * the one that it has already, or a new one.  A read by a guest method first asks whether
 * control has been elsewhere since (`turns`), and then fetches the items anew.
 *
 * Guest to host: `base` is a copy of what both sides agreed on.  What differs from it, item
 * by item, by identity, was done by guest code and is written through: at once by the
 * guest's methods, and for what C code did behind their back at the end of the crossing that
 * passed the container, or when it is next given to the host or passed again.
 *
 * Until its crossing is over a container has no number in the host's table: the host knows
 * it as the n-th of that frame.  Most are nobody's after the call, and are freed; those that
 * are kept get a number then, or as soon as host code sees them.
 *
 * `base` is not tracked by the guest's collector: its owner, the only one, traverses it.
 *
 * All state is protected by the guest GIL.
 */
#include <stdlib.h>
#include <string.h>

#include "vectorcall.h"

enum { LIST, DICT, SET, KINDS };
enum { INPLACE_OR = 28 };       /* among a type's number slots, in each version */

typedef struct linked {         /* behind the words of the list, dict or set itself */
    pb_obj base;                /* owned; NULL before the first items */
    int64_t number;             /* one more than the host's; 0: none yet */
    int64_t serial;             /* of the crossing that made it, while it has no number */
    pb_frame *frame;            /* of that crossing ... */
    int64_t index;              /* ... and its place among `links` */
    const pb_thread *thread;    /* in whose turn both sides agreed last ... */
    int64_t turn;               /* ... and which */
} linked;

typedef struct list_object {    /* the same from 3.9 to 3.14 */
    pb_head head;
    ssize_t size;
    pb_obj *items;
    ssize_t allocated;
} list_object;

pb_type *pb_linked_types[KINDS];
static pb_type *bases[KINDS];
static ssize_t sizes[KINDS];    /* of the base's object: where `linked` begins */
static pb_obj write_through, fetch;     /* functions of guest/linked.py */
static int64_t serials;

static int kind_of(const pb_head *o)
{
    for (int kind = 0; kind < KINDS; kind++)
        if (o->type == pb_linked_types[kind])
            return kind;
    return -1;
}

static linked *linked_of(pb_obj o, int kind)
{
    return (linked *)(void *)((char *)o + sizes[kind]);
}

static int alive(const linked *l)
{
    return (l->number != 0 || l->serial != 0) && l->base != NULL;
}

static void agreed(linked *l)
{
    l->thread = &pb_me;
    l->turn = pb_me.turns;
}

/* ---- the types ---- */

typedef int (*traverse_function)(pb_obj, int (*)(pb_obj, void *), void *);

static void linked_dealloc(pb_obj self)
{
    int kind = kind_of(self);
    linked *l = linked_of(self, kind);
    pb_type *type = self->type;
    G.PyObject_GC_UnTrack(self);
    if (l->number != 0)
        pb_entry_drop(l->number - 1, self);
    pb_obj base = l->base;
    l->base = NULL;
    l->number = l->serial = 0;
    pb_xdrop(base);                     /* the items live on in the container itself */
    bases[kind]->dealloc(self);
    pb_drop(&type->head);
}

static int linked_traverse(pb_obj self, int (*visit)(pb_obj, void *), void *arg)
{
    int kind = kind_of(self);
    pb_obj base = linked_of(self, kind)->base;
    int status = visit(&self->type->head, arg);
    if (status == 0)
        status = ((traverse_function)(intptr_t)bases[kind]->traverse)(self, visit, arg);
    if (status == 0 && base != NULL)
        status = ((traverse_function)(intptr_t)bases[kind]->traverse)(base, visit, arg);
    return status;
}

static int linked_clear(pb_obj self)
{
    int kind = kind_of(self);
    linked *l = linked_of(self, kind);
    pb_obj base = l->base;
    l->base = NULL;                     /* what follows is no change to write through */
    pb_xdrop(base);
    return ((int (*)(pb_obj))(intptr_t)bases[kind]->clear)(self);
}

/* type(x)(items) is a plain container, as a program that writes this expects. */
static pb_obj linked_new(pb_type *type, pb_obj args, pb_obj keywords)
{
    for (int kind = 0; kind < KINDS; kind++)
        if (type == pb_linked_types[kind])
            return G.PyObject_Call(&bases[kind]->head, args, keywords);
    G.PyErr_SetString(*G.PyExc_TypeError, "a class of linked containers has no subclasses");
    return NULL;
}

static pb_obj make(int kind)
{
    static pb_obj nothing;
    if (nothing == NULL && (nothing = G.PyTuple_New(0)) == NULL)
        return NULL;
    return bases[kind]->new(pb_linked_types[kind], nothing, NULL);     /* fields are zero */
}

/* ---- what differs from the base ---- */

static int dict_changed(pb_obj o, pb_obj base)
{
    ssize_t i = 0, j = 0;
    pb_obj key, value, old_key, old_value;
    for (;;) {
        int more = G.PyDict_Next(o, &i, &key, &value);
        if (more != G.PyDict_Next(base, &j, &old_key, &old_value))
            return 1;
        if (!more)
            return 0;
        if (key != old_key || value != old_value)
            return 1;
    }
}

/* 1, 0, or -1 with an error set */
static int changed(pb_obj o, int kind, const linked *l)
{
    const list_object *a = (const list_object *)o, *b = (const list_object *)l->base;
    if (!alive(l) || pb_me.linking == o)
        return 0;
    if (kind == LIST)
        return a->size != b->size || (a->size && memcmp(a->items, b->items, (size_t)a->size * sizeof *a->items) != 0);
    if (kind == DICT)
        return dict_changed(o, l->base);
    /* The slot itself: the operator asks the subclass's first, which would come back here. */
    pb_obj equal = ((pb_obj (*)(pb_obj, pb_obj, int))(intptr_t)bases[SET]->richcompare)(l->base, o, 2 /* Py_EQ */);
    if (equal == NULL)
        return -1;
    int differs = equal != G._Py_TrueStruct;
    pb_drop(equal);
    return differs;
}

/* Exchange what two lists, or two dicts, hold: all words behind the head. */
static void exchange(pb_obj o, pb_obj other, int kind)
{
    int64_t *a = (int64_t *)(void *)o, *b = (int64_t *)(void *)other;
    for (ssize_t i = 2; i < sizes[kind] / 8; i++) {
        int64_t word = a[i];
        a[i] = b[i];
        b[i] = word;
    }
}

/* A plain copy, untracked. new, or NULL with an error set */
static pb_obj copied(pb_obj o, int kind)
{
    pb_obj copy;
    if (kind == LIST) {
        copy = G.PyList_GetSlice(o, 0, INT64_MAX);
    } else if (kind == SET) {
        copy = G.PySet_New(o);
    } else {                            /* of an exact dict: otherwise its methods are used */
        pb_obj exact = G.PyDict_New();
        if (exact == NULL)
            return NULL;
        exchange(o, exact, DICT);
        copy = G.PyDict_Copy(exact);
        exchange(o, exact, DICT);
        pb_drop(exact);
    }
    if (copy != NULL)
        G.PyObject_GC_UnTrack(copy);
    return copy;
}

/* Run one of the two functions of guest/linked.py on `o`.  Host code of the program does not
 * run in it, so it is no turn. */
static int run(pb_obj function, pb_obj o, linked *l)
{
    pb_thread *t = &pb_me;
    int64_t turns = t->turns;
    if (function == NULL || pb_state.state != 1)
        return 0;
    pb_obj outer = t->linking;
    t->linking = pb_dup(o);
    pb_obj result = pb_vectorcall_run(function, &o, 1, NULL);
    t->linking = outer;
    t->turns = turns;
    agreed(l);
    pb_drop(o);
    pb_xdrop(result);
    return result == NULL ? -1 : 0;
}

/* 0, or -1 with an error set */
static int push(pb_obj o, int kind)
{
    linked *l = linked_of(o, kind);
    int status = changed(o, kind, l);
    return status <= 0 ? status : run(write_through, o, l);
}

/* ---- host to guest ---- */

/* Put the items of `content`, an exact list, dict or set, into `o`; they agree from now on. */
static int replace(pb_obj o, int kind, pb_obj content /*borrowed*/)
{
    linked *l = linked_of(o, kind);
    pb_obj base = copied(content, kind), old = l->base, result;
    if (base == NULL)
        return -1;
    l->base = base;
    agreed(l);
    if (kind != SET) {
        exchange(o, content, kind);
    } else if (G.PySet_Clear(o) != 0
               || (result = bases[SET]->number->binary[INPLACE_OR](o, content)) == NULL) {
        pb_xdrop(old);
        return -1;
    } else {
        pb_drop(result);
    }
    pb_xdrop(old);
    return 0;
}

static int links_add(pb_frame *f, pb_obj o)
{
    if (f->links_used == f->links_capacity) {
        int64_t capacity = f->links_capacity ? 2 * f->links_capacity : 8;
        intptr_t *links = realloc(f->links, (size_t)capacity * sizeof *links);
        if (links != NULL)
            f->links = links;
        int64_t *numbers = links == NULL ? NULL : realloc(f->numbers, (size_t)capacity * sizeof *numbers);
        if (numbers == NULL) {
            (void)G.PyErr_NoMemory();
            return -1;
        }
        f->numbers = numbers;
        f->links_capacity = capacity;
    }
    if (f->links_used == 0)
        f->links_serial = ++serials;
    f->links[f->links_used++] = (intptr_t)pb_dup(o);
    return 0;
}

pb_obj pb_linked_take(pb_frame *f, int64_t *at, int64_t index, intptr_t handle, int depth)
{
    int tag = PB_TAG(f->cells[2 * *at]);
    int kind = tag == PB_DICT ? DICT : tag == PB_SET ? SET : LIST, status = 0;
    pb_obj o = handle ? pb_dup((pb_obj)handle) : make(kind), content = NULL;

    if (o == NULL)
        return NULL;
    if (kind_of(o) != kind || index != f->links_used) {
        G.PyErr_SetString(*G.PyExc_SystemError, "pybridge: a container that crosses is not the one it was");
        goto failed;
    }
    if (links_add(f, o) != 0)
        goto failed;
    linked *l = linked_of(o, kind);
    if (!handle) {
        l->serial = f->links_serial;
        l->frame = f;
        l->index = index;
    } else {
        status = changed(o, kind, l);   /* by C code, when nobody looked */
    }
    if (status >= 0)
        content = pb_take_at(f, at, depth);
    if (content != NULL) {
        if (status == 0)
            status = replace(o, kind, content);
        else if ((status = push(o, kind)) == 0)
            status = run(fetch, o, l);  /* these items are older than what it just wrote */
    }
    if (content == NULL || status < 0)
        goto failed;
    pb_drop(content);
    return o;
failed:
    pb_xdrop(content);
    pb_drop(o);
    return NULL;
}

/* ---- guest to host ---- */

int pb_linked_give(pb_frame *f, int64_t *at, pb_obj o /*steals on 0*/)
{
    int kind = kind_of(o), status = -1;
    linked *l = linked_of(o, kind);
    if (!alive(l))
        return 1;
    if (push(o, kind) != 0)
        return -1;
    if (l->number != 0)
        return pb_cell_add(f, at, PB_WORD(PB_HOST, l->number - 1), (int64_t)(intptr_t)o);
    if (l->frame == f && l->serial == f->links_serial) {
        status = pb_cell_add(f, at, PB_WORD(PB_LINK, l->index), 0);
        if (status == 0)
            pb_drop(o);
        return status;
    }
    if (pb_cell_add(f, at, PB_WORD(PB_LINK, l->index), (int64_t)(intptr_t)l->frame) == 0
        && pb_cell_add(f, at, PB_INT, l->serial) == 0)
        status = pb_cell_add(f, at, PB_OBJECT, (int64_t)(intptr_t)o);
    return status;
}

int pb_linked_push_all(pb_frame *f)
{
    pb_obj exception = NULL;
    int status = 0, checked = 0;
    for (int64_t i = 0; i < f->links_used && status == 0; i++) {
        pb_obj o = (pb_obj)f->links[i];
        int kind = kind_of(o);
        if (kind == SET || changed(o, kind, linked_of(o, kind))) {
            if (!checked++)
                exception = G.PyErr_Occurred() != NULL ? pb_exception_take() : NULL;
            status = push(o, kind);
        }
    }
    if (exception != NULL) {            /* the first error is the one to know of */
        if (status != 0)
            G.PyErr_Clear();
        G.PyErr_SetObject(&exception->type->head, exception);
        pb_drop(exception);
    }
    return status;
}

int64_t pb_linked_finish(pb_frame *f)
{
    int64_t kept = 0, n = f->links_used;
    /* Outer containers come before those inside them. */
    for (int64_t i = 0; i < n; i++) {
        pb_obj o = (pb_obj)f->links[i];
        linked *l = linked_of(o, kind_of(o));
        f->links[i] = 0;
        if (o->refcount > 1 && l->frame == f && l->serial == f->links_serial) {
            f->numbers[kept] = i;
            f->links[kept++] = (intptr_t)o;
        } else {
            pb_drop(o);                 /* may run guest code */
        }
    }
    f->links_used = kept;
    return kept;
}

/* ---- numbers ---- */

static int number_set(linked *l, pb_obj o, int64_t number)
{
    if (pb_entry_set(number, o) != 0)
        return -1;
    l->number = number + 1;
    l->serial = 0;
    l->frame = NULL;
    return 0;
}

/* The host has written the numbers of the containers that the guest keeps. */
static int settle(pb_frame *f)
{
    int status = 0;
    for (int64_t i = 0; i < f->links_used; i++) {
        pb_obj o = (pb_obj)f->links[i];
        linked *l = linked_of(o, kind_of(o));
        f->links[i] = 0;
        if (l->number == 0 && number_set(l, o, f->numbers[i]) != 0)
            status = -1;
        else if (l->number != f->numbers[i] + 1 && pb_entry_set(f->numbers[i], o) == 0)
            pb_entry_drop(f->numbers[i], o);    /* it has another already */
        pb_drop(o);
    }
    f->links_used = 0;
    f->links_serial = 0;
    return status;
}

int64_t pb_linked_settle(pb_frame *f, pb_frame *settled)
{
    int64_t refused = 0, answer;
    pb_thread *t = pb_attach(&refused);
    if (t == NULL)
        return pb_answer(f, refused, 0);
    answer = settle(settled) == 0 ? PB_NONE : PB_WORD(PB_REFUSED, PB_NO_MEMORY);
    answer = pb_answer(f, answer, 0);
    pb_detach(t);
    return answer;
}

/* The guest's object for cell 0, as it is: a handle. */
int64_t pb_linked_ref(pb_frame *f)
{
    int64_t refused = 0, at = 0, answer;
    pb_thread *t = pb_attach(&refused);
    if (t == NULL)
        return pb_answer(f, refused, 0);
    pb_obj o = pb_take(f, &at);
    answer = o == NULL ? pb_raised(f) : pb_answer(f, PB_OBJECT, (int64_t)(intptr_t)o);
    (void)pb_linked_finish(f);
    pb_detach(t);
    return answer;
}

/* Give the linked container `object` this number, if it has none; the answer is the one it has.
 * number -1: only ask. */
int64_t pb_linked_number(pb_frame *f, intptr_t object, int64_t number)
{
    int64_t refused = 0, answer;
    pb_obj o = (pb_obj)object;
    pb_thread *t = pb_attach(&refused);
    if (t == NULL)
        return pb_answer(f, refused, 0);
    linked *l = linked_of(o, kind_of(o));
    if (l->number == 0 && number >= 0 && number_set(l, o, number) != 0)
        answer = pb_answer(f, PB_WORD(PB_REFUSED, PB_NO_MEMORY), 0);
    else
        answer = pb_answer(f, PB_INT, l->number - 1);
    pb_detach(t);
    return answer;
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
    if (push(o, kind_of(o)) != 0)
        return -1;
    return run(fetch, o, l);
}

static int fresh(pb_obj o)
{
    linked *l = argument(o);
    return l == NULL ? 0 : freshen(o, l);
}

/* Places in a type's tables of slots, in each version. */
enum { SQ_LENGTH, SQ_ITEM = 3, SQ_CONTAINS = 7, MP_LENGTH = 0, MP_SUBSCRIPT = 1 };

static void *slot_of(const void *table, int place)
{
    return ((void *const *)table)[place];
}

static ssize_t read_length(pb_obj o)
{
    const pb_type *base = bases[kind_of(o)];
    void *slot = base->mapping != NULL ? slot_of(base->mapping, MP_LENGTH) : slot_of(base->sequence, SQ_LENGTH);
    return fresh(o) != 0 ? -1 : ((ssize_t (*)(pb_obj))(intptr_t)slot)(o);
}

static pb_obj read_subscript(pb_obj o, pb_obj key)
{
    void *slot = slot_of(bases[kind_of(o)]->mapping, MP_SUBSCRIPT);
    return fresh(o) != 0 ? NULL : ((pb_obj (*)(pb_obj, pb_obj))(intptr_t)slot)(o, key);
}

static pb_obj read_item(pb_obj o, ssize_t i)
{
    void *slot = slot_of(bases[LIST]->sequence, SQ_ITEM);
    return fresh(o) != 0 ? NULL : ((pb_obj (*)(pb_obj, ssize_t))(intptr_t)slot)(o, i);
}

static int read_contains(pb_obj o, pb_obj x)
{
    void *slot = slot_of(bases[kind_of(o)]->sequence, SQ_CONTAINS);
    return fresh(o) != 0 ? -1 : ((int (*)(pb_obj, pb_obj))(intptr_t)slot)(o, x);
}

static pb_obj read_iter(pb_obj o)
{
    return fresh(o) != 0 ? NULL : ((pb_obj (*)(pb_obj))(intptr_t)bases[kind_of(o)]->iter)(o);
}

static pb_obj read_repr(pb_obj o)
{
    int kind = kind_of(o);
    if (fresh(o) != 0)
        return NULL;
    if (kind != SET)
        return bases[kind]->repr(o);
    int inside = G.Py_ReprEnter(o);     /* for the copy's would not find a cycle */
    if (inside != 0)
        return inside < 0 ? NULL : G.PyUnicode_FromString("set(...)");
    pb_obj plain = copied(o, SET);      /* a set's repr begins with its class */
    pb_obj text = plain == NULL ? NULL : G.PyObject_Repr(plain);
    pb_xdrop(plain);
    G.Py_ReprLeave(o);
    return text;
}

static pb_obj read_compare(pb_obj o, pb_obj other, int operation)
{
    void *slot = (void *)(intptr_t)bases[kind_of(o)]->richcompare;
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
    return none_or(kind < 0 ? 0 : push(o, kind));
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
    pb_obj fresh = copied(o, kind), old = l->base, out = NULL, part = NULL;
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
        {0, NULL}};
    bases[kind] = (pb_type *)(void *)base;
    sizes[kind] = (bases[kind]->basicsize + 7) & ~(ssize_t)7;
    pb_spec spec = {name, (int)(sizes[kind] + (ssize_t)sizeof(linked)), 0,
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
    write_through = G.PyObject_GetAttrString(m, "write_through");
    fetch = G.PyObject_GetAttrString(m, "fetch");
    if (write_through == NULL || fetch == NULL) {
        pb_drop(result);
        result = NULL;
    }
done:
    answer = result == NULL ? pb_raised(f) : pb_answer(f, PB_NONE, 0);
    pb_xdrop(result);
    pb_detach(t);
    return answer;
}
