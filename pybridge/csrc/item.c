/* SPDX-License-Identifier: MIT
 *
 * Items of lists and dicts: the crossings of pb_operate, without an object for the index and
 * without a look at what the container is.  Those of a subclass go the general way, as it may
 * have methods of its own.
 */
#include "crossing.h"

/* An item that the container holds, still. */
static int64_t item_end(pb_thread *t, pb_frame *f, pb_obj item /*borrowed, or NULL with an error*/)
{
    if (PB_LIKELY(item != NULL))
        pb_dup(item);
    return crossing_end(t, f, item);
}

int64_t pb_list_get(pb_frame *f, intptr_t self, int64_t index)
{
    int64_t word = 0;
    pb_obj list = (pb_obj)self;
    pb_thread *t = crossing_begin(f, self, &word);
    if (t == NULL)
        return word;
    if (PB_LIKELY(&list->type->head == G.PyList_Type)) {
        if (index < 0)
            index += G.PyList_Size(list);
        return item_end(t, f, G.PyList_GetItem(list, index));
    }
    pb_dup(list);
    pb_obj key = G.PyLong_FromLongLong(index), item = NULL;
    if (key != NULL)
        item = G.PyObject_GetItem(list, key);
    pb_xdrop(key);
    pb_drop(list);
    return crossing_end(t, f, item);
}

/* The new item is in the cells. */
int64_t pb_list_set(pb_frame *f, intptr_t self, int64_t index)
{
    int64_t word = 0, at = 0;
    pb_obj list = (pb_obj)self, key = NULL;
    pb_thread *t = crossing_begin(f, self, &word);
    if (t == NULL)
        return word;
    int failed = 1;
    pb_dup(list);
    pb_obj item = pb_take(f, &at);
    if (item != NULL && &list->type->head == G.PyList_Type) {
        if (index < 0)
            index += G.PyList_Size(list);
        failed = G.PyList_SetItem(list, index, item) != 0;      /* steals item */
        pb_drop(list);
        return crossing_end_plain(t, f, failed, PB_NONE, 0);
    }
    if (item != NULL)
        key = G.PyLong_FromLongLong(index);
    if (key != NULL)
        failed = G.PyObject_SetItem(list, key, item) != 0;
    pb_xdrop(key);
    pb_xdrop(item);
    pb_drop(list);
    return crossing_end_plain(t, f, failed, PB_NONE, 0);
}

/* The key is in the cells. */
int64_t pb_dict_get(pb_frame *f, intptr_t self)
{
    int64_t word = 0, at = 0;
    pb_obj dict = (pb_obj)self, item = NULL;
    pb_thread *t = crossing_begin(f, self, &word);
    if (t == NULL)
        return word;
    pb_dup(dict);
    pb_obj key = pb_take(f, &at);
    if (key != NULL) {
        if (PB_LIKELY(&dict->type->head == G.PyDict_Type)) {
            item = G.PyDict_GetItemWithError(dict, key);        /* borrowed */
            if (item != NULL)
                pb_dup(item);
        }
        if (item == NULL && G.PyErr_Occurred() == NULL)
            item = G.PyObject_GetItem(dict, key);               /* its KeyError, or the subclass's */
    }
    pb_xdrop(key);
    pb_drop(dict);
    return crossing_end(t, f, item);
}
