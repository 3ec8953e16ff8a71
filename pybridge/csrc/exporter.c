/* SPDX-License-Identifier: MIT
 *
 * Host memory in the guest: objects of type `host_memory`, which export a buffer that is a
 * host object's own memory.  Each is a host object like those of hostobj.c, with a number, so
 * that it comes back as the host object it stands for; the host keeps that object, and what
 * holds its memory in place, until this one is gone.
 *
 * The host may describe the memory anew (it was resized), but not while the guest has a buffer
 * of it: pb_export_set answers PB_STOP then.
 *
 * All state is protected by the guest GIL.
 */
#include <stdlib.h>
#include <string.h>

#include "crossing.h"
#include "guard.h"

enum { MOST_DIMENSIONS = 64 };
/* Py_buffer requests */
enum { WRITABLE = 1, FORMAT = 4, ND = 8, STRIDES = 0x18, C_CONTIGUOUS = 0x38, F_CONTIGUOUS = 0x58, ANY_CONTIGUOUS = 0x98 };

typedef struct exporter {
    pb_head head;
    int64_t tag;                /* as in hostobj.c: the number + 1 */
    pb_export memory;           /* shape, strides and format in `parts` */
    int64_t *parts;             /* owned */
    int64_t exports;            /* buffers that the guest holds */
    int c_order, f_order;
} exporter;

static int contiguous(const pb_export *m, int fortran)
{
    int64_t step = m->itemsize;
    if (m->bytes == 0)
        return 1;
    for (int64_t k = 0; k < m->ndim; k++) {
        int64_t i = fortran ? k : m->ndim - 1 - k;
        if (m->shape[i] != 1 && m->strides[i] != step)
            return 0;
        step *= m->shape[i];
    }
    return 1;
}

static int getbuffer(pb_obj self, pb_buffer *out, int flags)
{
    exporter *e = (exporter *)self;
    const pb_export *m = &e->memory;
    const char *why = NULL;

    out->obj = NULL;
    if (e->parts == NULL || pb_state.state != 1)
        why = "this memory belongs to the host, which has closed the bridge";
    else if ((flags & WRITABLE) && m->readonly)
        why = "the host's memory is read-only";
    else if ((flags & C_CONTIGUOUS) == C_CONTIGUOUS && !e->c_order)
        why = "the host's memory is not C-contiguous";
    else if ((flags & F_CONTIGUOUS) == F_CONTIGUOUS && !e->f_order)
        why = "the host's memory is not Fortran contiguous";
    else if ((flags & ANY_CONTIGUOUS) == ANY_CONTIGUOUS && !e->c_order && !e->f_order)
        why = "the host's memory is not contiguous";
    else if ((flags & STRIDES) != STRIDES && !e->c_order)
        why = "the host's memory has gaps";
    if (why != NULL) {
        G.PyErr_SetString(*G.PyExc_BufferError, why);
        return -1;
    }
    *out = (pb_buffer){
        .buf = m->address, .obj = pb_dup(self), .len = m->bytes, .itemsize = m->itemsize,
        .readonly = (int)m->readonly, .ndim = (int)m->ndim,
        .format = (flags & FORMAT) ? m->format : NULL,
        .shape = (flags & ND) ? m->shape : NULL,
        .strides = (flags & STRIDES) == STRIDES ? m->strides : NULL};
    if (!(flags & ND))
        out->ndim = 1;          /* as PyBuffer_FillInfo */
    e->exports++;
    return 0;
}

static void releasebuffer(pb_obj self, pb_buffer *out)
{
    (void)out;
    ((exporter *)self)->exports--;
}

static void let_go(exporter *e)
{
    if (e->parts != NULL && e->memory.block != NULL)
        pb_guard_unpin(e->memory.block);
    free(e->parts);
    e->parts = NULL;
}

static void exporter_dealloc(pb_obj self)
{
    pb_type *type = self->type;
    let_go((exporter *)self);
    pb_entry_drop(((exporter *)self)->tag - 1, self);
    G.PyObject_Free(self);
    pb_drop(&type->head);
}

/* Describe the memory of a `host_memory` that pb_host_new made.  Everything is copied, except
 * the memory.  PB_NONE; PB_STOP: the guest has a buffer of what it was before; PB_REFUSED when
 * the block cannot be guarded. */
int64_t pb_export_set(pb_frame *f, intptr_t object, const pb_export *what)
{
    int64_t word = 0;
    exporter *e = (exporter *)object;
    pb_thread *t = crossing_begin(f, object, &word);
    if (t == NULL)
        return word;
    size_t n = (size_t)what->ndim, text = strlen(what->format) + 1;
    int64_t *parts = NULL;
    if (e->exports > 0)
        word = PB_STOP;
    else if (what->ndim > MOST_DIMENSIONS || (parts = malloc(2 * n * sizeof *parts + text)) == NULL)
        word = PB_WORD(PB_REFUSED, PB_NO_MEMORY);
    else if (what->block != NULL && pb_guard_pin(what->block) != 0)
        word = PB_WORD(PB_REFUSED, PB_NO_GUARD);
    else {
        let_go(e);
        e->memory = *what;
        e->memory.shape = parts;
        e->memory.strides = parts + n;
        e->memory.format = (char *)(parts + 2 * n);
        memcpy(e->memory.shape, what->shape, n * sizeof *parts);
        memcpy(e->memory.strides, what->strides, n * sizeof *parts);
        memcpy(e->memory.format, what->format, text);
        e->parts = parts;
        parts = NULL;
        e->c_order = contiguous(&e->memory, 0);
        e->f_order = contiguous(&e->memory, 1);
        word = PB_NONE;
    }
    free(parts);
    return crossing_end_plain(t, f, 0, word, 0);
}

int pb_exporter_start(void)
{
    pb_slot slots[] = {
        {1 /* bf_getbuffer */, (const void *)(intptr_t)getbuffer},
        {2 /* bf_releasebuffer */, (const void *)(intptr_t)releasebuffer},
        {52 /* tp_dealloc */, (const void *)(intptr_t)exporter_dealloc},
        {0, NULL}, {0, NULL}};
    return pb_hostobj_memory_type("pybridge.host_memory", (int)sizeof(exporter), slots);
}
