/* SPDX-License-Identifier: MIT
 *
 * What becomes of a guest object when it crosses to the host, by its exact type: a small
 * hash table from type to kind.  give.c settles the common types before it asks here.
 *
 * The host classifies each type once (pybridge/_values.py), at the first object of it, or when
 * the type itself crosses; until then the object crosses as PB_UNKNOWN.  A kind is a word: a
 * tag (PB_CLASS for types whose objects give.c settles by itself), and the number that the
 * host gave the class.  A heap type that dies takes its entry
 * with it, so that another type at the same address is not mistaken for it.
 *
 * All state here is protected by the guest GIL.
 */
#include <stdlib.h>
#include <string.h>

#include "core.h"

static pb_kind *table;
static size_t capacity, used;       /* used counts tombstones: an entry with word -1 */

static size_t slot_of(const pb_type *type)
{
    uintptr_t bits = (uintptr_t)type >> 4;
    return (size_t)((bits ^ bits >> 9) & (capacity - 1));
}

const pb_kind *pb_kind_find(pb_type *type)
{
    if (capacity == 0)
        return NULL;
    for (size_t i = slot_of(type);; i = (i + 1) & (capacity - 1)) {
        if (table[i].type == type && table[i].word >= 0)
            return &table[i];
        if (table[i].type == NULL)
            return NULL;
    }
}

static pb_kind *free_slot(pb_type *type)
{
    size_t i = slot_of(type);
    while (table[i].type != NULL)
        i = (i + 1) & (capacity - 1);
    return &table[i];
}

/* Make room: twice as much, unless most of it is tombstones. */
static int grow(void)
{
    size_t old_capacity = capacity, live = 0;
    for (size_t i = 0; i < old_capacity; i++)
        live += table[i].type != NULL && table[i].word >= 0;
    size_t fresh_capacity = capacity == 0 ? 256 : live * 4 > capacity ? capacity * 2 : capacity;
    pb_kind *old = table, *fresh = calloc(fresh_capacity, sizeof *fresh);
    if (fresh == NULL)
        return -1;
    table = fresh;
    capacity = fresh_capacity;
    used = 0;
    for (size_t i = 0; i < old_capacity; i++)
        if (old[i].type != NULL && old[i].word >= 0) {
            *free_slot(old[i].type) = old[i];
            used++;
        }
    free(old);
    return 0;
}

static void forget(pb_kind *kind)
{
    pb_obj reducer = kind->reducer, watch = kind->watch;
    kind->word = -1;                /* the address stays, so that probing goes on past it */
    kind->reducer = kind->watch = NULL;
    pb_xdrop(reducer);              /* last: may run guest code, which may come back here */
    pb_xdrop(watch);
}

/* Called by the guest with the dead weak reference. */
static pb_obj type_died(pb_obj self, pb_obj reference)
{
    (void)self;
    for (size_t i = 0; i < capacity; i++)
        if (table[i].watch == reference && table[i].word >= 0) {
            forget(&table[i]);
            break;
        }
    return pb_dup(G._Py_NoneStruct);
}

static pb_method type_died_method = {"type_died", type_died, 8 /* METH_O */, NULL};

/* Has a type's object memory of its own that is worth counting?  Whoever exports a buffer
 * and is larger than a scalar: arrays and the like (numpy's scalars export one too). */
static int owns_memory(const pb_type *type)
{
    return type->buffer != NULL && type->buffer->get != NULL && type->basicsize >= 56;
}

int64_t pb_kind_set(pb_frame *f, intptr_t type_handle, int64_t word, intptr_t reducer)
{
    int64_t refused = 0, answer = PB_NONE;
    pb_type *type = (pb_type *)type_handle;
    pb_obj watch = NULL, callback = NULL, old = NULL;
    pb_thread *t = pb_attach(&refused);

    if (t == NULL)
        return pb_answer(f, refused, 0);
    if (type->flags & PB_TYPE_HEAP) {
        callback = G.PyCFunction_NewEx(&type_died_method, NULL, NULL);
        if (callback != NULL)
            watch = G.PyWeakref_NewRef(&type->head, callback);
        if (watch == NULL) {
            answer = pb_raised(f);
            goto done;
        }
    } else {
        pb_dup(&type->head);        /* static types stay for ever */
    }
    pb_kind *known = (pb_kind *)(uintptr_t)pb_kind_find(type);
    if (known == NULL) {
        if ((used + 1) * 2 > capacity && grow() != 0) {
            answer = pb_answer(f, PB_WORD(PB_REFUSED, PB_NO_MEMORY), 0);
            goto done;
        }
        known = free_slot(type);
        used++;
    }
    old = known->reducer;
    known->type = type;
    known->word = PB_TAG(word) == PB_OBJECT && owns_memory(type) ? PB_WORD(PB_HEAVY, PB_LENGTH(word)) : word;
    known->reducer = reducer ? pb_dup((pb_obj)reducer) : NULL;
    pb_obj fresh = watch;
    watch = known->watch;
    known->watch = fresh;
    answer = pb_answer(f, PB_NONE, 0);
done:
    pb_xdrop(old);                  /* last, as in `forget` */
    pb_xdrop(watch);
    pb_xdrop(callback);
    pb_detach(t);
    return answer;
}

/* The word of a type that is classified, or 0. */
int64_t pb_kind_get(intptr_t type)
{
    int64_t refused = 0;
    pb_thread *t = pb_attach(&refused);
    if (t == NULL)
        return 0;
    const pb_kind *kind = pb_kind_find((pb_type *)type);
    int64_t word = kind == NULL ? 0 : kind->word;
    pb_detach(t);
    return word;
}

/* The host has no class of this number any more: its type, if it lives, is unclassified. */
void pb_kind_forget(int64_t number)
{
    int64_t refused = 0;
    pb_thread *t = pb_attach(&refused);
    if (t == NULL)
        return;
    for (size_t i = 0; i < capacity; i++)
        if (table[i].type != NULL && table[i].word >= 0 && PB_LENGTH(table[i].word) == number) {
            forget(&table[i]);
            break;
        }
    pb_detach(t);
}
