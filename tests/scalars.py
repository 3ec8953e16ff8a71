# SPDX-License-Identifier: MIT
"""What the tests of numpy's elements, numbers and records share.

Each asks the guest what numpy itself gives, and compares.  The fixture `judge` (conftest.py)
has the guest's functions by name: those of the module's `JUDGE`, source text for the guest,
and `outcome` and `OPERATOR`, which are there what those here are on the host.
"""

from __future__ import annotations

import operator
import warnings

OPERATOR = {**vars(operator), "divmod": divmod}
# Of a call: the type and text of the result, and the warnings; or the error.
OUTCOME = """
import operator, warnings
import numpy

OPERATOR = {**vars(operator), "divmod": divmod}

def outcome(f, *args):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            x = f(*args)
        except Exception as error:
            return type(error).__name__, str(error), ()
    return type(x).__name__, repr(x), tuple(str(w.message) for w in caught)
"""

# Reading and writing, for arrays of any kind: without the warnings, and what is then in it.
ACCESS = """
def read(a, key):
    return outcome(operator.getitem, a, key)[:2]

def write(a, key, value):
    return (*outcome(operator.setitem, a, key, value)[:2], a.tolist())
"""


def outcome(f, *args):
    """The type and text of the result, and the warnings; or the error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            x = f(*args)
        except Exception as error:
            return type(error).__name__, str(error), ()
    return type(x).__name__, repr(x), tuple(str(w.message) for w in caught)


def comparable(got, expected, kind):
    """Two results of reading, as far as they are to be the same: an object has another class
    on the host, and an array's is told with its module there."""
    if kind == "object" or "ndarray" in expected:
        return got[1:], expected[1:]
    return got, expected


def is_late(x):
    """Has the guest no object for this element, or number, yet?"""
    try:
        object.__getattribute__(x, "_pybridge_chunk")
    except AttributeError:
        return True
    return False
