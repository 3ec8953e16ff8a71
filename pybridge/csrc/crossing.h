/* SPDX-License-Identifier: MIT
 *
 * How every crossing begins and ends: check the handle, attach; turn the result into cells,
 * detach.  Inlined into each.
 */
#ifndef PB_CROSSING_H
#define PB_CROSSING_H

#include "core.h"

/* NULL: *word is the answer already. */
static inline pb_thread *crossing_begin(pb_frame *f, intptr_t handle, int64_t *word)
{
    pb_thread *t = NULL;
    if (PB_UNLIKELY(handle == 0))
        *word = PB_WORD(PB_REFUSED, PB_RELEASED);
    else
        t = pb_attach(word);
    if (PB_UNLIKELY(t == NULL))
        (void)pb_answer(f, *word, 0);
    return t;
}

/* An interrupt that the guest did not look at is raised as if it had come just now, in
 * place of an error that may be pending. */
static inline int interrupted(pb_thread *t)
{
    return PB_UNLIKELY(pb_interrupted) && t == pb_main_thread && pb_signals_check() != 0;
}

/* An exception of a host function that C code called without the guest GIL ends the call that
 * it happened in.  Gives 1 when there is one, which is pending now. */
static inline int low_kept(pb_thread *t)
{
    if (PB_LIKELY(t->kept == NULL))
        return 0;
    pb_obj error = t->kept;
    t->kept = NULL;
    G.PyErr_SetObject(&error->type->head, error);
    pb_drop(error);
    return 1;
}

/* The result becomes cells, still attached.  NULL: a guest error is pending. */
static inline int64_t crossing_result(pb_thread *t, pb_frame *f, pb_obj result /*steals*/)
{
    if (low_kept(t) || (PB_UNLIKELY(pb_interrupted) && interrupted(t))
        || (PB_UNLIKELY(f->links_used) && pb_linked_push_all(f) != 0)) {
        pb_xdrop(result);
        result = NULL;
    }
    return pb_result(f, result);
}

/* The end of a crossing that may have passed containers, when its arguments are dropped. */
static inline void crossing_leave(pb_thread *t, pb_frame *f)
{
    if (PB_UNLIKELY(f->links_used))
        (void)pb_linked_finish(f);
    pb_detach(t);
}

static inline int64_t crossing_end(pb_thread *t, pb_frame *f, pb_obj result /*steals*/)
{
    int64_t word = crossing_result(t, f, result);
    crossing_leave(t, f);
    return word;
}

/* For results that are no objects, or a handle as it is (PB_OBJECT: new, dropped when an
 * interrupt takes its place); `failed`: a guest error is pending. */
static inline int64_t crossing_end_plain(pb_thread *t, pb_frame *f, int failed, int64_t word, int64_t payload)
{
    if (low_kept(t) || interrupted(t) || (PB_UNLIKELY(f->links_used) && pb_linked_push_all(f) != 0)) {
        if (!failed && PB_TAG(word) == PB_OBJECT)
            pb_drop((pb_obj)(intptr_t)payload);
        failed = 1;
    }
    word = failed ? pb_raised(f) : pb_answer(f, word, payload);
    crossing_leave(t, f);
    return word;
}

#endif
