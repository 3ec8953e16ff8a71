/* SPDX-License-Identifier: MIT
 *
 * Errors as a tag: the pending guest exception moves into cell 0 of the frame as an owned
 * reference, so nothing is kept per thread and no second crossing can find a stale error.
 *
 * Needs the guest GIL.
 */
#include "core.h"

pb_obj pb_exception_take(void)
{
    if (G.PyErr_GetRaisedException != NULL)
        return G.PyErr_GetRaisedException();
    pb_obj type = NULL, value = NULL, traceback = NULL;
    G.PyErr_Fetch(&type, &value, &traceback);
    if (type == NULL)
        return NULL;
    G.PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL && value != NULL)
        G.PyException_SetTraceback(value, traceback);
    pb_xdrop(type);
    pb_xdrop(traceback);
    return value;
}

int64_t pb_answer(pb_frame *f, int64_t word, int64_t payload)
{
    if (PB_UNLIKELY(f->cells != f->base))
        pb_frame_shrink(f);
    f->base[0] = word;
    f->base[1] = payload;
    return word;
}

int64_t pb_raised(pb_frame *f)
{
    pb_obj exception = pb_exception_take();
    if (exception == NULL) {
        /* A guest function broke the C API's rule; CPython says the same. */
        G.PyErr_SetString(*G.PyExc_SystemError, "a guest function returned NULL without setting an exception");
        exception = pb_exception_take();
    }
    return pb_answer(f, PB_ERROR, (int64_t)(intptr_t)exception);
}
