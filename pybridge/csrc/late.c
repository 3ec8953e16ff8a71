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

/* new, or NULL with an error set.  As numpy makes them: its class gives the memory, of which the
 * value is where it is in any float (give.c reads it there). */
pb_obj pb_late_float_new(double value)
{
    if (pb_late_float == NULL)
        return G.PyFloat_FromDouble(value);
    pb_obj (*alloc)(const pb_type *, ssize_t) = (pb_obj (*)(const pb_type *, ssize_t))pb_late_float->alloc;
    pb_obj made = alloc(pb_late_float, 0);
    if (made != NULL)
        ((pb_float *)made)->value = value;
    return made;
}

/* PB_OBJECT: an object of the class `type`, numpy.float64, with this value. */
int64_t pb_late_float_make(pb_frame *f, intptr_t type, double value)
{
    int64_t refused = 0, answer;
    pb_thread *t = pb_attach(&refused);
    if (t == NULL)
        return pb_answer(f, refused, 0);
    pb_obj made = NULL;
    if ((const pb_type *)type == pb_late_float) {
        made = pb_late_float_new(value);
    } else {
        pb_obj x = G.PyFloat_FromDouble(value);
        made = x == NULL ? NULL : pb_vectorcall_run((pb_obj)type, &x, 1, NULL);
        pb_xdrop(x);
    }
    answer = made == NULL ? pb_raised(f) : pb_answer(f, PB_OBJECT, (int64_t)(intptr_t)made);
    pb_detach(t);
    return answer;
}
