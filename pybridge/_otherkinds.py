# SPDX-License-Identifier: MIT
"""Kinds of elements with which the host computes little or nothing (`_dtypes` has the others).

    complex128, complex64    a host complex, or a proxy that knows its value
    float16, datetime64, timedelta64    proxies that know their value
    str_                     host text, of a fixed number of characters
    the other byte order     the same classes, by way of `struct`

Each is numpy's own class, made late: the guest's object comes when an operation needs it.
Dates of one unit are compared, added and subtracted on the host, when none is NaT; complex
numbers are added and multiplied, when no floating-point flag can rise.
"""

from __future__ import annotations

from sys import maxsize

from pybridge import _guest, _templates
from pybridge._core import ffi
from pybridge._frame import frame_get, frames
from pybridge._handle import adopt_late, closed
from pybridge._host import hidden, module_dict
from pybridge._proxy import QuickAttribute

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

_real, _imag = (complex.__dict__[name].__get__ for name in ("real", "imag"))
NAMES = ("complex128", "complex64", "float16", "str_", "datetime64", "timedelta64")
_CODES = {
    "float64": "d", "float32": "f", "int64": "q", "int32": "i", "int16": "h", "int8": "b",
    "uint64": "Q", "uint32": "I", "uint16": "H", "uint8": "B",
}  # fmt: skip

_PLAIN = """
@hidden
def load(address):
    r = create(CLASS)
    set(r, "_pybridge_plain", {value})
    return r
"""
_TEXT = {
    "complex128": """
@hidden
def load(address):
    parts = cast(DOUBLES, address)
    return new(CLASS, parts[0], parts[1])

@hidden
def store(address, x):
    kind = type(x)
    if kind is complex or kind is CLASS:
        parts = cast(DOUBLES, address)
        parts[0], parts[1] = real(x), imag(x)
    elif kind is float or kind is float64 or kind is int and -EXACT <= x <= EXACT:
        parts = cast(DOUBLES, address)
        parts[0], parts[1] = x, 0.0
    else:
        return False
    return True
""",
    "complex64": _PLAIN.format(
        value="complex(cast(FLOATS, address)[0], cast(FLOATS, address)[1])"
    ),
    "float16": _PLAIN.format(value="unstruct('e', unpack(cast(CHARS, address), 2))[0]"),
    "str_": """
@hidden
def load(address):
    return new(CLASS, unpack(cast(WIDE, address), SIZE).rstrip(ZERO))
""",
    "date": """
@hidden
def load(address):
    r = create(CLASS)
    set(r, "_pybridge_plain", cast(INTS, address)[0])
    set(r, "_pybridge_unit", UNIT)
    return r

@hidden
def store(address, x):
    if type(x) is CLASS and x._pybridge_unit == UNIT:
        cast(INTS, address)[0] = x._pybridge_plain
        return True
    return False
""",
}
_COMPARISON = """
@hidden
def __{name}__(self, other):
    if type(other) is type(self):
        unit = self._pybridge_unit
        if unit is not None and unit == other._pybridge_unit:
            x, y = self._pybridge_plain, other._pybridge_plain
            if x != NOT and y != NOT:
                r = create(truth)
                set(r, "_pybridge_truth", x {op} y)
                return r
    return ordinary_{name}(self, other)
"""
_DATE_SUM = """
@hidden
def __{name}__(self, other):
    kind = type(other)
    if kind is datetime64 or kind is timedelta64:
        unit, unit2 = self._pybridge_unit, other._pybridge_unit
        if unit is not None and unit2 is not None:
            found = {result}s.get(unit)
            if found is None:
                found = {result}s[unit] = {{}}
            result = found.get(unit2, 0)
            if result == 0:
                result = found[unit2] = {result}(unit, unit2)
            x, y = self._pybridge_plain, other._pybridge_plain
            if result is not None and x != NOT and y != NOT:
                z = x {op} y
                if LEAST <= z <= MOST:
                    r = create(datetime64 if result[0] == "M" else timedelta64)
                    set(r, "_pybridge_plain", z)
                    set(r, "_pybridge_unit", result)
                    return r
    return ordinary_{name}(self, other)
"""
_OPERATORS = {"lt": "<", "le": "<=", "eq": "==", "ne": "!=", "gt": ">", "ge": ">="}
_DATE_SUMS = {"add": "+", "sub": "-"}
NEEDED_DATE = tuple(f"__{name}__" for name in (*_OPERATORS, *_DATE_SUMS))


# Sums of finite numbers raise no flag but that of an overflow.  Products of parts of such sizes
# can be neither infinite nor so small that digits are lost; what they add up to, neither.
_COMPLEX = """
@hidden
def __{name}__(self, other):
    kind = type(other)
    if kind is CLASS or kind is complex or kind is float or kind is float64 or (
        kind is int and -EXACT <= other <= EXACT
    ):
        x, y = plain(self), complex(other)
        {body}
    return ordinary_{name}(self, other)
"""
_SUM = """r = {left} {op} {right}
        if real(r) - real(r) == 0.0 and imag(r) - imag(r) == 0.0:
            return new(CLASS, real(r), imag(r))"""
_PRODUCT = """if fits(real(x)) and fits(imag(x)) and fits(real(y)) and fits(imag(y)):
            r = {left} {op} {right}
            return new(CLASS, real(r), imag(r))"""
_EQUAL = """if x == x and y == y:
            r = create(truth)
            set(r, "_pybridge_truth", x {op} y)
            return r"""
_COMPLEX_UNARY = """
@hidden
def fits(x):
    return LEAST < x < MOST or -MOST < x < -LEAST or x == 0.0

@hidden
def __neg__(self):
    return new(CLASS, -real(self), -imag(self))

@hidden
def __abs__(self):
    if fits(real(self)) and fits(imag(self)):
        return new_float(float64, size(self))
    return ordinary_abs(self)

@hidden
def get_real(self):
    return new_float(float64, real(self))

@hidden
def get_imag(self):
    return new_float(float64, imag(self))
"""
_COMPLEX_OPERATORS = {"add": "+", "sub": "-", "mul": "*"}
NEEDED_COMPLEX = (
    *(f"__{r}{name}__" for name in _COMPLEX_OPERATORS for r in ("", "r")),
    "__eq__",
    "__ne__",
    "__neg__",
    "__abs__",
)


def functions(text: str, classes: dict[str, Any], never: Any) -> tuple[Any, Any] | None:
    """`load` and `store` of what the guest calls "complex64", "str_:5" (characters) or
    "datetime64:M8[ns]"; None for what is none of them."""
    name, _, rest = text.partition(":")
    if name not in NAMES or name not in classes:
        return None
    import struct

    space = module_dict()  # only its look-ups fold in traces
    space.update(
        __name__=__name__,
        CHARS=ffi.typeof("char *"),
        CLASS=classes[name],
        DOUBLES=ffi.typeof("double *"),
        EXACT=2**53,
        FLOATS=ffi.typeof("float *"),
        INTS=ffi.typeof("int64_t *"),
        SIZE=int(rest) if name == "str_" else 0,
        UNIT=rest,
        WIDE=ffi.typeof("char32_t *"),
        ZERO="\0",
        cast=ffi.cast,
        create=object.__new__,
        float64=classes["float64"],
        hidden=hidden,
        imag=_imag,
        new=(str if name == "str_" else complex).__new__,
        real=_real,
        set=object.__setattr__,
        store=never,
        unpack=ffi.unpack,
        unstruct=struct.unpack,
    )
    kind = "date" if name.endswith("64") and rest else name
    _templates.run(_TEXT[kind], f"pybridge-kind-{kind}.py", space)
    return space["load"], space["store"]


def swapped(source: str, name: str) -> tuple[str, dict[str, Any]]:
    """The text of a kind in the other byte order, and the names that it needs beside."""
    import re
    import struct

    source = re.sub(
        r"cast\(POINTER, address\)\[0\] = (.*)",
        r"move(cast(CHARS, address), pack(FORMAT, \1), SIZE)",
        source,
    ).replace(
        "cast(POINTER, address)[0]", "unstruct(FORMAT, unpack(cast(CHARS, address), SIZE))[0]"
    )
    order = ">" if struct.pack("=h", 1) == struct.pack("<h", 1) else "<"
    code = order + _CODES[name]
    names = {
        "FORMAT": code,
        "SIZE": struct.calcsize(code),
        "move": ffi.memmove,
        "pack": struct.pack,
        "unstruct": struct.unpack,
    }
    return source, names


class _DatePart:
    """The count, or the unit, of a date that came from the guest: numpy has both behind the
    head of the object, the unit as a number and a multiple.  What these are is asked once; a
    date that is not as expected has no unit here, and so is the guest's to compute with."""

    def __init__(self, unit: bool, units: dict[Any, str | None]) -> None:
        self._unit = unit
        self._units = units

    @hidden
    def __get__(self, x: Any, owner: Any = None) -> Any:
        if x is None:
            return self
        handle = x._pybridge_handle
        if not handle:
            raise closed(x)
        words = ffi.cast("int64_t *", handle)
        if not self._unit:
            return words[2]
        try:
            return self._units[words[3]]
        except KeyError:
            count, unit = _guest.call("numpy_date_parts", x)
            found = self._units[words[3]] = unit if count == words[2] else None
            return found


def _sum(x: str, y: str) -> str | None:
    """The unit of a sum of dates with these, if it is one unit and one is a duration."""
    if x[1:] != y[1:] or x[0] == y[0] == "M":
        return None
    return ("M" if "M" in x[0] + y[0] else "m") + x[1:]


def _difference(x: str, y: str) -> str | None:
    if x[1:] != y[1:] or (x[0] == "m" and y[0] == "M"):
        return None
    return ("m" if x[0] == y[0] else "M") + x[1:]


def date_methods(classes: dict[str, Any], ordinary: dict[str, Any]) -> dict[str, Any]:
    """What the mirror of numpy.datetime64 or timedelta64 gets."""
    space = module_dict()
    space.update(
        __name__=__name__,
        LEAST=-maxsize,
        MOST=maxsize,
        NOT=-maxsize - 1,  # no `long` of PyPy's, as -(2**63) is
        create=object.__new__,
        datetime64=classes["datetime64"],
        difference=_difference,
        differences={},  # unit -> other unit -> unit of the difference
        hidden=hidden,
        set=object.__setattr__,
        sum=_sum,
        sums={},
        timedelta64=classes["timedelta64"],
        truth=classes["truth"],
    )
    for short in (*_OPERATORS, *_DATE_SUMS):
        space["ordinary_" + short] = ordinary[f"__{short}__"]
    texts = [_COMPARISON.format(name=n, op=op) for n, op in _OPERATORS.items()]
    for short, op in _DATE_SUMS.items():
        result = {"add": "sum", "sub": "difference"}[short]
        texts.append(_DATE_SUM.format(name=short, op=op, result=result))
    _templates.run("".join(texts), "pybridge-dates.py", space)
    units: dict[Any, str | None] = {}
    parts = {
        "_pybridge_plain": _DatePart(False, units),
        "_pybridge_unit": _DatePart(True, units),
    }
    return {**parts, **{short: space[short] for short in NEEDED_DATE}}


def complex_methods(
    complex128: Any, float64: Any, truth: Any, ordinary: dict[str, Any]
) -> dict[str, Any]:
    """What the mirror of numpy.complex128 gets."""
    space = module_dict()
    space.update(
        __name__=__name__,
        CLASS=complex128,
        EXACT=2**53,
        LEAST=1e-150,
        MOST=1e150,
        float64=float64,
        hidden=hidden,
        imag=_imag,
        create=object.__new__,
        new=complex.__new__,
        set=object.__setattr__,
        truth=truth,
        new_float=float.__new__,
        plain=complex.__pos__,
        real=_real,
        size=complex.__abs__,
    )
    texts = [_COMPLEX_UNARY]
    for name in NEEDED_COMPLEX:
        space["ordinary_" + name.strip("_")] = ordinary[name]
    for name, op in _COMPLEX_OPERATORS.items():
        body = _PRODUCT if name == "mul" else _SUM
        for prefix, left, right in (("", "x", "y"), ("r", "y", "x")):
            filled = body.format(left=left, right=right, op=op)
            texts.append(_COMPLEX.format(name=prefix + name, body=filled))
    for name in ("eq", "ne"):
        texts.append(_COMPLEX.format(name=name, body=_EQUAL.format(op=_OPERATORS[name])))
    _templates.run("".join(texts), "pybridge-complex.py", space)
    methods = {name: space[name] for name in NEEDED_COMPLEX}
    return {
        **methods,
        "real": QuickAttribute("real", space["get_real"]),
        "imag": QuickAttribute("imag", space["get_imag"]),
    }


def make_date(x: Any, cls: Any) -> int:
    """The guest's object for the date `x`, which has none."""
    frame = frame_get()
    handle = _guest.handle_of_call("numpy_date", x._pybridge_plain, x._pybridge_unit)
    adopted = adopt_late(frame, handle, x)
    frames.append(frame)
    return adopted
