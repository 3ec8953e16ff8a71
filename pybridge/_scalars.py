# SPDX-License-Identifier: MIT
"""numpy.float64 made on the host, late: until the guest needs one it is its double alone.

A mirror of numpy.float64 is a host float and a proxy.  One that is made here has no handle
yet: its class answers for `_pybridge_handle` with a descriptor that is no data descriptor, so
that it is asked just until the object has one of its own.  Everything that needs the guest's
object therefore works unchanged, and makes it then.  Likewise numpy.bool, for comparisons.

Arithmetic with floats, ints and numpy's integers is that of doubles, as in numpy, if no
floating-point flag can have risen: a result that is infinite, NaN, or so small that it may have
lost digits is left to the guest, with its warnings and errors (`numpy.errstate`).

Any thread.  Two that need the object of one scalar at once: the first one's stays.
"""

from __future__ import annotations

from pybridge import _templates
from pybridge._core import lib
from pybridge._dtypes import is_whole
from pybridge._errors import BridgeError
from pybridge._frame import frame_get, frames
from pybridge._handle import adopt_late
from pybridge._host import hidden, module_dict
from pybridge._put import put
from pybridge._tags import HEAVY, OBJECT, SUBVALUE
from pybridge._take import take

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any, Callable

MOST = 1.7976931348623157e308
LEAST = 2.2250738585072014e-308  # a result of that size may have been rounded up to it
_EXACT = 2**53  # ints up to here are doubles
_ARITHMETIC = {
    "add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%",
    "divmod": "", "pow": "**",
}  # fmt: skip
_COMPARISONS = {"lt": "<", "le": "<=", "eq": "==", "ne": "!=", "gt": ">", "ge": ">="}
NEEDED = (
    *(f"__{name}__" for name in _ARITHMETIC),
    *(f"__r{name}__" for name in _ARITHMETIC),
    *(f"__{name}__" for name in _COMPARISONS),
    "__format__",
    "__hash__",
    "__int__",
)

_OPERAND = """
@hidden
def __{name}__(self, other):
    kind = type(other)
    if kind is float64:
        y = plain(other)
    elif kind is float:
        y = other
    elif kind is int and -EXACT <= other <= EXACT:
        y = float(other)
    elif {late}:
        y = float(other._pybridge_plain)
    else:
        return ordinary_{name}(self, other)
    x = plain(self)
    {body}
    return ordinary_{name}(self, other)
"""
SUM = """r = {left} {op} {right}
    if r - r == 0.0:  # neither infinite nor NaN
        return new(float64, r)"""
PRODUCT = """r = x * y
    if LEAST < r <= MOST or -MOST <= r < -LEAST or r == 0.0 and (x == 0.0 or y == 0.0):
        return new(float64, r)"""
QUOTIENT = """if {right} != 0.0:
        r = {left} / {right}
        if LEAST < r <= MOST or -MOST <= r < -LEAST or r == 0.0 and {left} == 0.0:
            return new(float64, r)"""
# These give a whole number, or what is left of one, without a flag.  But numpy divides to learn
# the sign of a quotient that is 0, and divides where 0 is left.
_FLOOR = """if {right} != 0.0 and x - x == 0.0 and y - y == 0.0:
        r = {left} // {right}
        if r - r == 0.0 and (
            r != 0.0 or {left} == 0.0 or not -LEAST <= {left} / {right} <= LEAST
        ):
            return new(float64, r)"""
_LEFT = """if {right} != 0.0 and x - x == 0.0 and y - y == 0.0:
        r = {left} % {right}
        if r != 0.0 or -MOST <= {left} / {right} <= MOST:
            return new(float64, r)"""
_BOTH = """if {right} != 0.0 and x - x == 0.0 and y - y == 0.0:
        q, r = {left} // {right}, {left} % {right}
        if q - q == 0.0 and (
            q != 0.0 or {left} == 0.0 or not -LEAST <= {left} / {right} <= LEAST
        ):
            return new(float64, q), new(float64, r)"""
# x * x differs from the C library's pow(x, 2) where x * x lies about halfway between two
# doubles: where a tenth more than the rounding error `e` (found by splitting x into halves of
# 26 bits) would have given another one.  glibc's pow is within 0.04 of a unit before it rounds.
_POWER = """if {right} == 2.0:
        c = 134217729.0 * {left}
        high = c - (c - {left})
        low = {left} - high
        r = {left} * {left}
        e = high * high - r + 2.0 * high * low + low * low
        if SQUARE < r and r + 1.1 * e == r <= MOST or {left} == 0.0:
            return new(float64, r)
    r = power({left}, {right})
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

@hidden
def is_integer(self):
    return plain(self).is_integer()
"""
# numpy's too are formatted as the number of the language with their value.
FORMAT = """
@hidden
def __format__(self, spec):
    if type(spec) is str and spec[-1:] != "n":  # not by the host's idea of the locale
        try:
            return {value}.__format__(spec)
        except (OverflowError, ValueError):  # in the guest's words
            pass
    return ordinary_format(self, spec)
"""


_BODIES = {
    "mul": PRODUCT, "truediv": QUOTIENT, "floordiv": _FLOOR, "mod": _LEFT, "divmod": _BOTH,
    "pow": _POWER,
}  # fmt: skip


def with_modulus(text: str, name: str) -> str:
    """The text of `__pow__` or `__rpow__`, which have a third argument."""
    general = f"return ordinary_{name}(self, other, mod)"
    text = text.replace("other):\n", "other, mod=None):\n", 1)
    return text.replace(
        "    kind =", f"    if mod is not None:\n        {general}\n    kind =", 1
    )


def _texts(late: str) -> list[str]:
    texts = [_UNARY, FORMAT.format(value="plain(self)")]
    for name, op in _ARITHMETIC.items():
        body = _BODIES.get(name, SUM)
        for prefix, left, right in (("", "x", "y"), ("r", "y", "x")):
            filled = body.format(op=op, left=left, right=right)
            text = _OPERAND.format(name=prefix + name, body=filled, late=late)
            texts.append(with_modulus(text, prefix + name) if name == "pow" else text)
    for name, op in _COMPARISONS.items():
        body = _COMPARISON.format(op=op)
        texts.append(_OPERAND.format(name=name, body=body, late=late))
    return texts


def float64_methods(classes: dict[str, Any], ordinary: dict[str, Any]) -> dict[str, Any]:
    """What the mirror of numpy.float64 gets, in place of the `ordinary` methods; `classes`:
    the mirrors of numpy's numbers by name."""
    space = module_dict()  # only its look-ups fold in traces
    late = is_whole(classes)
    space.update(
        classes,
        __name__=__name__,
        EXACT=_EXACT,
        SQUARE=1e-250,  # below that the error itself may be rounded
        LEAST=LEAST,
        MOST=MOST,
        create=object.__new__,
        hidden=hidden,
        new=float.__new__,
        plain=float.__float__,
        power=lib.pb_pow,
        set=object.__setattr__,
    )
    for name, method in ordinary.items():
        space["ordinary_" + name.strip("_")] = method
    before = set(space)
    _templates.run("".join(_texts(late)), "pybridge-scalars.py", space)
    before.add("__builtins__")
    return {name: x for name, x in space.items() if name not in before}


_TRUTH = """
@hidden
def __bool__(self):
    x = self._pybridge_truth
    return ordinary_bool(self) if x is None else x

@hidden
def made(x):
    r = create(truth)
    set(r, "_pybridge_truth", x)
    return r

@hidden
def __invert__(self):
    return made(not __bool__(self))

@hidden
def __int__(self):
    return 1 if __bool__(self) else 0

@hidden
def __float__(self):
    return 1.0 if __bool__(self) else 0.0

@hidden
def __hash__(self):
    return 1 if __bool__(self) else 0

@hidden
def __str__(self):
    return "True" if __bool__(self) else "False"
"""
_LOGIC = """
@hidden
def __{name}__(self, other):
    kind = type(other)
    if kind is truth or kind is bool:
        return made(__bool__(self) {op} bool(other))
    return ordinary_{name}(self, other)
"""
# With a number it is an integer of that one's class, or a float64; with another truth value
# the sum is "or", the product "and", and there is no difference.
_COUNTED = """
@hidden
def __{name}__(self, other):
    kind = type(other)
    x = __int__(self)
    if kind is truth or kind is bool:
        {both}
    elif kind is float or kind is float64:
        y = float(other)
        r = {left} {op} {right}
        if r - r == 0.0:
            return new(float64, r)
    elif kind is int or {late}:
        y, result = (other, int64) if kind is int else (other._pybridge_plain, kind)
        least, most = result._pybridge_least, result._pybridge_most
        r = {left} {op} {right}
        if least <= y <= most and least <= r <= most:
            if NOT_READY:
                prepare()
            z = create(result)
            set(z, "_pybridge_plain", r)
            return z
    return ordinary_{name}(self, other)
"""
_EQUAL = """
@hidden
def __{name}__(self, other):
    kind = type(other)
    if kind is truth or kind is bool or kind is float or kind is int and -BIG <= other < BIG:
        return made(__bool__(self) {op} (__bool__(other) if kind is truth else other))
    return ordinary_{name}(self, other)
"""
_LOGIC_NAMES = {"and": "&", "or": "|", "xor": "^"}
_COUNTED_NAMES = {
    "add": ("+", "return made(__bool__(self) or bool(other))"),
    "sub": ("-", "pass"),
    "mul": ("*", "return made(__bool__(self) and bool(other))"),
}
NEEDED_TRUTH = (
    *("__bool__", "__invert__", "__int__", "__float__", "__hash__", "__str__"),
    *("__eq__", "__ne__"),
    *(f"__{r}{name}__" for name in (*_LOGIC_NAMES, *_COUNTED_NAMES) for r in ("", "r")),
)


def truth_methods(
    truth: Any, classes: dict[str, Any], prepare: Callable[[], None], ordinary: dict[str, Any]
) -> dict[str, Any]:
    """What the mirror of numpy.bool gets; `prepare` is called before the first late integer."""
    texts = [_TRUTH]
    late = is_whole(classes)
    for r, left, right in (("", "x", "y"), ("r", "y", "x")):
        for name, op in _LOGIC_NAMES.items():
            texts.append(_LOGIC.format(name=r + name, op=op))
        if "int64" in classes:
            for name, (op, both) in _COUNTED_NAMES.items():
                fields = {"left": left, "right": right, "op": op, "both": both, "late": late}
                texts.append(_COUNTED.format(name=r + name, **fields))
    texts.extend(_EQUAL.format(name=name, op=_COMPARISONS[name]) for name in ("eq", "ne"))

    def prepared() -> None:
        prepare()
        space["NOT_READY"] = False

    space = module_dict()
    space.update(
        classes,
        __name__=__name__,
        BIG=2**63,
        NOT_READY=True,
        create=object.__new__,
        hidden=hidden,
        new=float.__new__,
        prepare=prepared,
        set=object.__setattr__,
        truth=truth,
    )
    for name, method in ordinary.items():
        space["ordinary_" + name.strip("_")] = method
    _templates.run("".join(texts), "pybridge-truth.py", space)
    methods = {name: space[name] for name in NEEDED_TRUTH if name in space}
    fixed = {"_pybridge_truth": None, "_pybridge_with": "_pybridge_with_truth"}
    return {**fixed, "_pybridge_plain": property(space["__int__"]), **methods}


_COMPARED = """
@hidden
def __{name}__(self, other):
    if type(other) is base or type(other) is own:
        return own_{name}(self, other)
    return ordinary_{name}(self, other)
"""
NEEDED_TEXT = (*(f"__{name}__" for name in _COMPARISONS), "__hash__", "__len__")


def text_methods(own: Any, base: Any, ordinary: dict[str, Any]) -> dict[str, Any]:
    """What the mirrors of numpy.bytes_ and numpy.str_ get: they compare as the bytes, or the
    text, that they are."""
    space = module_dict()
    space.update(__name__=__name__, base=base, hidden=hidden, own=own)
    for name in _COMPARISONS:
        space["own_" + name] = getattr(base, f"__{name}__")
        space["ordinary_" + name] = ordinary[f"__{name}__"]
    text = "".join(_COMPARED.format(name=name) for name in _COMPARISONS)
    _templates.run(text, "pybridge-text.py", space)
    made = {f"__{name}__": space[f"__{name}__"] for name in _COMPARISONS}
    return {**made, "__hash__": base.__hash__, "__len__": base.__len__}


def maker(float64: Any) -> Any:
    """Makes a late numpy.float64 of a double: of results whose object nobody else has."""
    space = module_dict()
    space.update(float64=float64, hidden=hidden, new=float.__new__)
    text = "@hidden\ndef made(x):\n    return new(float64, x)\n"
    _templates.run(text, "pybridge-made.py", space)
    return space["made"]


def make(x: Any, cls: Any, value: Any) -> int:
    """The guest's object for the scalar `x`, which has none: `cls` called with `value`."""
    frame = frame_get()
    if type(value) is float:  # an ordinary call would give a double again
        word = lib.pb_late_float_make(frame.mem, cls._pybridge_handle, value)
    else:
        put(frame, 0, value)
        word = lib.pb_call(frame.mem, cls._pybridge_handle, 1, 0)
    if word & 255 not in (SUBVALUE, OBJECT, HEAVY):
        take(frame, word)
        raise BridgeError(f"the guest made no {cls.__name__} of a plain value")
    handle = adopt_late(frame, frame.ints[1], x)
    frames.append(frame)
    return handle
