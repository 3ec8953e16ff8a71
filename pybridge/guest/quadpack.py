# SPDX-License-Identifier: MIT
"""scipy's integrators in C, whose places functions of the bridge take (csrc/quadpack.c).

Only if everything is as known; otherwise scipy is left alone.
"""

import sys
from array import array

# ORDER QUADPACK: csrc/quadpack.c.  With what each is tried out: the function's place, limits...
_BREAKS = array("d", (0.2, 0.55, 0.0, 0.0))
_TRIALS = {
    "_qagse": (
        (None, 0.1, 0.937, (), 0, 0.0, 1e-13, 50), (None, -7.3, 2.9, (), 0, 0.0, 1e-13, 50),
    ),
    "_qagie": tuple(
        (None, bound, infinite, (), 0, 0.0, 1e-13, 50)
        for bound, infinite in ((0.1, 1), (0.7, -1), (0, 2))
    ),
    "_qagpe": ((None, -0.1, 1.3, _BREAKS, (), 0, 0.0, 1e-13, 50),),
    "_qawoe": tuple(
        (None, -0.1, 1.3, omega, which, (), 0, 0.0, 1e-13, 50, 50, 1)
        for omega, which in ((0.7, 1), (31.3, 2))
    ),
    "_qawfe": ((None, -0.7, 2.3, 1, (), 0, 1e-10, 50, 50, 50),),
    "_qawse": tuple(
        (None, -0.1, 1.3, (-0.5, 0.3), which, (), 0, 0.0, 1e-13, 50) for which in (1, 4)
    ),
    "_qawce": tuple(
        (None, -0.1, 1.3, pole, (), 0, 0.0, 1e-13, 50) for pole in (0.2, 0.9, 1.7)
    ),
}  # fmt: skip


def quadpack_find():
    """A list of what the core needs to make functions of its own, or None."""
    module = sys.modules.get("scipy.integrate._quadpack")
    callback = sys.modules.get("scipy._lib._ccallback")
    try:
        functions = [getattr(module, name) for name in _TRIALS]
        callable_class = callback.LowLevelCallable
    except AttributeError:
        return None
    if not issubclass(callable_class, tuple) or any(
        type(f) is not type(len) for f in functions
    ):
        return None
    return [callable_class, *_TRIALS.values(), *functions]


def quadpack_use(made):
    """Put the core's functions into the places of scipy's, unless somebody was faster."""
    module = sys.modules.get("scipy.integrate._quadpack")
    for name, function in zip(_TRIALS, made[-len(_TRIALS) :]):
        if getattr(module, name, None) is function.__self__:
            setattr(module, name, function)
