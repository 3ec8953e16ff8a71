/* SPDX-License-Identifier: MIT
 *
 * Which points quadpack asks for.  Its integrators of finite and of infinite ranges (dqagse, dqagie)
 * begin with the whole, and then halve one interval after the other, whichever has the largest
 * error.  Of an interval they ask a fixed rule's points (dqk21, dqk15i), in a fixed order, and
 * of an interval's right half always after its left one.  So the first point says which interval
 * it is, and what follows is known: 21 points, or 15, twice as many when both ends are infinite,
 * twice as many for two halves.
 *
 * The numbers are computed as quadpack does, expression by expression, to the last bit.  If another
 * build of it rounds otherwise (a fused multiply-add), its points differ from these, and
 * quadpack.c, which compares, finds out at its start.
 *
 * Knows nothing of the guest.
 */
#include <stdlib.h>

#include "core.h"

/* dqk21's and dqk15i's abscissae, in the order in which they are used. */
static const double nodes_21[] = {
    0.973906528517171720077964012084452, 0.865063366688984510732096688423493,
    0.679409568299024406234327365114874, 0.433395394129247190799265943165784,
    0.148874338981631210884826001129720, 0.995657163025808080735527280689003,
    0.930157491355708226001207180059508, 0.780817726586416897063717578345042,
    0.562757134668604683339000099272694, 0.294392862701460198131126603103866};
static const double nodes_15[] = {
    0.991455371120812639206854697526329, 0.949107912342758524526189684047851,
    0.864864423359769072789712788640926, 0.741531185599394439863864773280788,
    0.586087235467691130294144838258730, 0.405845151377397166906606412076961,
    0.207784955007898467600689403773245};
enum { NODES_21 = sizeof nodes_21 / sizeof *nodes_21, NODES_15 = sizeof nodes_15 / sizeof *nodes_15 };

static double *points_21(double low, double high, double *p)
{
    const double centre = 0.5 * (low + high), half = 0.5 * (high - low);
    *p++ = centre;
    for (int i = 0; i < NODES_21; i++) {
        const double distance = half * nodes_21[i];
        *p++ = centre - distance;
        *p++ = centre + distance;
    }
    return p;
}

/* Where a point of (0, 1) lies in the infinite range. */
static double stretched(const pb_rule *r, double x)
{
    const double direction = r->infinite < 0 ? -1.0 : 1.0;
    return (r->infinite == 2 ? 0.0 : r->low) + direction * (1.0 - x) / x;
}

static double *points_15(const pb_rule *r, double low, double high, double *p)
{
    const double centre = 0.5 * (low + high), half = 0.5 * (high - low);
    const int both = r->infinite == 2;
    *p = stretched(r, centre);
    if (both) {
        p[1] = -p[0];
        p++;
    }
    p++;
    for (int i = 0; i < NODES_15; i++) {
        const double distance = half * nodes_15[i];
        p[0] = stretched(r, centre - distance);
        p[1] = stretched(r, centre + distance);
        if (both) {
            p[2] = -p[0];
            p[3] = -p[1];
            p += 2;
        }
        p += 2;
    }
    return p;
}

static double *points_of(const pb_rule *r, double low, double high, double *p)
{
    return r->kind == PB_RULE_FINITE ? points_21(low, high, p) : points_15(r, low, high, p);
}

/* 0, or -1 without memory */
static int interval_add(pb_rule *r, double low, double high)
{
    if (r->used == r->capacity) {
        int64_t capacity = r->capacity == 0 ? 32 : 2 * r->capacity;
        pb_interval *intervals = realloc(r->intervals, (size_t)capacity * sizeof *intervals);
        if (intervals == NULL)
            return -1;
        r->intervals = intervals;
        r->capacity = capacity;
    }
    double points[PB_RULE_MOST];
    (void)points_of(r, low, 0.5 * (low + high), points);
    r->intervals[r->used++] = (pb_interval){low, high, points[0]};
    return 0;
}

/* The interval of whose left half `x` is the first point: its index, or -1.  If several have that
 * point, as they may far out in an infinite range, it is not known which. */
static int64_t interval_find(const pb_rule *r, double x)
{
    int64_t found = -1;
    for (int64_t i = 0; i < r->used; i++)
        if (pb_bits_of(r->intervals[i].first) == pb_bits_of(x)) {
            if (found >= 0)
                return -1;
            found = i;
        }
    return found;
}

int64_t pb_rule_next(pb_rule *r, double x, double *points)
{
    if (r->used == 0) {
        const double low = r->kind == PB_RULE_FINITE ? r->low : 0.0;
        const double high = r->kind == PB_RULE_FINITE ? r->high : 1.0;
        const double *end = points_of(r, low, high, points);
        if (pb_bits_of(points[0]) != pb_bits_of(x) || interval_add(r, low, high) != 0)
            return 0;
        return end - points;
    }
    const int64_t at = interval_find(r, x);
    if (at < 0)
        return 0;
    const double low = r->intervals[at].low, high = r->intervals[at].high, middle = 0.5 * (low + high);
    r->intervals[at] = r->intervals[--r->used];
    if (interval_add(r, low, middle) != 0 || interval_add(r, middle, high) != 0)
        return 0;
    return points_of(r, middle, high, points_of(r, low, middle, points)) - points;
}

void pb_rule_end(pb_rule *r)
{
    free(r->intervals);
    r->intervals = NULL;
}
