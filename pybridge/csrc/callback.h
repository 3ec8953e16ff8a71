/* SPDX-License-Identifier: MIT
 *
 * What the files of callbacks tell one another: callframe.c, sitenames.c, callback.c, and
 * those that do a part of it, points.c and quadpack.c.  callback.c tells the steps.
 *
 * All state is protected by the guest GIL.
 */
#ifndef PB_CALLBACK_H
#define PB_CALLBACK_H

#include "core.h"

/* ---- callframe.c ---- */

/* The host's, outside: calls the host object of that number, or answers one of those below.  Negative
 * when it failed. */
extern int (*pb_host_entry)(pb_frame *, int64_t number, int64_t nargs, int64_t nkeywords);
/* Numbers that no host object has: _AGAIN and _LIMIT in pybridge/_callback.py. */
static const int64_t HOST_FAILED = INT64_MAX, HOST_LIMIT = INT64_MAX - 1,
    HOST_SETTLE = INT64_MAX - 2, HOST_HOT = INT64_MAX - 3 /* ORDER HOT, ORDER POINTS */,
    HOST_NAMES = INT64_MAX - 4;

typedef struct pb_callback_frame {
    pb_frame frame;
    struct pb_callback_frame *next;
} pb_callback_frame;
extern pb_callback_frame *pb_callback_frames;       /* idle ones */
pb_callback_frame *pb_callback_frame_make(void);    /* NULL with an error set */

/* NULL with an error set */
static inline pb_frame *pb_callback_frame_get(void)
{
    pb_callback_frame *f = pb_callback_frames;
    if (PB_LIKELY(f != NULL))
        pb_callback_frames = f->next;
    else
        f = pb_callback_frame_make();
    return f == NULL ? NULL : &f->frame;
}

static inline void pb_callback_frame_put(pb_frame *f /*steals*/)
{
    pb_callback_frame *cf = (pb_callback_frame *)(void *)f;     /* its first member */
    pb_frame_shrink(f);
    cf->next = pb_callback_frames;
    pb_callback_frames = cf;
}

/* ---- sitenames.c: the names of keywords ---- */

enum { SITES = 128, SITE_MOST = 3 /* pybridge/_keywords.py: MOST */ };
enum { SITE_TOLD = -1, SITE_TELLING = -2 };     /* instead of a count */
typedef struct pb_site {
    pb_obj names;               /* owned */
    int64_t number;             /* the host's, when told */
    int seen;
} pb_site;
extern pb_site pb_sites[SITES];
int pb_site_counted(pb_site *s, pb_obj names /*borrowed*/, int64_t nargs);
/* Inside, to outside and back: 0, or -1 when the host failed, outside then. */
int pb_site_tell(pb_site *s, pb_frame *f, pb_outside *outside);

/* The entry of a tuple that is told or is to be told now, or NULL. */
static inline pb_site *pb_site_find(pb_obj names /*borrowed*/, int64_t nargs)
{
    pb_site *s = &pb_sites[((uintptr_t)names >> 4) % SITES];
    if (PB_LIKELY(s->seen == SITE_TOLD))
        return s->names == names && nargs <= SITE_MOST ? s : NULL;
    return pb_site_counted(s, names, nargs) ? s : NULL;
}

/* ---- callback.c: its steps, for points.c ---- */
int pb_callback_refused(const pb_host_function *self, pb_thread *t);    /* 1 with an error set, or 0 */
int pb_callback_limited(pb_frame *f);                                   /* likewise */
int pb_callback_arguments(pb_frame *f, const pb_obj *args, int64_t nargs);  /* 0, or -1 with an error set */
/* Step in after the host's answer: what it is in the end. */
int pb_callback_end(pb_thread *t, pb_frame *f, pb_outside *outside, int answer);
pb_obj pb_callback_taken(pb_frame *f, int answer);          /* new, or NULL with an error set */
int pb_callback_signalled(pb_thread *t, int failed);        /* 1 with an error set, or 0 */

#endif
