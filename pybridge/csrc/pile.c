/* SPDX-License-Identifier: MIT
 *
 * Objects that only the host had, and has no more, wait in a pile for its collector to find that
 * out: some thousands, where natively each would be gone at once.  The guest's cycle collector
 * takes them for the program's.  It looks through the youngest every 700 or 2000 objects that were
 * made and not dropped, finds all of the pile alive, and when enough were found alive through
 * everything there is: 20 ms with scipy, for every 30,000 exceptions that the host caught.
 *
 * So its threshold is raised (gc.set_threshold) by what a pile has, as far as that is not the
 * usual number, and lowered again when piles become small.  A guest whose objects the host does
 * not drop in masses keeps its own threshold; so does a program that sets one, from then on.
 *
 * All with the guest GIL and no error pending.  The tuples made here may have the collector run,
 * and so finalizers, other threads, and this again: `busy`.
 */
#include "core.h"

enum {
    USUAL = 128,            /* objects that the lowest threshold, 700, has room for */
    MOST = 8192,
    PARTS = 4,              /* objects for each: an exception has a traceback, frame, arguments */
    PATIENCE = 64           /* small piles, one after the other, before it is lowered */
};

static pb_obj get, set;     /* gc.get_threshold, gc.set_threshold; NULL: hands off */
static int64_t own;         /* the threshold that the guest had */
static int64_t ours;        /* what we set last */
static int64_t expected = USUAL;
static int small;
static int busy;

/* -1: perhaps with a guest error set. */
static int64_t threshold(void)
{
    int overflow = 0;
    int64_t first = -1;
    pb_obj all = G.PyObject_CallObject(get, NULL);
    pb_obj item = all == NULL ? NULL : G.PyTuple_GetItem(all, 0);
    if (item != NULL)
        first = G.PyLong_AsLongLongAndOverflow(item, &overflow);
    pb_xdrop(all);
    return first;
}

/* 0, or -1 with a guest error set. */
int pb_pile_start(void)
{
    pb_obj module = G.PyImport_ImportModule("gc");
    if (module == NULL)
        return -1;
    get = G.PyObject_GetAttrString(module, "get_threshold");
    if (get != NULL)
        set = G.PyObject_GetAttrString(module, "set_threshold");
    pb_drop(module);
    if (set == NULL)
        return -1;
    ours = own = threshold();
    return G.PyErr_Occurred() == NULL ? 0 : -1;
}

static int threshold_set(int64_t value)
{
    pb_obj n = G.PyLong_FromLongLong(value);
    pb_obj args = n == NULL ? NULL : G.PyTuple_New(1);
    pb_obj result = NULL;
    if (args != NULL) {
        (void)G.PyTuple_SetItem(args, 0, pb_dup(n));    /* steals */
        result = G.PyObject_CallObject(set, args);      /* the other thresholds stay */
    }
    pb_xdrop(args);
    pb_xdrop(n);
    pb_xdrop(result);
    return result == NULL ? -1 : 0;
}

static void expect(int64_t objects)
{
    busy = 1;
    int64_t now = threshold();
    expected = objects;
    int64_t wanted = objects == USUAL ? own : own + PARTS * objects;
    if (now <= 0 || now != ours || threshold_set(wanted) != 0) {    /* 0: it does not collect */
        G.PyErr_Clear();
        set = NULL;
    }
    ours = wanted;
    busy = 0;
}

void pb_pile_dropped(int64_t objects)
{
    if (set == NULL || busy)
        return;
    if (objects > expected && expected < MOST) {
        int64_t room = expected;
        while (room < objects && room < MOST)
            room *= 2;
        small = 0;
        expect(room);
    } else if (4 * objects >= expected) {
        small = 0;
    } else if (expected > USUAL && ++small > PATIENCE) {
        small = 0;
        expect(expected / 2);
    }
}
