/* SPDX-License-Identifier: MIT
 *
 * The names of keywords with which the guest calls the host.
 *
 * A call site's names are one tuple, the same object each time.  A tuple that comes again is
 * told to the host (HOST_NAMES), and from then on the values are given alone.  The table holds it,
 * so that no other can be at its address; a tuple that was made for one call only is soon
 * replaced.  The host's half is pybridge/_keywords.py.
 *
 * All state is protected by the guest GIL.
 */
#include "callback.h"

enum { TELL_AFTER = 8 };        /* calls */
pb_site pb_sites[SITES];
static int64_t told;

/* Count a tuple whose entry is not told: 1 when it is to be told now. */
int pb_site_counted(pb_site *s, pb_obj names /*borrowed*/, int64_t nargs)
{
    if (s->seen == SITE_TELLING || nargs > SITE_MOST || G.PyTuple_Size(names) > SITE_MOST)
        return 0;
    if (s->names != names) {
        pb_xdrop(s->names);     /* a tuple of texts: no code runs */
        s->names = pb_dup(names);
        s->seen = 0;
    }
    return ++s->seen >= TELL_AFTER;
}

int pb_site_tell(pb_site *s, pb_frame *f, pb_outside *outside)
{
    int64_t at = 0;
    s->seen = SITE_TELLING;
    s->number = told++;
    f->text_used = 0;
    if (pb_give(f, &at, pb_dup(s->names)) != 0) {
        G.PyErr_Clear();
        s->seen = 0;
        return 0;
    }
    f->given = 0;
    pb_thread *t = pb_step_out(outside);
    if (pb_host_entry(f, HOST_NAMES, s->number, 0) != 0) {
        s->seen = 0;            /* TELLING: nobody else has changed it */
        return -1;
    }
    pb_step_in(t, outside);
    t->turns--;                 /* no code of the program has run */
    s->seen = SITE_TOLD;
    return 0;
}
