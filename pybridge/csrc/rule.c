/* SPDX-License-Identifier: MIT
 *
 * Which points quadpack asks for.  Its integrators begin with one interval, or some, and then halve
 * one after the other, whichever has the largest error.  Of an interval they ask a rule's points, in
 * a fixed order, and of an interval's right half always right after its left one.  So the first
 * point says which interval it is, and what follows is known: a rule's points, or two rules'.
 *
 *     dqagse             dqk21         dqagpe   dqk21, begins with the intervals between break points
 *     dqagie             dqk15i        on (0, 1), which is stretched; both ends infinite: -x after x
 *     dqawoe             dqc25f        dqk15w's points where the weight is smooth, else 25 of Chebyshev's
 *     dqawse, dqawce     dqc25s, dqc25c        likewise
 *     dqawfe             dqawoe of one cycle, of the next...
 *
 * The numbers are computed as quadpack does, expression by expression, to the last bit.  If another
 * build of it rounds otherwise (a fused multiply-add), its points differ from these, and
 * quadpack.c, which compares, finds out at its start.
 *
 * Knows nothing of the guest.
 */
#include <math.h>
#include <stdlib.h>

#include "core.h"

/* ---- rules ---- */

/* Nodes in the order in which they are used, and as quadpack writes them. */
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
static const double nodes_15_weighted[] = {
    0.9491079123427585, 0.7415311855993944, 0.4058451513773972, 0.9914553711208126,
    0.8648644233597691, 0.5860872354676911, 0.2077849550078985};
static const double nodes_25[] = {
    0.991444861373810411144557526928563, 0.965925826289068286749743199728897,
    0.923879532511286756128183189396788, 0.866025403784438646763723170752936,
    0.793353340291235164579776961501299, 0.707106781186547524400844362104849,
    0.608761429008720639416097542898164, 0.500000000000000000000000000000000,
    0.382683432365089771728459984030399, 0.258819045102520762348898837624048,
    0.130526192220051591548406227895489};

typedef enum { KRONROD, STRETCHED, WEIGHTED, CHEBYSHEV } shape;
#define NODES(x) x, sizeof x / sizeof *x
static const struct { const double *nodes; size_t n; } rules[] = {
    [KRONROD] = {NODES(nodes_21)}, [STRETCHED] = {NODES(nodes_15)},
    [WEIGHTED] = {NODES(nodes_15_weighted)}, [CHEBYSHEV] = {NODES(nodes_25)}};

/* The rules of an integrator: one or two. */
static const struct { shape first, last; } shapes[] = {
    [PB_RULE_FINITE] = {KRONROD, KRONROD}, [PB_RULE_INFINITE] = {STRETCHED, STRETCHED},
    [PB_RULE_BREAKS] = {KRONROD, KRONROD}, [PB_RULE_WAVE] = {WEIGHTED, CHEBYSHEV},
    [PB_RULE_CYCLES] = {WEIGHTED, CHEBYSHEV}, [PB_RULE_POWERS] = {WEIGHTED, CHEBYSHEV},
    [PB_RULE_POLE] = {WEIGHTED, CHEBYSHEV}};

/* Where a point of (0, 1) lies in the infinite range. */
static double stretched(const pb_rule *r, double x)
{
    const double direction = r->infinite < 0 ? -1.0 : 1.0;
    return (r->infinite == 2 ? 0.0 : r->bound) + direction * (1.0 - x) / x;
}

static double first_of(const pb_rule *r, shape s, double low, double high)
{
    const double centre = 0.5 * (low + high), half = 0.5 * (high - low);
    return s == CHEBYSHEV ? centre + half : s == STRETCHED ? stretched(r, centre) : centre;
}

/* The end of the points. */
static double *points_of(const pb_rule *r, shape s, double low, double high, double *p)
{
    const double centre = 0.5 * (low + high), half = 0.5 * (high - low);
    const int both = s == STRETCHED && r->infinite == 2;
    *p++ = first_of(r, s, low, high);
    if (both) {
        p[0] = -p[-1];
        p++;
    }
    if (s == CHEBYSHEV) {
        *p++ = centre;
        *p++ = centre - half;
    }
    for (size_t i = 0; i < rules[s].n; i++) {
        const double distance = half * rules[s].nodes[i], down = centre - distance, up = centre + distance;
        p[0] = s == STRETCHED ? stretched(r, down) : s == CHEBYSHEV ? up : down;
        p[1] = s == STRETCHED ? stretched(r, up) : s == CHEBYSHEV ? down : up;
        if (both) {
            p[2] = -p[0];
            p[3] = -p[1];
            p += 2;
        }
        p += 2;
    }
    return p;
}

static int same(double x, double y)
{
    return pb_bits_of(x) == pb_bits_of(y);
}

/* ---- intervals ---- */

/* Where quadpack divides one. */
static double middle_of(const pb_rule *r, double low, double high)
{
    double middle = 0.5 * (low + high);
    if (r->kind == PB_RULE_POLE) {
        if (r->pole <= middle && r->pole > low)
            middle = 0.5 * (r->pole + high);
        if (r->pole > middle && r->pole < high)
            middle = 0.5 * (low + r->pole);
    }
    return middle;
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
    const double middle = middle_of(r, low, high);
    r->intervals[r->used++] = (pb_interval){
        low, high, {first_of(r, shapes[r->kind].first, low, middle), first_of(r, shapes[r->kind].last, low, middle)}};
    return 0;
}

/* The points of an interval that comes now, and is known: 0 if `x` is not its first one. */
static int64_t interval_begin(pb_rule *r, double x, double low, double high, double *points)
{
    for (shape s = shapes[r->kind].first; s <= shapes[r->kind].last; s++)
        if (same(first_of(r, s, low, high), x))
            return interval_add(r, low, high) != 0 ? 0 : points_of(r, s, low, high, points) - points;
    return 0;
}

/* The interval of whose left half `x` is the first point: its index, and by which rule; or NONE, or
 * SEVERAL, as may be far out in an infinite range. */
enum { NONE = -1, SEVERAL = -2 };

static int64_t interval_find(const pb_rule *r, double x, shape *which)
{
    int64_t found = NONE;
    for (shape s = shapes[r->kind].first; s <= shapes[r->kind].last; s++)
        for (int64_t i = 0; i < r->used; i++)
            if (same(r->intervals[i].first[s - shapes[r->kind].first], x)) {
                if (found != NONE)
                    return SEVERAL;
                found = i;
                *which = s;
            }
    return found;
}

/* The points of an interval's left half, and of its right one if their rule is known. */
static int64_t interval_halve(pb_rule *r, int64_t at, shape s, double *points)
{
    const double low = r->intervals[at].low, high = r->intervals[at].high, middle = middle_of(r, low, high);
    double *end = points_of(r, s, low, middle, points);
    r->intervals[at] = r->intervals[--r->used];
    if (interval_add(r, low, middle) != 0)
        return 0;
    if (shapes[r->kind].first != shapes[r->kind].last) {
        r->right[0] = middle;
        r->right[1] = high;
        r->halved = 1;
    } else {
        if (interval_add(r, middle, high) != 0)
            return 0;
        end = points_of(r, s, middle, high, end);
    }
    return end - points;
}

/* ---- what the core calls ---- */

int64_t pb_rule_next(pb_rule *r, double x, double *points)
{
    shape s = KRONROD;
    if (r->halved) {
        r->halved = 0;
        return interval_begin(r, x, r->right[0], r->right[1], points);
    }
    if (r->begun < r->whole) {
        r->begun++;
        return interval_begin(r, x, r->edges[r->begun - 1], r->edges[r->begun], points);
    }
    const int64_t at = interval_find(r, x, &s);
    if (r->kind == PB_RULE_CYCLES && at == NONE) {
        r->used = 0;
        r->edges[0] = r->edges[1];
        r->edges[1] = r->edges[1] + r->cycle;
        return interval_begin(r, x, r->edges[0], r->edges[1], points);
    }
    return at < 0 ? 0 : interval_halve(r, at, s, points);
}

void pb_rule_end(pb_rule *r)
{
    if (r->edges != r->few)
        free(r->edges);
    free(r->intervals);
    r->edges = NULL;
    r->intervals = NULL;
}
