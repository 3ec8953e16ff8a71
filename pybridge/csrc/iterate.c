/* SPDX-License-Identifier: MIT
 *
 * Iteration.  An item at a time in general, because an iterator may do anything between two
 * items.  Items of a list are read ahead: `pb_fetch` looks at the next ones without moving the
 * list iterator, and the host moves it by as many as its program has seen.  The host throws
 * away what it read ahead as soon as anything else has crossed (`pb_state.entered`), so the
 * program cannot tell.
 */
#include <stdio.h>

#include "crossing.h"

typedef struct list_iterator {      /* the same from 3.9 to 3.14 */
    pb_head head;
    ssize_t index;
    pb_obj list;                    /* NULL when it is exhausted */
} list_iterator;

typedef struct pb_list {            /* likewise */
    pb_head head;
    ssize_t size;
    pb_obj *items;
} pb_list;

static void result_begin(pb_frame *f)
{
    pb_frame_shrink(f);
    f->text_used = 0;
}

static int64_t items_end(pb_thread *t, pb_frame *f, list_iterator *it /*steals*/, int64_t n, int64_t at, int tag)
{
    pb_drop(&it->head);
    f->given = at;
    int64_t word = n == 0 ? PB_STOP : PB_WORD(tag, n);
    f->cells[0] = f->base[0] = word;
    f->cells[1] = f->base[1] = pb_state.entered;    /* when the items were seen */
    pb_detach(t);
    return word;
}

/* The next item, or PB_STOP. */
int64_t pb_next(pb_frame *f, intptr_t iterator)
{
    int64_t word = 0;
    pb_thread *t = crossing_begin(f, iterator, &word);
    if (t == NULL)
        return word;
    pb_obj it = (pb_obj)iterator;
    if (it->type->iternext == NULL) {
        char text[256];
        (void)snprintf(text, sizeof text, "'%.200s' object is not an iterator", it->type->name);
        G.PyErr_SetString(*G.PyExc_TypeError, text);
        return crossing_end(t, f, NULL);
    }
    pb_dup(it);
    pb_obj item = it->type->iternext(it);
    pb_drop(it);
    if (item == NULL && G.PyErr_Occurred() == NULL)
        return crossing_end_plain(t, f, 0, PB_STOP, 0);
    return crossing_end(t, f, item);                /* StopIteration with a value included */
}

/* Can pb_fetch read ahead from this object? */
int pb_fetchable(pb_obj o)
{
    return &o->type->head == G.PyListIter_Type;
}

enum {
    NUMBERS = 2 * PB_BASE_CELLS - 2,    /* as many as fit behind the first cell */
    NUMBERS_WORTH = 8,
    ITEMS = 64,
};

/* Items from `index` on as bare numbers behind the first cell, while they are exact floats, or
 * small ints: how many. */
static int64_t numbers_fetch(pb_frame *f, pb_obj list /*borrowed*/, ssize_t index, int64_t most, const pb_obj type)
{
    int64_t n = 0, *out = f->base + 2;
    const pb_obj *items = ((const pb_list *)(const void *)list)->items + index;     /* borrowed */
    int64_t left = G.PyList_Size(list) - index;
    if (most > NUMBERS)
        most = NUMBERS;
    if (most > left)
        most = left;
    if (type == G.PyFloat_Type)
        for (; n < most && &items[n]->type->head == type; n++)
            out[n] = pb_bits_of(((const pb_float *)items[n])->value);
    else
        while (n < most && &items[n]->type->head == type && pb_int_small(items[n], &out[n]))
            n++;
    return n;
}

/* Move a list iterator by the `seen` items that pb_fetch gave before, and give up to `most`
 * items from there: PB_FLOATS or PB_INTS and bare numbers, PB_TUPLE and the items, or PB_STOP. */
int64_t pb_fetch(pb_frame *f, intptr_t iterator, int64_t seen, int64_t most)
{
    int64_t word = 0, at = 1, n = 0;
    pb_thread *t = crossing_begin(f, iterator, &word);
    if (t == NULL)
        return word;
    list_iterator *it = (list_iterator *)(void *)pb_dup((pb_obj)iterator);
    if (it->list != NULL)
        it->index += seen;
    result_begin(f);
    if (most >= NUMBERS_WORTH && it->list != NULL && it->index < G.PyList_Size(it->list)) {
        const pb_obj type = &G.PyList_GetItem(it->list, it->index)->type->head;
        if (type == G.PyFloat_Type || type == G.PyLong_Type)
            n = numbers_fetch(f, it->list, it->index, most, type);
        if (n >= NUMBERS_WORTH)
            return items_end(t, f, it, n, 1, type == G.PyFloat_Type ? PB_FLOATS : PB_INTS);
        n = 0;
    }
    while (n < most && n < ITEMS && it->list != NULL && it->index + n < G.PyList_Size(it->list)) {
        pb_obj item = pb_dup(G.PyList_GetItem(it->list, it->index + n));
        if (pb_give(f, &at, item) != 0) {           /* steals item */
            pb_ungive(f, 1, at);
            pb_drop(&it->head);
            return crossing_end(t, f, NULL);
        }
        n++;
    }
    if (n == 0 && most > 0)
        pb_xdrop(it->head.type->iternext(&it->head));   /* lets the iterator know its end */
    return items_end(t, f, it, n, at, PB_TUPLE);
}
