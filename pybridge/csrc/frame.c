/* SPDX-License-Identifier: MIT
 *
 * Frames: the memory through which arguments and results pass.
 *
 * A frame has a base block that never moves, so that the host may keep typed pointers to
 * it, and a larger block made on demand for a value of many cells; `cells` points to the
 * one in use.  Text going to the host is copied into the frame, because the guest object
 * that owns it may be gone by the time that the host reads it.
 *
 * Any thread; no lock: a frame has one user at a time (host.h).
 */
#include <stdlib.h>
#include <string.h>

#include "core.h"

enum { BASE_TEXT = 4096, KEEP_TEXT = 1 << 20 };

int pb_frame_open(pb_frame *f, int64_t index)
{
    f->base = calloc(PB_BASE_CELLS, 2 * sizeof(int64_t));
    f->text = malloc(BASE_TEXT);
    f->cells = f->base;
    f->capacity = PB_BASE_CELLS;
    f->text_capacity = BASE_TEXT;
    f->text_used = 0;
    f->index = index;
    f->links = NULL;
    f->numbers = NULL;
    f->links_used = f->links_capacity = f->links_serial = 0;
    if (f->base != NULL && f->text != NULL)
        return 0;
    free(f->base);
    free(f->text);
    f->base = f->cells = NULL;
    f->text = NULL;
    return -1;
}

void pb_frame_close(pb_frame *f)
{
    if (f->base == NULL)
        return;
    pb_frame_shrink(f);
    free(f->base);
    free(f->text);
    free(f->links);             /* what they hold, if the host was interrupted, is lost */
    free(f->numbers);
    f->cells = f->base = NULL;
    f->text = NULL;
}

void pb_frame_shrink(pb_frame *f)
{
    if (f->cells != f->base) {
        free(f->cells);
        f->cells = f->base;
        f->capacity = PB_BASE_CELLS;
    }
}

/* Room for `cells` cells, of which the first `kept` are kept. */
int pb_cells_reserve(pb_frame *f, int64_t cells, int64_t kept)
{
    if (cells <= f->capacity)
        return 0;
    if (cells > INT64_MAX / 64)
        return -1;
    int64_t capacity = f->capacity;
    while (capacity < cells)
        capacity *= 2;
    int64_t *block = malloc((size_t)capacity * 2 * sizeof(int64_t));
    if (block == NULL)
        return -1;
    memcpy(block, f->cells, (size_t)kept * 2 * sizeof(int64_t));
    if (f->cells != f->base)
        free(f->cells);
    f->cells = block;
    f->capacity = capacity;
    return 0;
}

int pb_frame_reserve(pb_frame *f, int64_t cells, int64_t kept)
{
    return pb_cells_reserve(f, cells, kept);
}

int64_t pb_text_copy(pb_frame *f, const char *bytes, int64_t length)
{
    if (f->text_used == 0 && f->text_capacity > KEEP_TEXT && length < KEEP_TEXT) {
        char *small = realloc(f->text, BASE_TEXT);   /* one huge text is not kept for ever */
        if (small != NULL) {
            f->text = small;
            f->text_capacity = BASE_TEXT;
        }
    }
    int64_t at = f->text_used;
    if (length > f->text_capacity - at) {
        int64_t capacity = at + length + (at + length) / 2;
        char *more = realloc(f->text, (size_t)capacity);
        if (more == NULL)
            return -1;
        f->text = more;
        f->text_capacity = capacity;
    }
    memcpy(f->text + at, bytes, (size_t)length);
    f->text_used = at + length;
    return at;
}
