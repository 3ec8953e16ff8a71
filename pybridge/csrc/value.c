/* SPDX-License-Identifier: MIT
 *
 * Values: guest objects to cells (give) and cells to guest objects (take).
 *
 * Exact types only: an object of a subclass is not the value of its base, it crosses as a
 * handle.  Tuples and frozensets cross with their items, down to DEEPEST; deeper ones stay
 * handles, so that a hostile depth cannot exhaust the stack.
 *
 * Needs the guest GIL; may run guest code (reducers, hashing), so anything may have changed
 * when a function here returns, except what the caller owns.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vectorcall.h"

enum { DEEPEST_GIVEN = 100, DEEPEST_TAKEN = 400, MOST_NESTED_CELLS = 1 << 22 };

static int no_memory(void)
{
    (void)G.PyErr_NoMemory();
    return -1;
}

/* ---- guest to host ---- */

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

static int64_t bits_of(double value)
{
    int64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static double double_of(int64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
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
    if (cell(f, at, PB_COMPLEX, bits_of(G.PyComplex_RealAsDouble(o))) != 0)
        return -1;
    return cell(f, at, PB_COMPLEX, bits_of(G.PyComplex_ImagAsDouble(o)));
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

/* The head of numpy's PyArrayObject, the same from numpy 1 to 2. */
typedef struct array_object {
    pb_head head;
    char *data;
    int ndim;
    const intptr_t *shape, *strides;
    pb_obj base;                    /* whose memory it is, or NULL: its own */
} array_object;

/* o as a numpy array, or NULL if it is none. */
static const array_object *as_array(pb_obj o /*borrowed*/)
{
    static const pb_type *ndarray;
    if (o->type != ndarray) {
        if (strcmp(o->type->name, "numpy.ndarray") != 0 || o->type->basicsize < (ssize_t)sizeof(array_object))
            return NULL;
        ndarray = o->type;          /* a static type: it lives for ever */
    }
    return (const array_object *)(const void *)o;
}

/* Of an array in one piece; its buffer would say the same, at the price of ten additions of
 * such arrays. */
static int64_t array_bytes(const array_object *a)
{
    int64_t most = 0;
    for (int i = 0; i < a->ndim; i++) {
        int64_t extent = a->shape[i] * (a->strides[i] < 0 ? -a->strides[i] : a->strides[i]);
        if (extent > most)
            most = extent;
    }
    return most;
}

static const pb_type *late_float;   /* written under the guest GIL */

void pb_late_float_set(intptr_t type)
{
    int64_t refused = 0;
    pb_thread *t = pb_attach(&refused);
    if (t == NULL)
        return;
    late_float = (const pb_type *)type;
    pb_detach(t);
}

/* PB_OBJECT: an object of the class `type`, numpy.float64, with this value. */
int64_t pb_late_float_make(pb_frame *f, intptr_t type, double value)
{
    int64_t refused = 0, answer;
    pb_thread *t = pb_attach(&refused);
    if (t == NULL)
        return pb_answer(f, refused, 0);
    pb_obj x = G.PyFloat_FromDouble(value);
    pb_obj made = x == NULL ? NULL : pb_vectorcall_run((pb_obj)type, &x, 1, NULL);
    pb_xdrop(x);
    answer = made == NULL ? pb_raised(f) : pb_answer(f, PB_OBJECT, (int64_t)(intptr_t)made);
    pb_detach(t);
    return answer;
}

/* An object of a subclass of a value type: its handle and the value. */
static int give_subvalue(pb_frame *f, int64_t *at, pb_obj o /*steals*/, int64_t word, int depth)
{
    unsigned long flags = o->type->flags;
    if (o->type == late_float && o->refcount == 1) {    /* nobody will miss the object */
        int64_t bits = bits_of(((pb_float *)o)->value);
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
    return cell(f, at, PB_FLOAT, bits_of(((pb_float *)o)->value));
}

enum { LIGHT = 2048 };              /* bytes */

static int64_t bytes_owned(pb_obj o /*borrowed*/)
{
    pb_buffer view;
    int64_t bytes = o->type->basicsize;
    const array_object *a = as_array(o);
    if (a != NULL)                  /* the death of one that is part of another frees little */
        return a->base != NULL ? bytes : bytes + array_bytes(a);
    if (o->type->buffer != NULL && o->type->buffer->get != NULL) {
        if (G.PyObject_GetBuffer(o, &view, 0x11c /* PyBUF_FULL_RO */) == 0) {
            bytes += view.len;
            G.PyBuffer_Release(&view);
        } else {
            G.PyErr_Clear();
        }
    }
    return bytes;
}

/* Count the memory that goes when the host's handle goes: of an object that nobody else has.
 * The third word of a list, dict and set is how many items it has, from 3.9 to 3.14. */
static inline void weigh(pb_obj o /*borrowed*/)
{
    if (o->refcount != 1)
        return;
    int64_t bytes = o->type->basicsize;
    const pb_obj type = &o->type->head;
    if (type == G.PyList_Type)
        bytes += 8 * ((const int64_t *)(const void *)o)[2];
    else if (type == G.PyDict_Type || type == G.PySet_Type)
        bytes += 100 * ((const int64_t *)(const void *)o)[2];
    pb_state.heavy_bytes += bytes;
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
        int64_t bytes = bytes_owned(o);
        if (o->refcount == 1)
            pb_state.heavy_bytes += bytes;
        const array_object *a = as_array(o);
        if (a != NULL && a->base == NULL && bytes < LIGHT)
            word = PB_WORD(PB_OBJECT, PB_LENGTH(word));     /* it may wait for its neighbours */
    } else {
        weigh(o);
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
        status = cell(f, at, PB_FLOAT, bits_of(((pb_float *)o)->value));
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

void pb_ungive(pb_frame *f, int64_t from, int64_t to)
{
    pb_obj exception = pb_exception_take();     /* destructors must not see it */
    for (int64_t i = from; i < to; i++) {
        int64_t *c = f->cells + 2 * i;
        int tag = PB_TAG(c[0]);
        if (tag == PB_OBJECT || tag == PB_HEAVY || tag == PB_UNKNOWN || tag == PB_HOST
            || tag == PB_CLASS || tag == PB_SUBVALUE)
            pb_xdrop((pb_obj)(intptr_t)c[1]);
        c[0] = PB_NONE;
    }
    if (exception != NULL) {
        G.PyErr_SetObject(&exception->type->head, exception);
        pb_drop(exception);
    }
}

/* The host could not read all cells: drop what it has not taken over. */
void pb_frame_ungive(pb_frame *f)
{
    int64_t refused = 0;
    pb_thread *t = pb_attach(&refused);
    if (t == NULL)
        return;
    pb_ungive(f, 0, f->given);
    f->given = 0;
    pb_detach(t);
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
        f->base[1] = bits_of(((pb_float *)o)->value);
        pb_drop(o);
        return PB_FLOAT;
    }
    if (&o->type->head == G.PyLong_Type && pb_int_small(o, &f->base[1])) {
        f->base[0] = PB_INT;
        pb_drop(o);
        return PB_INT;
    }
    const pb_kind *kind = pb_kind_find(o->type);
    if (kind != NULL && PB_TAG(kind->word) == PB_OBJECT     /* what most objects are */
        && !(o->type->flags & (PB_TYPE_EXCEPTION | PB_TYPE_TYPE))
        && &o->type->head != G.PyMethod_Type) {
        weigh(o);
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

/* ---- host to guest ---- */

static pb_obj take(const pb_frame *f, int64_t *at, int depth);

typedef int (*pb_store)(pb_obj container, ssize_t i, pb_obj item /*steals*/);

static int store_set(pb_obj container, ssize_t i, pb_obj item /*steals*/)
{
    (void)i;
    int status = G.PySet_Add(container, item);
    pb_drop(item);
    return status;
}

static pb_obj take_items(const pb_frame *f, int64_t *at, int64_t n, pb_obj container /*steals*/,
                         pb_store store, int depth)
{
    if (container == NULL)
        return NULL;
    for (ssize_t i = 0; i < n; i++) {
        pb_obj item = take(f, at, depth + 1);
        if (item == NULL || store(container, i, item) != 0) {    /* steals item */
            pb_drop(container);
            return NULL;
        }
    }
    return container;
}

static pb_obj take_dict(const pb_frame *f, int64_t *at, int64_t n, int depth)
{
    pb_obj dict = G.PyDict_New();
    for (int64_t i = 0; dict != NULL && i < n; i++) {
        pb_obj value = NULL, key = take(f, at, depth + 1);
        if (key != NULL)
            value = take(f, at, depth + 1);
        if (value == NULL || G.PyDict_SetItem(dict, key, value) != 0) {
            pb_drop(dict);
            dict = NULL;
        }
        pb_xdrop(key);
        pb_xdrop(value);
    }
    return dict;
}

static pb_obj take_numbers(const int64_t *items, int64_t n, int floats)
{
    pb_obj list = G.PyList_New(n);
    if (list == NULL)
        return NULL;
    for (ssize_t i = 0; i < n; i++) {
        pb_obj item = floats ? G.PyFloat_FromDouble(double_of(items[i]))
                             : G.PyLong_FromLongLong(items[i]);
        if (item == NULL || G.PyList_SetItem(list, i, item) != 0) {    /* steals item */
            pb_drop(list);
            return NULL;
        }
    }
    return list;
}

static pb_obj take_texts(const char *text, const int64_t *lengths, int64_t n)
{
    pb_obj list = G.PyList_New(n);
    for (ssize_t i = 0; list != NULL && i < n; i++) {
        pb_obj item = G.PyUnicode_DecodeUTF8(text, lengths[i], "surrogatepass");
        if (item == NULL || G.PyList_SetItem(list, i, item) != 0) {    /* steals item */
            pb_drop(list);
            return NULL;
        }
        text += lengths[i];
    }
    return list;
}

/* A guest callable applied to a tuple of n taken items. */
static pb_obj take_call(const pb_frame *f, int64_t *at, int64_t n, pb_obj callable /*borrowed*/, int depth)
{
    pb_obj args = take_items(f, at, n, G.PyTuple_New(n), G.PyTuple_SetItem, depth);
    if (args == NULL)
        return NULL;
    pb_obj out = G.PyObject_CallObject(callable, args);
    pb_drop(args);
    return out;
}

static pb_obj take_slice(const pb_frame *f, int64_t *at, int depth)
{
    pb_obj parts[3] = {NULL, NULL, NULL}, out = NULL;
    for (int i = 0; i < 3; i++)
        if ((parts[i] = take(f, at, depth + 1)) == NULL)
            goto done;
    out = G.PySlice_New(parts[0], parts[1], parts[2]);
done:
    for (int i = 0; i < 3; i++)
        pb_xdrop(parts[i]);
    return out;
}

static pb_obj take(const pb_frame *f, int64_t *at, int depth)
{
    const int64_t *c = f->cells + 2 * *at;
    int64_t n = PB_LENGTH(c[0]), payload = c[1];
    const void *address = (const void *)(intptr_t)payload;

    *at += 1;
    if (PB_UNLIKELY(depth > DEEPEST_TAKEN)) {
        G.PyErr_SetString(*G.PyExc_RecursionError, "a value nested deeper than 400 levels cannot cross");
        return NULL;
    }
    switch (PB_TAG(c[0])) {
    case PB_FLOAT:
        return G.PyFloat_FromDouble(double_of(payload));
    case PB_INT:
        return G.PyLong_FromLongLong(payload);
    case PB_NONE:
        return pb_dup(G._Py_NoneStruct);
    case PB_TRUE:
        return pb_dup(G._Py_TrueStruct);
    case PB_FALSE:
        return pb_dup(G._Py_FalseStruct);
    case PB_OBJECT:
        if (payload == 0) {
            G.PyErr_SetString(*G.PyExc_ReferenceError, "a proxy among the arguments was released: its guest object is gone");
            return NULL;
        }
        return pb_dup((pb_obj)(intptr_t)payload);
    case PB_STR:
        return G.PyUnicode_DecodeUTF8(address, n, "surrogatepass");
    case PB_BYTES:
        return G.PyBytes_FromStringAndSize(address, n);
    case PB_BIGINT:
        return G._PyLong_FromByteArray(address, (size_t)n, 1, 1);
    case PB_COMPLEX:
        *at += 1;
        return G.PyComplex_FromDoubles(double_of(payload), double_of(c[3]));
    case PB_ELLIPSIS:
        return pb_dup(G._Py_EllipsisObject);
    case PB_NOTIMPLEMENTED:
        return pb_dup(G._Py_NotImplementedStruct);
    case PB_TUPLE:
        return take_items(f, at, n, G.PyTuple_New(n), G.PyTuple_SetItem, depth);
    case PB_LIST:
        return take_items(f, at, n, G.PyList_New(n), G.PyList_SetItem, depth);
    case PB_SET:
        return take_items(f, at, n, G.PySet_New(NULL), store_set, depth);
    case PB_FROZENSET:
        return take_items(f, at, n, G.PyFrozenSet_New(NULL), store_set, depth);
    case PB_DICT:
        return take_dict(f, at, n, depth);
    case PB_FLOATS:
        return take_numbers(address, n, 1);
    case PB_INTS:
        return take_numbers(address, n, 0);
    case PB_TEXTS:
        *at += 1;
        return take_texts(address, (const int64_t *)(intptr_t)c[3], n);
    case PB_LINK:       /* a frame is changed only by whoever takes from it: us */
        return pb_linked_take((pb_frame *)(uintptr_t)f, at, n, payload, depth);
    case PB_SAME:
        return pb_dup((pb_obj)f->links[n]);
    case PB_SLICE:
        return take_slice(f, at, depth);
    case PB_RANGE:
        return take_call(f, at, 3, G.PyRange_Type, depth);
    case PB_BUILD:
        return take_call(f, at, n, (pb_obj)(intptr_t)payload, depth);
    default:
        G.PyErr_SetString(*G.PyExc_SystemError, "pybridge: a cell with an unknown tag");
        return NULL;
    }
}

pb_obj pb_take_at(const pb_frame *f, int64_t *at, int depth)
{
    return take(f, at, depth);
}

pb_obj pb_take(const pb_frame *f, int64_t *at)
{
    return take(f, at, 0);
}

pb_obj pb_take_borrowed(const pb_frame *f, int64_t *at, int *owned)
{
    const int64_t *c = f->cells + 2 * *at;
    *owned = c[0] != PB_OBJECT || c[1] == 0;
    if (*owned)
        return take(f, at, 0);
    *at += 1;
    return (pb_obj)(intptr_t)c[1];
}
