/* SPDX-License-Identifier: MIT
 *
 * numpy.float64, of which the host has objects of its own: from the guest comes the value
 * (give.c), and a guest object is made when somebody asks for it (pybridge/_scalars.py).
 *
 * The class is written and read under the guest GIL; it lives for ever.
 */
#include "vectorcall.h"

const pb_type *pb_late_float;

void pb_late_float_set(intptr_t type)
{
    int64_t refused = 0;
    pb_thread *t = pb_attach(&refused);
    if (t == NULL)
        return;
    pb_late_float = (const pb_type *)type;
    pb_detach(t);
}

/* PB_OBJECT: an object of the class `type`, numpy.float64, with this value. */
int64_t pb_late_float_make(pb_frame *f, intptr_t type, double value)
{
    int64_t refused = 0, answer;
    pb_thread *t = pb_attach(&refused);
    if (t == NULL)
        return pb_answer(f, refused, 0);
    pb_obj x = G.PyFloat_FromDouble(value);
    pb_obj made = x == NULL ? NULL : pb_vectorcall_run((pb_obj)type, &x, 1, NULL);
    pb_xdrop(x);
    answer = made == NULL ? pb_raised(f) : pb_answer(f, PB_OBJECT, (int64_t)(intptr_t)made);
    pb_detach(t);
    return answer;
}
