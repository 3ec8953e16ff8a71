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

#include "linked.h"

enum { INPLACE_OR = 28 };       /* among a type's number slots, in each version */

pb_type *pb_linked_types[KINDS], *pb_linked_bases[KINDS];
ssize_t pb_linked_sizes[KINDS];
pb_obj pb_linked_write_through, pb_linked_fetch;
static int64_t serials;

static void agreed(linked *l)
{
    l->thread = &pb_me;
    l->turn = pb_me.turns;
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
    pb_obj equal = ((pb_obj (*)(pb_obj, pb_obj, int))(intptr_t)pb_linked_bases[SET]->richcompare)(l->base, o, 2 /* Py_EQ */);
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
    for (ssize_t i = 2; i < pb_linked_sizes[kind] / 8; i++) {
        int64_t word = a[i];
        a[i] = b[i];
        b[i] = word;
    }
}

pb_obj pb_linked_copied(pb_obj o, int kind)
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
int pb_linked_run(pb_obj function, pb_obj o, linked *l)
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

int pb_linked_push(pb_obj o, int kind)
{
    linked *l = linked_of(o, kind);
    int status = changed(o, kind, l);
    return status <= 0 ? status : pb_linked_run(pb_linked_write_through, o, l);
}

/* ---- host to guest ---- */

/* Put the items of `content`, an exact list, dict or set, into `o`; they agree from now on. */
static int replace(pb_obj o, int kind, pb_obj content /*borrowed*/)
{
    linked *l = linked_of(o, kind);
    pb_obj base = pb_linked_copied(content, kind), old = l->base, result;
    if (base == NULL)
        return -1;
    l->base = base;
    agreed(l);
    if (kind != SET) {
        exchange(o, content, kind);
    } else if (G.PySet_Clear(o) != 0
               || (result = pb_linked_bases[SET]->number->binary[INPLACE_OR](o, content)) == NULL) {
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

static pb_obj make(int kind)
{
    static pb_obj nothing;
    if (nothing == NULL && (nothing = G.PyTuple_New(0)) == NULL)
        return NULL;
    return pb_linked_bases[kind]->new(pb_linked_types[kind], nothing, NULL);     /* fields are zero */
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
        else if ((status = pb_linked_push(o, kind)) == 0)
            status = pb_linked_run(pb_linked_fetch, o, l);  /* these items are older than what it just wrote */
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
    if (pb_linked_push(o, kind) != 0)
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
            status = pb_linked_push(o, kind);
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

/* The host did not settle those that the guest keeps: they are plain copies from now on. */
void pb_linked_forget(pb_frame *f)
{
    for (int64_t i = 0; i < f->links_used; i++) {
        pb_obj o = (pb_obj)f->links[i];
        linked *l = linked_of(o, kind_of(o));
        f->links[i] = 0;
        if (l->number == 0)
            l->serial = 0;
        pb_drop(o);
    }
    f->links_used = 0;
    f->links_serial = 0;
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
