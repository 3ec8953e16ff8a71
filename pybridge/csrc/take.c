/* SPDX-License-Identifier: MIT
 *
 * Host to guest: cells become a guest object.
 *
 * Values nested deeper than DEEPEST_TAKEN are refused with RecursionError.  A cell with a
 * handle is borrowed: the host's proxy keeps the object during the call.
 *
 * Needs the guest GIL; may run guest code (hashing, PB_BUILD).
 */
#include "core.h"

enum { DEEPEST_TAKEN = 400 };

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
        pb_obj item = floats ? G.PyFloat_FromDouble(pb_double_of(items[i]))
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
        pb_obj item = pb_text_make(text, lengths[i]);
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
        return G.PyFloat_FromDouble(pb_double_of(payload));
    case PB_INT:
        return G.PyLong_FromLongLong(payload);
    case PB_LATE:
        return pb_late_float_new(pb_double_of(payload));
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
        return pb_text_make(address, n);
    case PB_BYTES:
        return G.PyBytes_FromStringAndSize(address, n);
    case PB_BIGINT:
        return G._PyLong_FromByteArray(address, (size_t)n, 1, 1);
    case PB_COMPLEX:
        *at += 1;
        return G.PyComplex_FromDoubles(pb_double_of(payload), pb_double_of(c[3]));
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
