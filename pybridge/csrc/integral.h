/* SPDX-License-Identifier: MIT
 *
 * One integration of a host function by scipy: integral.c, used by quadpack.c.
 */
#ifndef PB_INTEGRAL_H
#define PB_INTEGRAL_H

#include "core.h"

typedef struct pb_integral {
    pb_asked asked;             /* of the probe: function is NULL */
    pb_rule rule;
    int64_t next;               /* of the points: the one that comes */
    double x[PB_RULE_MOST], y[PB_RULE_MOST];
    int failed;
    pb_obj error[3];            /* owned, by then */
    /* Where many intervals are allowed, until scipy has a Python function: */
    int keeps, given_up;
    struct kept { double x, y; } *kept;         /* owned */
    int64_t used, capacity, repeated;           /* the second time: how many of them have been given */
} pb_integral;

/* What scipy calls for a point, as it names the type. */
#define PB_INTEGRAL_POINT "double (double, void *)"
/* By rule: 1 while that integrator's points have always been as known. */
extern int pb_integral_foreseen[PB_RULES];
extern pb_quadpack pb_quadpack_counts;
/* scipy's LowLevelCallable. */
extern pb_type *pb_integral_callable;       /* owned, or NULL */

void pb_integral_begin(pb_integral *i);
/* Call scipy's function `scipys` with the integral in the place of its first argument; `small`: few
 * intervals are allowed. new, or NULL with an error set */
pb_obj pb_integral_run(const pb_cfunction *scipys, pb_integral *i, pb_obj args /*borrowed*/, int small);

#endif
