/* SPDX-License-Identifier: MIT
 *
 * The core's half of the table of host objects: for each number the guest object that stands
 * for it, as long as there is one.  The host's half is pybridge/_table.py.
 *
 * Destructors here cannot wait for the host: a dropped number goes into a list, linked
 * through an array as long as the table so that dropping needs no memory, and the host
 * collects it later.
 *
 * A guest object to which something of the guest refers weakly is not dropped with its last
 * strong reference: it stands for a host object that may live on, and a registry of bound
 * methods (weakref.WeakMethod) must find it as long as that lives.  The table *keeps* it: its
 * own reference is the only one, and the host holds its object weakly from then on.  When the
 * host object dies, or nothing refers weakly any more, pb_kept_drop lets go of it.
 *
 * An entry of a host class also has a weak reference to the guest class of its objects.
 *
 * All state is protected by the guest GIL.
 */
#include <stdlib.h>
#include <string.h>

#include "core.h"

static pb_entry *table;
static int64_t table_size, dropped = -1;

pb_entry *pb_entry_find(int64_t number)
{
    return number >= 0 && number < table_size ? &table[number] : NULL;
}

pb_entry *pb_entry_reserve(int64_t number)
{
    int64_t size = table_size ? table_size : 64;
    while (size <= number)
        size *= 2;
    if (size != table_size) {
        pb_entry *more = realloc(table, (size_t)size * sizeof *more);
        if (more == NULL)
            return NULL;
        memset(more + table_size, 0, (size_t)(size - table_size) * sizeof *more);
        table = more;
        table_size = size;
    }
    return &table[number];
}

static void queue(int64_t number)
{
    if (table[number].state != PB_KNOWN)
        return;
    table[number].state = PB_QUEUED;
    table[number].next = dropped;
    dropped = number;
    pb_state.dropped++;
}

void pb_entry_drop(int64_t number, pb_obj o)
{
    pb_entry *e = pb_entry_find(number);
    if (e == NULL || e->object != o)
        return;
    pb_obj watch = e->guest_class;
    e->object = e->guest_class = NULL;
    e->kept = e->mortal = 0;
    queue(number);
    pb_xdrop(watch);
}

int pb_entry_set(int64_t number, pb_obj o)
{
    pb_entry *e = pb_entry_reserve(number);
    if (e == NULL)
        return -1;
    e->state = PB_KNOWN;
    e->object = o;
    return 0;
}

/* A handle to the guest's object for host object `number`, or PB_NONE: it has none now. */
int64_t pb_host_live(pb_frame *f, int64_t number)
{
    int64_t refused = 0, answer;
    pb_thread *t = pb_attach(&refused);
    if (t == NULL)
        return pb_answer(f, refused, 0);
    const pb_entry *e = pb_entry_find(number);
    if (e == NULL || e->object == NULL || e->state == PB_FORGOTTEN)
        answer = pb_answer(f, PB_NONE, 0);
    else
        answer = pb_answer(f, PB_OBJECT, (int64_t)(intptr_t)pb_dup(e->object));
    pb_detach(t);
    return answer;
}

int pb_entry_keep(int64_t number, pb_obj o)
{
    pb_entry *e = pb_entry_find(number);
    if (e == NULL || e->object != o || e->mortal || e->state == PB_FORGOTTEN || pb_state.state != 1
        || G.refcounts_by_call)         /* its counts are not to be written */
        return 0;
    o->refcount |= 1;           /* it was 0; from 3.14 on flags follow in the same word */
    e->kept = 1;
    queue(number);
    return 1;
}

int64_t pb_dropped_take(int64_t *numbers, int64_t most)
{
    int64_t refused = 0, n = 0;
    pb_thread *t = pb_attach(&refused);
    if (t == NULL)
        return 0;
    while (dropped >= 0 && n < most) {
        int64_t number = dropped;
        dropped = table[number].next;
        pb_state.dropped--;
        table[number].state = PB_KNOWN;         /* it may have been passed to the guest again */
        if (table[number].kept) {
            numbers[n++] = -1 - number;
        } else if (table[number].object == NULL) {
            table[number].state = PB_FORGOTTEN;
            numbers[n++] = number;
        }
    }
    pb_detach(t);
    return n;
}

/* Of each kept number, what holds its guest object, written over the number: 2 strong
 * references besides the table's, 1 only weak ones, 0 nothing; -1 when it is not kept. */
int pb_kept_look(int64_t *numbers, int64_t n)
{
    int64_t refused = 0;
    pb_thread *t = pb_attach(&refused);
    if (t == NULL)
        return -1;
    for (int64_t i = 0; i < n; i++) {
        const pb_entry *e = pb_entry_find(numbers[i]);
        if (e == NULL || !e->kept)
            numbers[i] = -1;
        else if ((int32_t)e->object->refcount != 1)
            numbers[i] = 2;
        else
            numbers[i] = pb_hostobj_is_watched(e->object);
    }
    pb_detach(t);
    return 0;
}

/* Let go of the table's own reference.  `ended`: the host object is no more, so that the
 * guest's weak references die too. */
int pb_kept_drop(int64_t number, int ended)
{
    int64_t refused = 0;
    pb_thread *t = pb_attach(&refused);
    if (t == NULL)
        return -1;
    pb_entry *e = pb_entry_find(number);
    if (e != NULL && e->kept) {
        e->kept = 0;
        e->mortal = (unsigned char)(ended != 0);
        pb_drop(e->object);
    }
    pb_detach(t);
    return 0;
}
