# SPDX-License-Identifier: MIT
"""What is measured, and what is wanted of it."""

from __future__ import annotations

EMPTY = "an empty loop"

# The ratio to native CPython that is not to be exceeded; None where there is no goal.
GOALS: dict[str, float | None] = {
    EMPTY: None,
    "sqrt(x)": 1.0,
    "math.sqrt(x)": 1.0,
    "f(x), a guest function": 0.85,
    "f(x, y=1), a guest function": None,
    "callback with a keyword": None,
    "point.x, an int": 1.0,
    "o.m(1)": 1.15,
    "dict get": 0.7,
    "dict set": 1.2,
    "list get": 0.5,
    "for x in a list": 0.3,
    "for x in a generator": 0.9,
    "exception caught": 2.0,
    "a list of 10 ints as an argument": 3.0,
    "text, 10 there and back": None,
    "text, 1000 there and back": None,
    "text, 1M there and back": None,
    "text, 1M Cyrillic there and back": None,
    "Empty(), created and dropped": 1.5,
    "np.empty(1)": 1.3,
    "x + x, 10 elements": 1.2,
    "x + x, 1000 elements": None,
    "x + x, 100000 elements": None,
    "y = x + y * c, 100000 elements": None,
    "a[1:], a slice": None,
    "matrix.shape[0]": None,
    "x.sum(), 10 elements": 1.03,
    "list of floats to array, each": 0.06,
    "array to list, each": 0.02,
    "80 MB to the guest": None,
    "80 MB to the host": None,
    "callback from reduce": 1.7,
    "Nelder-Mead, a step": 0.5,
    "v[i], a double of a view": None,
    "a[i], a double of an array": 0.02,
    "a[i], an int64": None,
    "a[i, j]": None,
    "for row in a: row[j]": None,
    "n += a[i] > c": None,
    "a[i] % 3.0": None,
    "two fields of a record": 0.02,
    "for x in a, an array": 0.05,
    "a[i] = a[i] * c": 0.02,
    "np.sqrt(2.0)": 0.3,
    "jv(1.0, x)": 0.2,
    "expit(x)": 0.3,
    "ndtr(x)": 0.3,
    "native np.sqrt(x)": 0.3,
    "native jv(1.0, x)": 0.2,
    "native expit(x)": 0.3,
    "native ndtr(x)": 0.3,
    "quad, cheap, a point": 0.7,
    "quad, cheap, lowlevel": 0.7,
    "quad, 30 flops, a point": 0.25,
    "quad, 30 flops, lowlevel": 0.25,
}

# Likewise, of whole processes.
START_GOALS = {"start to math.sqrt": 1.9, "start to scipy.special": 1.12}

# In nanoseconds, of what native CPython does by passing a pointer.
GOALS_NS = {
    "text, 10 there and back": 90.0,
    "text, 1000 there and back": 400.0,
    "text, 1M there and back": 0.3e6,
    "text, 1M Cyrillic there and back": 2e6,
    "80 MB to the guest": 3000.0,
    "80 MB to the host": 3000.0,
}

# Of these both sides are taken less an empty loop; of the others the loop is a part.
LESS_LOOP = {
    "exception caught",
    "Empty(), created and dropped",
    "np.empty(1)",
    "x + x, 10 elements",
    "x + x, 1000 elements",
    "x + x, 100000 elements",
    "y = x + y * c, 100000 elements",
    "a[1:], a slice",
    "n += a[i] > c",
    "a[i] % 3.0",
    "x.sum(), 10 elements",
    "v[i], a double of a view",
    "a[i], a double of an array",
    "a[i], an int64",
    "a[i, j]",
    "for row in a: row[j]",
    "two fields of a record",
    "for x in a, an array",
    "a[i] = a[i] * c",
    "np.sqrt(2.0)",
    "jv(1.0, x)",
    "expit(x)",
    "ndtr(x)",
    "native np.sqrt(x)",
    "native jv(1.0, x)",
    "native expit(x)",
    "native ndtr(x)",
}

_GOALS = {**GOALS, **START_GOALS}


def ratio(row: str, native: float, own: float, empty: tuple[float, float]) -> float:
    """Of one figure to native CPython's, both in ns an operation; `empty`: the empty loop of
    the one and the other."""
    if row in LESS_LOOP:
        native, own = native - empty[0], own - empty[1]
    return max(own, 0.0) / native


def reached(row: str, found: float, ns: float) -> bool | None:
    """Is the goal reached by this ratio, or time?  None: there is no goal."""
    if row in GOALS_NS:
        return ns <= GOALS_NS[row]
    goal = _GOALS.get(row)
    return None if goal is None else found <= goal


def goal_text(row: str) -> str:
    """As "<= 0.5", "<= 90 ns", or ""."""
    if row in GOALS_NS:
        return f"<= {GOALS_NS[row]:g} ns"
    goal = _GOALS.get(row)
    return "" if goal is None else f"<= {goal:g}"
