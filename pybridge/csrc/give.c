/* SPDX-License-Identifier: MIT
 *
 * Guest to host: a guest object becomes cells.
 *
 * Exact types only: an object of a subclass is not the value of its base, it crosses as a
 * handle.  Tuples and frozensets cross with their items, down to DEEPEST_GIVEN; deeper ones
 * stay handles, so that a hostile depth cannot exhaust the stack.
 *
 * Needs the guest GIL; may run guest code (reducers), so anything may have changed when a
 * function here returns, except what the caller owns.
 */
#include <stdlib.h>

#include "vectorcall.h"
#include "weight.h"

enum { DEEPEST_GIVEN = 100, MOST_NESTED_CELLS = 1 << 22 };

static int no_memory(void)
{
    (void)G.PyErr_NoMemory();
    return -1;
}

static int cell(pb_frame *f, int64_t *at, int64_t word, int64_t payload)
{
    if (PB_UNLIKELY(*at >= f->capacity) && pb_cells_reserve(f, *at + 1, *at) != 0)
        return no_memory();
    int64_t *c = f->cells + 2 * *at;
    c[0] = word;
    c[1] = payload;
    *at += 1;
    return 0;
}

int pb_cell_add(pb_frame *f, int64_t *at, int64_t word, int64_t payload)
{
    return cell(f, at, word, payload);
}

static int text_cell(pb_frame *f, int64_t *at, int tag, const char *bytes, ssize_t length)
{
    int64_t offset = pb_text_copy(f, bytes, length);
    if (offset < 0)
        return no_memory();
    return cell(f, at, PB_WORD(tag, length), offset);
}

static int give_str(pb_frame *f, int64_t *at, pb_obj o /*borrowed*/)
{
    ssize_t length = 0;
    const char *utf8 = G.PyUnicode_AsUTF8AndSize(o, &length);     /* borrowed from o */
    if (utf8 != NULL)
        return text_cell(f, at, PB_STR, utf8, length);
    G.PyErr_Clear();                    /* lone surrogates: not cached in the object */
    pb_obj bytes = G.PyUnicode_AsEncodedString(o, "utf-8", "surrogatepass");
    if (bytes == NULL)
        return -1;
    char *data = NULL;
    int status = G.PyBytes_AsStringAndSize(bytes, &data, &length);
    if (status == 0)
        status = text_cell(f, at, PB_STR, data, length);
    pb_drop(bytes);
    return status;
}

static int give_bytes(pb_frame *f, int64_t *at, pb_obj o /*borrowed*/)
{
    char *data = NULL;
    ssize_t length = 0;
    if (G.PyBytes_AsStringAndSize(o, &data, &length) != 0)
        return -1;
    return text_cell(f, at, PB_BYTES, data, length);
}

static int give_int(pb_frame *f, int64_t *at, pb_obj o /*borrowed*/)
{
    int overflow = 0;
    int64_t small = 0;
    if (PB_LIKELY(pb_int_small(o, &small)))
        return cell(f, at, PB_INT, small);
    long long value = G.PyLong_AsLongLongAndOverflow(o, &overflow);
    if (!overflow)
        return cell(f, at, PB_INT, value);

    size_t length = G._PyLong_NumBits(o) / 8 + 1;       /* one bit more, for the sign */
    unsigned char *bytes = malloc(length);
    if (bytes == NULL)
        return no_memory();
    /* 3.13 added an argument, with_exceptions; earlier ones ignore a sixth integer one. */
    int status = G._PyLong_AsByteArray(o, bytes, length, 1, 1, 1);
    if (status == 0)
        status = text_cell(f, at, PB_BIGINT, (char *)bytes, (ssize_t)length);
    free(bytes);
    return status;
}

static int give(pb_frame *f, int64_t *at, pb_obj o /*steals*/, int depth);

static int give_complex(pb_frame *f, int64_t *at, pb_obj o /*borrowed*/)
{
    if (cell(f, at, PB_COMPLEX, pb_bits_of(G.PyComplex_RealAsDouble(o))) != 0)
        return -1;
    return cell(f, at, PB_COMPLEX, pb_bits_of(G.PyComplex_ImagAsDouble(o)));
}

static int give_tuple(pb_frame *f, int64_t *at, pb_obj o /*borrowed*/, int depth)
{
    ssize_t n = G.PyTuple_Size(o);
    if (cell(f, at, PB_WORD(PB_TUPLE, n), 0) != 0)
        return -1;
    for (ssize_t i = 0; i < n; i++) {
        pb_obj item = G.PyTuple_GetItem(o, i);          /* borrowed */
        if (item == NULL || give(f, at, pb_dup(item), depth + 1) != 0)
            return -1;
    }
    return 0;
}

static int give_frozenset(pb_frame *f, int64_t *at, pb_obj o /*borrowed*/, int depth)
{
    int status = -1;
    pb_obj items = G.PySequence_List(o);
    if (items == NULL)
        return -1;
    ssize_t n = G.PyList_Size(items);
    if (cell(f, at, PB_WORD(PB_FROZENSET, n), 0) != 0)
        goto done;
    for (ssize_t i = 0; i < n; i++)
        if (give(f, at, pb_dup(G.PyList_GetItem(items, i)), depth + 1) != 0)
            goto done;
    status = 0;
done:
    pb_drop(items);
    return status;
}

/* A bound method of a host function: the host makes its own of the two. */
static int give_method(pb_frame *f, int64_t *at, pb_obj o /*borrowed*/, int depth)
{
    const pb_method_object *m = (const pb_method_object *)(void *)o;
    if (cell(f, at, PB_WORD(PB_VALUE, PB_METHOD), 0) != 0 || cell(f, at, PB_WORD(PB_TUPLE, 2), 0) != 0
        || give(f, at, pb_dup(m->function), depth + 1) != 0)
        return -1;
    return give(f, at, pb_dup(m->self), depth + 1);
}

/* slice and range: three attributes */
static int give_three(pb_frame *f, int64_t *at, int tag, pb_obj o /*borrowed*/, int depth)
{
    static const char *const names[] = {"start", "stop", "step"};
    if (cell(f, at, PB_WORD(tag, 3), 0) != 0)
        return -1;
    for (int i = 0; i < 3; i++) {
        pb_obj item = G.PyObject_GetAttrString(o, names[i]);
        if (item == NULL || give(f, at, item, depth + 1) != 0)
            return -1;
    }
    return 0;
}

/* An object of a subclass of a value type: its handle and the value. */
static int give_subvalue(pb_frame *f, int64_t *at, pb_obj o /*steals*/, int64_t word, int depth)
{
    unsigned long flags = o->type->flags;
    if (o->type == pb_late_float && o->refcount == 1) {    /* nobody will miss the object */
        int64_t bits = pb_bits_of(((pb_float *)o)->value);
        pb_drop(o);
        return cell(f, at, PB_WORD(PB_VALUE, PB_LENGTH(word)), 0) != 0 ? -1 : cell(f, at, PB_FLOAT, bits);
    }
    if (depth >= DEEPEST_GIVEN)
        word = PB_OBJECT;
    if (cell(f, at, word, (int64_t)(intptr_t)o) != 0) {
        pb_drop(o);
        return -1;
    }
    if (word == PB_OBJECT)
        return 0;
    if (flags & PB_TYPE_INT)
        return give_int(f, at, o);
    if (flags & PB_TYPE_STR)
        return give_str(f, at, o);
    if (flags & PB_TYPE_BYTES)
        return give_bytes(f, at, o);
    if (flags & PB_TYPE_TUPLE)
        return give_tuple(f, at, o, depth);
    if (G.PyType_IsSubtype(o->type, (pb_type *)(void *)G.PyComplex_Type))
        return give_complex(f, at, o);
    return cell(f, at, PB_FLOAT, pb_bits_of(((pb_float *)o)->value));
}

/* The word of an object that becomes a proxy.  Of one that nobody else has, nor can get by a
 * weak reference, there is none yet (pybridge/_identity.py).  The list of weak references lies
 * at an offset of the type's, before the object from 3.12 on. */
static inline int64_t object_word(int64_t word, pb_obj o /*borrowed*/)
{
    ssize_t offset = o->type->weaklist_offset;
    if (o->refcount == 1 && !G.refcounts_by_call
        && (offset == 0 || *(void *const *)(const void *)((const char *)o + offset) == NULL))
        return word;
    return word | (int64_t)1 << PB_SHARED_SHIFT;
}

static int give_object(pb_frame *f, int64_t *at, pb_obj o /*steals*/, int depth)
{
    const pb_kind *kind = pb_kind_find(o->type);
    int64_t word = kind == NULL ? PB_UNKNOWN : kind->word;

    if (PB_TAG(word) == PB_VALUE && depth < DEEPEST_GIVEN) {
        pb_obj reducer = pb_dup(kind->reducer);
        pb_obj value = pb_vectorcall_run(reducer, &o, 1, NULL);
        pb_drop(reducer);
        if (value == NULL && G.PyErr_ExceptionMatches(*G.PyExc_Exception)) {
            G.PyErr_Clear();            /* broken, or half made: it stays what it is */
            if (cell(f, at, PB_OBJECT, (int64_t)(intptr_t)o) == 0)
                return 0;
        }
        pb_drop(o);
        if (value == NULL)
            return -1;
        if (cell(f, at, word, 0) != 0) {
            pb_drop(value);
            return -1;
        }
        return give(f, at, value, depth + 1);
    }
    if (PB_TAG(word) == PB_HEAVY) {
        word = pb_weigh_heavy(o, word);
    } else {
        pb_weigh(o);
        if (PB_TAG(word) == PB_VALUE)
            word = PB_OBJECT;
    }
    if (PB_TAG(word) == PB_SUBVALUE)
        return give_subvalue(f, at, o, word, depth);    /* steals */
    if (word != PB_OBJECT && word != PB_UNKNOWN)
        word = object_word(word, o);
    if (cell(f, at, word, (int64_t)(intptr_t)o) == 0)
        return 0;
    pb_drop(o);
    return -1;
}

/* A type crosses as what the host has for it. */
static int give_class(pb_frame *f, int64_t *at, pb_obj o /*steals*/)
{
    const pb_kind *kind = pb_kind_find((pb_type *)(void *)o);
    int64_t word = kind == NULL ? PB_UNKNOWN : PB_WORD(PB_CLASS, PB_LENGTH(kind->word));
    if (cell(f, at, word, (int64_t)(intptr_t)o) == 0)
        return 0;
    pb_drop(o);
    return -1;
}

/* Does a container cross with its items?  Not when it is deep; nor when very many cells are
 * written, because a small tuple that holds another twice, and so on, has no end of items. */
static int by_items(int64_t at, int depth)
{
    return depth < DEEPEST_GIVEN && (at < MOST_NESTED_CELLS || depth == 0);
}

/* The cells may hold owned handles when this fails: pb_give drops them. */
static int give(pb_frame *f, int64_t *at, pb_obj o /*steals*/, int depth)
{
    pb_obj type = &o->type->head;
    int status;

    if (type == G.PyFloat_Type)
        status = cell(f, at, PB_FLOAT, pb_bits_of(((pb_float *)o)->value));
    else if (type == G.PyLong_Type)
        status = give_int(f, at, o);
    else if (o == G._Py_NoneStruct)
        status = cell(f, at, PB_NONE, 0);
    else if (type == G.PyBool_Type)
        status = cell(f, at, o == G._Py_TrueStruct ? PB_TRUE : PB_FALSE, 0);
    else if (type == G.PyUnicode_Type)
        status = give_str(f, at, o);
    else if (type == G.PyTuple_Type && by_items(*at, depth))
        status = give_tuple(f, at, o, depth);
    else if (type == G.PyBytes_Type)
        status = give_bytes(f, at, o);
    else if (type == G.PyComplex_Type)
        status = give_complex(f, at, o);
    else if (type == G.PyFrozenSet_Type && by_items(*at, depth))
        status = give_frozenset(f, at, o, depth);
    else if (type == G.PySlice_Type && by_items(*at, depth))
        status = give_three(f, at, PB_SLICE, o, depth);
    else if (type == G.PyRange_Type)
        status = give_three(f, at, PB_RANGE, o, depth);
    else if (o == G._Py_EllipsisObject)
        status = cell(f, at, PB_ELLIPSIS, 0);
    else if (type == G.PyMethod_Type && by_items(*at, depth)
             && pb_hostobj_is_function(((pb_method_object *)(void *)o)->function))
        status = give_method(f, at, o, depth);
    else if (o == G._Py_NotImplementedStruct)
        status = cell(f, at, PB_NOTIMPLEMENTED, 0);
    else if (type == G.PyTuple_Type || type == G.PyFrozenSet_Type || type == G.PySlice_Type) {
        /* Too deep: a handle.  Never classified, for that would hold at any depth. */
        if (cell(f, at, PB_OBJECT, (int64_t)(intptr_t)o) == 0)
            return 0;
        status = -1;
    } else {
        if (pb_is_linked(o)) {
            status = pb_linked_give(f, at, o);
            if (status == 0)
                return 0;
            if (status < 0)
                goto done;
        }
        pb_obj carrier = pb_hostobj_behind(o);          /* borrowed from o */
        if (carrier == NULL && (o->type->flags & PB_TYPE_TYPE))
            return give_class(f, at, o);                /* steals */
        if (carrier == NULL)
            return give_object(f, at, o, depth);        /* steals */
        /* With its reference: the number is the host object's as long as this one lives. */
        return pb_give_host(f, at, pb_hostobj_number(carrier), o);     /* steals */
    }
done:
    pb_drop(o);
    return status;
}

int pb_give_host(pb_frame *f, int64_t *at, int64_t number, pb_obj carrier /*steals*/)
{
    if (cell(f, at, PB_WORD(PB_HOST, number), (int64_t)(intptr_t)carrier) == 0)
        return 0;
    pb_xdrop(carrier);
    return -1;
}

int pb_give(pb_frame *f, int64_t *at, pb_obj o /*steals*/)
{
    int64_t from = *at;
    if (give(f, at, o, 0) == 0)
        return 0;
    pb_ungive(f, from, *at);
    *at = from;
    return -1;
}

int64_t pb_result(pb_frame *f, pb_obj o /*steals*/)
{
    int64_t at = 0;

    if (PB_UNLIKELY(o == NULL))
        return pb_raised(f);
    if (PB_UNLIKELY(f->cells != f->base))
        pb_frame_shrink(f);                     /* the arguments may have needed a larger block */
    f->text_used = 0;
    if (PB_LIKELY(&o->type->head == G.PyFloat_Type)) {
        f->base[0] = PB_FLOAT;
        f->base[1] = pb_bits_of(((pb_float *)o)->value);
        pb_drop(o);
        return PB_FLOAT;
    }
    if (&o->type->head == G.PyLong_Type && pb_int_small(o, &f->base[1])) {
        f->base[0] = PB_INT;
        pb_drop(o);
        return PB_INT;
    }
    if (PB_UNLIKELY((int64_t)(intptr_t)o == pb_state.twin))
        return pb_answer(f, PB_TWIN, pb_state.twin);
    const pb_kind *kind = &o->type->head == G.PyUnicode_Type ? NULL : pb_kind_find(o->type);
    if (kind != NULL && PB_TAG(kind->word) == PB_OBJECT     /* what most objects are */
        && !(o->type->flags & (PB_TYPE_EXCEPTION | PB_TYPE_TYPE))
        && &o->type->head != G.PyMethod_Type) {
        pb_weigh(o);
        f->base[0] = object_word(kind->word, o);
        f->base[1] = (int64_t)(intptr_t)o;
        return f->base[0];
    }
    if (pb_give(f, &at, o) != 0)
        return pb_raised(f);
    f->given = at;
    if (f->cells != f->base) {                  /* the result did: scalars are read here */
        f->base[0] = f->cells[0];
        f->base[1] = f->cells[1];
    }
    return f->base[0];
}
