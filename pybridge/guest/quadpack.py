# SPDX-License-Identifier: MIT
"""scipy's integrators in C, whose places functions of the bridge take (csrc/quadpack.c).

Only if everything is as known; otherwise scipy is left alone.
"""

import sys

# ORDER QUADPACK: csrc/quadpack.c
_NAMES = ("_qagse", "_qagie", "_qagpe", "_qawoe", "_qawfe", "_qawse", "_qawce")
# Arguments with which the first two are tried out: the function's place, limits, and so on.
_TRIALS = (
    ((None, 0.1, 0.937, (), 0, 0.0, 1e-13, 50), (None, -7.3, 2.9, (), 0, 0.0, 1e-13, 50)),
    tuple(
        (None, bound, infinite, (), 0, 0.0, 1e-13, 50)
        for bound, infinite in ((0.1, 1), (0.7, -1), (0, 2))
    ),
)


def quadpack_find():
    """A list of what the core needs to make functions of its own, or None."""
    module = sys.modules.get("scipy.integrate._quadpack")
    callback = sys.modules.get("scipy._lib._ccallback")
    try:
        functions = [getattr(module, name) for name in _NAMES]
        callable_class = callback.LowLevelCallable
    except AttributeError:
        return None
    if not issubclass(callable_class, tuple) or any(
        type(f) is not type(len) for f in functions
    ):
        return None
    return [callable_class, *_TRIALS, *functions]


def quadpack_use(made):
    """Put the core's functions into the places of scipy's, unless somebody was faster."""
    module = sys.modules.get("scipy.integrate._quadpack")
    for name, function in zip(_NAMES, made[-len(_NAMES) :]):
        if getattr(module, name, None) is function.__self__:
            setattr(module, name, function)
