# SPDX-License-Identifier: MIT
"""numpy's integers and float32 on the host, made late as numpy.float64 is (`_scalars`).

A mirror of numpy.int32 is no host int, as numpy.int32 is none: it is a proxy that knows its
plain value.  An element of an array has just that, and no guest object until somebody needs
one; one that came from the guest has its object, and reads its value from there.

Arithmetic is that of Python's ints, while operands and result fit: what overflows, divides by
zero, or needs another rule is left to the guest, with its warnings and errors.  Which class a
result has the guest was asked before (`numpy_facts`).  The functions are the same for all
classes of integers; what differs are constants on the class, so each has traces of its own.
"""

from __future__ import annotations

from pybridge import _templates
from pybridge._core import ffi, lib
from pybridge._dtypes import INTEGERS, MOST_FLOAT32, is_whole
from pybridge._handle import closed
from pybridge._host import hidden, module_dict
from pybridge._scalars import FORMAT, LEAST, MOST, PRODUCT, QUOTIENT, SUM, with_modulus

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

# With a float an integer is one; a flag is the ufunc's to report, not that of float64.
_FLOATS = """x, y = float(self._pybridge_plain), plain(other)
        {body}
        return ordinary_{name}(self, other)"""
_COMPARED = "return new(float64, float(self._pybridge_plain)) {op} other"
_ORDINARY = "return ordinary_{name}(self, other)"
_ALWAYS = "True"
# operator: (symbol, how floats meet it, what must hold of the right operand)
_ARITHMETIC = {
    "add": ("+", SUM, _ALWAYS),
    "sub": ("-", SUM, _ALWAYS),
    "mul": ("*", PRODUCT, _ALWAYS),
    "floordiv": ("//", "", "{right} != 0"),
    "mod": ("%", "", "{right} != 0"),
    "pow": ("**", "", "0 <= {right} <= 64"),
    "and": ("&", "", _ALWAYS),
    "or": ("|", "", _ALWAYS),
    "xor": ("^", "", _ALWAYS),
    "lshift": ("<<", "", "0 <= {right} < result._pybridge_bits"),
    "rshift": (">>", "", "0 <= {right} < result._pybridge_bits"),
}
_COMPARISONS = {"lt": "<", "le": "<=", "eq": "==", "ne": "!=", "gt": ">", "ge": ">="}
_CONVERSIONS = (
    "neg", "pos", "abs", "invert", "bool", "int", "float", "index", "hash", "str", "format",
)  # fmt: skip

_OPERANDS = """
@hidden
def __{name}__(self, other):
    kind = type(other)
    if kind is int:
        if not self._pybridge_least <= other <= self._pybridge_most:
            return ordinary_{name}(self, other)
        y, result = other, self._pybridge_with_int
    elif kind is type(self):
        y, result = other._pybridge_plain, kind
    elif kind is float or kind is float64:
        {floats}
    elif {late}:
        y, result = other._pybridge_plain, getattr(self, other._pybridge_with)
    else:
        return ordinary_{name}(self, other)
    x = self._pybridge_plain
    {body}
    return ordinary_{name}(self, other)
"""
_RESULT = """if result is not None and {condition}:
        r = {left} {op} {right}
        if result._pybridge_least <= r <= result._pybridge_most:
            z = create(result)
            set(z, "_pybridge_plain", r)
            return z"""
_BOTH = """if result is not None and {right} != 0:
        q, r = divmod({left}, {right})
        if result._pybridge_least <= q <= result._pybridge_most:
            first = create(result)
            set(first, "_pybridge_plain", q)
            second = create(result)
            set(second, "_pybridge_plain", r)
            return first, second"""
_QUOTIENT = """if {right} != 0:
        return new(float64, float({left}) / float({right}))"""
_COMPARISON = """if result is not None:
        r = create(truth)
        set(r, "_pybridge_truth", x {op} y)
        return r"""
_UNARY = """
@hidden
def {name}(self):
    x = {value}
    if self._pybridge_least <= x <= self._pybridge_most:
        z = create(type(self))
        set(z, "_pybridge_plain", x)
        return z
    return ordinary_{ordinary}(self)
"""
_PLAIN = """
@hidden
def __{name}__(self):
    return {value}
"""

_FLOAT32 = """
@hidden
def __{name}__(self, other):
    kind = type(other)
    if kind is float32:
        y = other._pybridge_plain
    elif kind is float and self._pybridge_weak and -MOST <= other <= MOST:
        y = rounded(other)
    elif kind is int and self._pybridge_weak and -EXACT <= other <= EXACT:
        y = float(other)
    elif kind is float64:
        {floats}
    else:
        return ordinary_{name}(self, other)
    x = self._pybridge_plain
    {body}
    return ordinary_{name}(self, other)

"""
# A result that is as small as that may have lost digits, and have raised a flag.
_RESULT32 = """if {condition}:
        r = {left} {op} {right}
        if LEAST < r <= MOST or -MOST <= r < -LEAST or {zero}:
            z = create(float32)
            set(z, "_pybridge_plain", rounded(r))
            return z"""
_POWER32 = """r = power({left}, {right})
    if LEAST < r <= MOST or -MOST <= r < -LEAST or r == 0.0 and {left} == 0.0:
        return made(r)"""
_COMPARISON32 = """if x == x and y == y:
        r = create(truth)
        set(r, "_pybridge_truth", x {op} y)
        return r"""
_UNARY32 = """
@hidden
def rounded(x):
    return unpack(pack(x))[0]

@hidden
def made(x):
    z = create(float32)
    set(z, "_pybridge_plain", x)
    return z

@hidden
def __neg__(self):
    return made(-self._pybridge_plain)

@hidden
def __pos__(self):
    return made(self._pybridge_plain)

@hidden
def __abs__(self):
    return made(abs(self._pybridge_plain))

@hidden
def __bool__(self):
    return self._pybridge_plain != 0.0

@hidden
def __float__(self):
    return self._pybridge_plain

@hidden
def __hash__(self):
    x = self._pybridge_plain
    return hash(x) if x == x else ordinary_hash(self)

@hidden
def __int__(self):
    x = self._pybridge_plain
    return int(x) if -MOST <= x <= MOST else ordinary_int(self)
"""

NEEDED = (
    *(f"__{r}{name}__" for name in (*_ARITHMETIC, "truediv", "divmod") for r in ("", "r")),
    *(f"__{name}__" for name in (*_COMPARISONS, *_CONVERSIONS)),
)
NEEDED_FLOAT32 = (
    *(f"__{r}{name}__" for name in ("add", "sub", "mul", "truediv", "pow") for r in ("", "r")),
    *(f"__{name}__" for name in _COMPARISONS),
    *("__neg__", "__pos__", "__abs__", "__bool__", "__float__", "__format__", "__hash__"),
    "__int__",
)


class Value:
    """`_pybridge_plain` of an object that came from the guest: read from its memory, where
    numpy has it behind the head of each object."""

    def __init__(self, ctype: str) -> None:
        self._pointer = ffi.typeof(ctype + " *")

    def __get__(self, x: Any, owner: Any = None) -> Any:
        if x is None:
            return self
        handle = x._pybridge_handle
        if not handle:
            raise closed(x)
        return ffi.cast(self._pointer, handle + 16)[0]


def _with_floats(body: str, name: str, fields: dict[str, str]) -> str:
    if not body:
        return _ORDINARY.format(name=name)
    inner = body.format(**fields).replace("\n", "\n    ")
    return _FLOATS.format(body=inner, name=name)


def _integer_text(late: str) -> str:
    texts = []
    for name, (op, met, condition) in _ARITHMETIC.items():
        for r, left, right in (("", "x", "y"), ("r", "y", "x")):
            full, fields = r + name, {"left": left, "right": right, "op": op}
            body = _RESULT.format(condition=condition.format(**fields), **fields)
            floats = _with_floats(met, full, fields)
            text = _OPERANDS.format(name=full, late=late, body=body, floats=floats)
            texts.append(with_modulus(text, full) if name == "pow" else text)
    for r, left, right in (("", "x", "y"), ("r", "y", "x")):
        full, fields = r + "truediv", {"left": left, "right": right, "op": "/"}
        body, floats = _QUOTIENT.format(**fields), _with_floats(QUOTIENT, full, fields)
        texts.append(_OPERANDS.format(name=full, late=late, body=body, floats=floats))
        full = r + "divmod"
        body, floats = _BOTH.format(**fields), _ORDINARY.format(name=full)
        texts.append(_OPERANDS.format(name=full, late=late, body=body, floats=floats))
    for name, op in _COMPARISONS.items():
        body, floats = _COMPARISON.format(op=op), _COMPARED.format(op=op)
        texts.append(_OPERANDS.format(name=name, late=late, body=body, floats=floats))
    for name, value in (("neg", "-"), ("pos", ""), ("invert", "~")):
        value += "self._pybridge_plain"
        texts.append(_UNARY.format(name=f"__{name}__", ordinary=name, value=value))
    value = "abs(self._pybridge_plain)"
    texts.append(_UNARY.format(name="__abs__", ordinary="abs", value=value))
    for name, value in (
        ("bool", "self._pybridge_plain != 0"),
        ("int", "self._pybridge_plain"),
        ("float", "float(self._pybridge_plain)"),
        ("index", "self._pybridge_plain"),
        ("hash", "hash(self._pybridge_plain)"),
        ("str", "str(self._pybridge_plain)"),
    ):
        texts.append(_PLAIN.format(name=name, value=value))
    texts.append(FORMAT.format(value="self._pybridge_plain"))
    return "".join(texts)


def _float32_text() -> str:
    texts = [_UNARY32, FORMAT.format(value="self._pybridge_plain")]
    for name, op in (("add", "+"), ("sub", "-"), ("mul", "*"), ("truediv", "/")):
        for r, left, right, floats in (
            ("", "x", "y", f"return new(float64, self._pybridge_plain) {op} other"),
            ("r", "y", "x", f"return other {op} new(float64, self._pybridge_plain)"),
        ):
            zero = {"mul": "r == 0.0 and (x == 0.0 or y == 0.0)",
                    "truediv": f"r == 0.0 and {left} == 0.0"}.get(name, "r == 0.0")  # fmt: skip
            condition = f"{right} != 0.0" if name == "truediv" else _ALWAYS
            body = _RESULT32.format(
                left=left, right=right, op=op, zero=zero, condition=condition
            )
            texts.append(_FLOAT32.format(name=r + name, floats=floats, body=body))
    for r, left, right in (("", "x", "y"), ("r", "y", "x")):
        x, y = "new(float64, self._pybridge_plain)", "other"
        floats = f"return {x} ** {y}" if left == "x" else f"return {y} ** {x}"
        body = _POWER32.format(left=left, right=right)
        text = _FLOAT32.format(name=r + "pow", floats=floats, body=body)
        texts.append(with_modulus(text, r + "pow"))
    for name, op in _COMPARISONS.items():
        floats = f"return new(float64, self._pybridge_plain) {op} other"
        body = _COMPARISON32.format(op=op)
        texts.append(_FLOAT32.format(name=name, floats=floats, body=body))
    return "".join(texts)


def _space(classes: dict[str, Any], ordinary: dict[str, Any]) -> Any:
    space = module_dict()  # only its look-ups fold in traces
    space.update(
        classes,
        __name__=__name__,
        create=object.__new__,
        hidden=hidden,
        LEAST=LEAST,
        MOST=MOST,
        new=float.__new__,
        plain=float.__float__,
        set=object.__setattr__,
    )
    for name, method in ordinary.items():
        space["ordinary_" + name.strip("_")] = method
    return space


def integer_methods(classes: dict[str, Any], ordinary: dict[str, Any]) -> dict[str, Any]:
    """What the mirrors of numpy's integers get, in place of the `ordinary` methods."""
    space = _space(classes, ordinary)
    late = is_whole(classes)
    _templates.run(_integer_text(late), "pybridge-integers.py", space)
    return {name: space[name] for name in NEEDED}


def constants(name: str, results: dict[str, Any]) -> dict[str, Any]:
    """What the mirror of one class of integers has for itself: its bounds, and the classes of
    results of arithmetic with others by their names, with a host int by "int"."""
    ctype, least, most = INTEGERS[name]
    return {
        "_pybridge_bits": (most - least).bit_length(),
        "_pybridge_least": least,
        "_pybridge_most": most,
        "_pybridge_plain": Value(ctype),
        "_pybridge_with": f"_pybridge_with_{name}",
        **{
            f"_pybridge_with_{other}": results.get(other)
            for other in ("int", "truth", *INTEGERS)
        },
    }


def float32_constants(weak: bool) -> dict[str, Any]:
    """Likewise for numpy.float32; `weak`: a host float takes part as a float32."""
    return {"_pybridge_plain": Value("float"), "_pybridge_weak": weak}


def float32_methods(classes: dict[str, Any], ordinary: dict[str, Any]) -> dict[str, Any]:
    """What the mirror of numpy.float32 gets, in place of the `ordinary` methods."""
    # Not `struct`, which is a file: see `_read` in _templates.
    import _struct

    space = _space(classes, ordinary)
    single = _struct.Struct("f")
    space.update(
        EXACT=2**24,
        LEAST=1.1754943508222875e-38,
        MOST=MOST_FLOAT32,
        pack=single.pack,
        power=lib.pb_pow32,
        unpack=single.unpack,
    )
    _templates.run(_float32_text(), "pybridge-float32.py", space)
    return {name: space[name] for name in NEEDED_FLOAT32}
