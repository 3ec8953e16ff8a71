# SPDX-License-Identifier: MIT
"""numpy.float64 made on the host, late: until the guest needs one it is its double alone.

A mirror of numpy.float64 is a host float and a proxy.  One that is made here has no handle
yet: its class answers for `_pybridge_handle` with a descriptor that is no data descriptor, so
that it is asked just until the object has one of its own.  Everything that needs the guest's
object therefore works unchanged, and makes it then.  Likewise numpy.bool, for comparisons.

Arithmetic with floats and ints is that of doubles, as in numpy, if no floating-point flag can
have risen: a result that is infinite, NaN, or so small that it may have lost digits is left
to the guest, with its warnings and errors (`numpy.errstate`).

Any thread.  Two that need the object of one scalar at once: the first one's stays.
"""

from __future__ import annotations

from pybridge._convert import HEAVY, OBJECT, SUBVALUE, put, take
from pybridge._core import lib
from pybridge._errors import BridgeError
from pybridge._frame import frame_get, frames
from pybridge._handle import adopt_late
from pybridge._host import hidden, module_dict

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

_MOST = 1.7976931348623157e308
_LEAST = 2.2250738585072014e-308  # a result of that size may have been rounded up to it
_EXACT = 2**53  # ints up to here are doubles
_ARITHMETIC = {"add": "+", "sub": "-", "mul": "*", "truediv": "/"}
_COMPARISONS = {"lt": "<", "le": "<=", "eq": "==", "ne": "!=", "gt": ">", "ge": ">="}
NEEDED = (
    *(f"__{name}__" for name in _ARITHMETIC),
    *(f"__r{name}__" for name in _ARITHMETIC),
    *(f"__{name}__" for name in _COMPARISONS),
    "__hash__",
    "__int__",
)

_OPERAND = """
@hidden
def __{name}__(self, other):
    kind = type(other)
    if kind is float:
        y = other
    elif kind is float64:
        y = plain(other)
    elif kind is int and -EXACT <= other <= EXACT:
        y = float(other)
    else:
        return ordinary_{name}(self, other)
    x = plain(self)
    {body}
    return ordinary_{name}(self, other)
"""
_SUM = """r = {left} {op} {right}
    if -MOST <= r <= MOST:
        return new(float64, r)"""
_PRODUCT = """r = x * y
    if LEAST < r <= MOST or -MOST <= r < -LEAST or r == 0.0 and (x == 0.0 or y == 0.0):
        return new(float64, r)"""
_QUOTIENT = """if {right} != 0.0:
        r = {left} / {right}
        if LEAST < r <= MOST or -MOST <= r < -LEAST or r == 0.0 and {left} == 0.0:
            return new(float64, r)"""
_COMPARISON = """if x == x and y == y:
        r = create(truth)
        set(r, "_pybridge_truth", x {op} y)
        return r"""
_UNARY = """
@hidden
def __neg__(self):
    return new(float64, -plain(self))

@hidden
def __pos__(self):
    return new(float64, plain(self))

@hidden
def __abs__(self):
    return new(float64, abs(plain(self)))

@hidden
def __bool__(self):
    return plain(self) != 0.0

@hidden
def __float__(self):
    return plain(self)

@hidden
def __hash__(self):
    x = plain(self)
    return hash(x) if x == x else ordinary_hash(self)

@hidden
def __int__(self):
    x = plain(self)
    return int(x) if -MOST <= x <= MOST else ordinary_int(self)
"""


def _texts() -> list[str]:
    texts = [_UNARY]
    for name, op in _ARITHMETIC.items():
        body = {"mul": _PRODUCT, "truediv": _QUOTIENT}.get(name, _SUM)
        for prefix, left, right in (("", "x", "y"), ("r", "y", "x")):
            filled = body.format(op=op, left=left, right=right)
            texts.append(_OPERAND.format(name=prefix + name, body=filled))
    for name, op in _COMPARISONS.items():
        texts.append(_OPERAND.format(name=name, body=_COMPARISON.format(op=op)))
    return texts


def float64_methods(float64: Any, truth: Any, ordinary: dict[str, Any]) -> dict[str, Any]:
    """What the mirror of numpy.float64 gets, in place of the `ordinary` methods."""
    space = module_dict()  # only its look-ups fold in traces
    space.update(
        __name__=__name__,
        EXACT=_EXACT,
        LEAST=_LEAST,
        MOST=_MOST,
        create=object.__new__,
        float64=float64,
        hidden=hidden,
        new=float.__new__,
        plain=float.__float__,
        set=object.__setattr__,
        truth=truth,
    )
    for name, method in ordinary.items():
        space["ordinary_" + name.strip("_")] = method
    before = set(space)
    exec(compile("".join(_texts()), "pybridge-scalars.py", "exec"), space)
    before.add("__builtins__")
    return {name: x for name, x in space.items() if name not in before}


def truth_methods(ordinary: Any) -> dict[str, Any]:
    """What the mirror of numpy.bool gets."""

    @hidden
    def __bool__(self: Any) -> bool:
        x: bool | None = self._pybridge_truth
        return ordinary(self) if x is None else x

    return {"_pybridge_truth": None, "__bool__": __bool__}


def make(x: Any, cls: Any, value: Any) -> int:
    """The guest's object for the scalar `x`, which has none: `cls` called with `value`."""
    frame = frame_get()
    put(frame, 0, value)
    word = lib.pb_call(frame.mem, cls._pybridge_handle, 1, 0)
    if word & 255 not in (SUBVALUE, OBJECT, HEAVY):
        take(frame, word)
        raise BridgeError(f"the guest made no {cls.__name__} of a plain value")
    handle = adopt_late(frame, frame.ints[1], x)
    frames.append(frame)
    return handle
