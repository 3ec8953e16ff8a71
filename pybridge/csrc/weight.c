/* SPDX-License-Identifier: MIT
 *
 * How many bytes go when the handle of an object with a buffer goes.
 */
#include <string.h>

#include "weight.h"

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

static int64_t bytes_owned(pb_obj o /*borrowed*/)
{
    pb_buffer view;
    int64_t bytes = o->type->basicsize;
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

enum { LIGHT = 2048 };              /* bytes */

/* The word for an array, and the bytes that it owns: those of one that is part of another are the
 * other's, which it keeps alive. */
static int64_t array_word(const array_object *a, int64_t word, int64_t *bytes)
{
    const array_object *owner = a;
    if (a->base != NULL)
        owner = as_array(a->base);
    else
        *bytes += array_bytes(a);
    if (owner == NULL)              /* a part of something else */
        return word;
    if (owner->base == NULL && array_bytes(owner) < LIGHT)
        return PB_WORD(PB_OBJECT, PB_LENGTH(word));         /* it may wait for its neighbours */
    return owner == a ? word : word | (int64_t)1 << PB_PART_SHIFT;
}

int64_t pb_weigh_heavy(pb_obj o /*borrowed*/, int64_t word)
{
    const array_object *a = as_array(o);
    int64_t bytes = a == NULL ? bytes_owned(o) : o->type->basicsize;
    if (a != NULL)
        word = array_word(a, word, &bytes);
    if (o->refcount == 1)
        pb_state.heavy_bytes += bytes;
    return word;
}
