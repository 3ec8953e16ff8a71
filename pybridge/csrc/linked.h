/* SPDX-License-Identifier: MIT
 *
 * What the files about linked containers share: linked.c, how they cross, and linkedtype.c,
 * what they do in the guest.  See linked.c.
 */
#ifndef PB_LINKED_H
#define PB_LINKED_H

#include "vectorcall.h"

enum { LIST, DICT, SET, KINDS };

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

extern pb_type *pb_linked_bases[KINDS];
extern ssize_t pb_linked_sizes[KINDS];      /* of the base's object: where `linked` begins */
extern pb_obj pb_linked_write_through, pb_linked_fetch;     /* functions of guest/linked.py */

static inline int kind_of(const pb_head *o)
{
    for (int kind = 0; kind < KINDS; kind++)
        if (o->type == pb_linked_types[kind])
            return kind;
    return -1;
}

static inline linked *linked_of(pb_obj o, int kind)
{
    return (linked *)(void *)((char *)o + pb_linked_sizes[kind]);
}

static inline int alive(const linked *l)
{
    return (l->number != 0 || l->serial != 0) && l->base != NULL;
}

/* A plain copy, untracked. new, or NULL with an error set */
pb_obj pb_linked_copied(pb_obj o, int kind);
/* Run one of the two functions on `o`.  0, or -1 with an error set */
int pb_linked_run(pb_obj function, pb_obj o, linked *l);
/* Write through what differs from the base.  0, or -1 with an error set */
int pb_linked_push(pb_obj o, int kind);

#endif
