# SPDX-License-Identifier: MIT
"""`np.float64(x)`, `np.int32(x)`, `np.bool_(x)` of a number: made on the host, late.

Of numbers that the class holds: what would wrap, overflow or lose digits, text, None and
sequences are the guest's to convert, with its warnings and errors.
"""

from __future__ import annotations

from pybridge._dtypes import INTEGERS, MOST_FLOAT32
from pybridge._host import hidden

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

NAME = "_pybridge_make"  # function(x) -> an object of the class, or None: ask the guest
_EXACT = 2**53  # ints up to here are doubles
_LEAST_FLOAT32 = 1.1754943508222875e-38
_BIG = 2.0**63
_create, _set = object.__new__, object.__setattr__
_plain = float.__float__


def _number(classes: dict[str, Any]) -> Any:
    """What a number is as a plain one; None for whatever is none."""
    float64, float32 = classes["float64"], classes.get("float32", float)
    whole = tuple([classes[name] for name in (*INTEGERS, "truth") if name in classes])

    @hidden
    def number(x: Any) -> Any:
        kind = type(x)
        if kind is float or kind is int:
            return x
        if kind is float64:
            return _plain(x)
        if kind is bool:
            return 1 if x else 0
        if kind is float32 or kind in whole:
            return x._pybridge_plain
        return None

    return number


def float64_maker(classes: dict[str, Any]) -> Any:
    """Makes a numpy.float64."""
    number, float64, new = _number(classes), classes["float64"], float.__new__

    @hidden
    def make(x: Any) -> Any:
        y = number(x)
        if type(y) is float or (type(y) is int and -_EXACT <= y <= _EXACT):
            return new(float64, y)
        return None

    return make


def truth_maker(classes: dict[str, Any]) -> Any:
    """Makes a numpy.bool."""
    number, truth = _number(classes), classes["truth"]

    @hidden
    def make(x: Any) -> Any:
        y = number(x)
        if y is None:
            return None
        r = _create(truth)
        _set(r, "_pybridge_truth", y != 0)
        return r

    return make


def integer_maker(classes: dict[str, Any], name: str) -> Any:
    """Makes an integer of numpy's; of a float it is what is before the point."""
    number, cls = _number(classes), classes[name]
    _, least, most = INTEGERS[name]

    @hidden
    def make(x: Any) -> Any:
        y = number(x)
        if type(y) is float and -_BIG < y < _BIG:
            y = int(y)
        if type(y) is int and least <= y <= most:
            r = _create(cls)
            _set(r, "_pybridge_plain", y)
            return r
        return None

    return make


def float32_maker(classes: dict[str, Any]) -> Any:
    """Makes a numpy.float32, if it is a normal one."""
    import _struct

    number, cls, single = _number(classes), classes["float32"], _struct.Struct("f")
    pack, unpack = single.pack, single.unpack

    @hidden
    def make(x: Any) -> Any:
        y = number(x)
        if type(y) is int and -_EXACT <= y <= _EXACT:
            y = float(y)
        if type(y) is float and (
            _LEAST_FLOAT32 <= y <= MOST_FLOAT32
            or -MOST_FLOAT32 <= y <= -_LEAST_FLOAT32
            or y == 0.0
        ):
            r = _create(cls)
            _set(r, "_pybridge_plain", unpack(pack(y))[0])
            return r
        return None

    return make
