# SPDX-License-Identifier: MIT
"""The operators of the data model, in one table, and the methods made from it.

`OPERATORS` is read by the proxy class, by the type stubs and by the parametrised tests.
The methods are source text compiled under a file name that `linecache` knows, so that
tracebacks and debuggers show them like any others.

In a binary operator the guest decides everything between guest objects and plain values.
When the other operand has no form in the guest, the method gives NotImplemented, and the
host's own rules try the other operand's class next.
"""

from __future__ import annotations

from pybridge._host import module_dict

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any


class Operator:
    """One operation: method name without underscores; number in the core (ORDER OPS);
    shape: "binary", "power", "compare", "unary" or "item"; the type that the guest must
    answer with, or ""."""

    __slots__ = ("name", "operation", "result", "shape")

    def __init__(self, name: str, operation: str, shape: str, result: str = "") -> None:
        self.name = name
        self.operation = operation
        self.shape = shape
        self.result = result


# ORDER OPS: csrc/host.h
OPERATORS = [
    Operator("add", "PB_ADD", "binary"),
    Operator("sub", "PB_SUB", "binary"),
    Operator("mul", "PB_MUL", "binary"),
    Operator("matmul", "PB_MATMUL", "binary"),
    Operator("truediv", "PB_TRUEDIV", "binary"),
    Operator("floordiv", "PB_FLOORDIV", "binary"),
    Operator("mod", "PB_MOD", "binary"),
    Operator("divmod", "PB_DIVMOD", "binary"),
    Operator("lshift", "PB_LSHIFT", "binary"),
    Operator("rshift", "PB_RSHIFT", "binary"),
    Operator("and", "PB_AND", "binary"),
    Operator("xor", "PB_XOR", "binary"),
    Operator("or", "PB_OR", "binary"),
    Operator("pow", "PB_POW", "power"),
    Operator("lt", "PB_LT", "compare"),
    Operator("le", "PB_LE", "compare"),
    Operator("eq", "PB_EQ", "compare"),
    Operator("ne", "PB_NE", "compare"),
    Operator("gt", "PB_GT", "compare"),
    Operator("ge", "PB_GE", "compare"),
    Operator("neg", "PB_NEG", "unary"),
    Operator("pos", "PB_POS", "unary"),
    Operator("abs", "PB_ABS", "unary"),
    Operator("invert", "PB_INVERT", "unary"),
    Operator("int", "PB_AS_INT", "unary", "int"),
    Operator("float", "PB_AS_FLOAT", "unary", "float"),
    Operator("index", "PB_AS_INDEX", "unary", "int"),
    Operator("len", "PB_LEN", "unary"),
    Operator("bool", "PB_TRUTH", "unary"),
    Operator("hash", "PB_HASH", "unary"),
    Operator("repr", "PB_REPR", "unary", "str"),
    Operator("str", "PB_TEXT", "unary", "str"),
    Operator("iter", "PB_ITER", "unary"),
    Operator("getitem", "PB_GETITEM", "item"),
    Operator("delitem", "PB_DELITEM", "item"),
    Operator("contains", "PB_CONTAINS", "item"),
]

_UNARY = """
@hidden
def __{name}__(self):
    frame = frame_get()
    word = lib.pb_operate(frame.mem, {operation}, self._pybridge_handle)
    if not self._pybridge_identity:
        kept(self)
    return {wrap}(take(frame, word))
"""

_OPERAND = """
@hidden
def __{name}__(self, other{more}):
    frame = frame_get()
    try:
        {put}
    except ConversionError:
        return NotImplemented
    word = lib.{call}(frame.mem, {operation}, self._pybridge_handle)
    if not self._pybridge_identity:
        kept(self)
    if isinstance(other, Handle) and not other._pybridge_identity:
        kept(other)
    return take(frame, word)
"""

_IN_PLACE = """
@hidden
def __{name}__(self, other):
    frame = frame_get()
    try:
        {put}
    except ConversionError:
        return NotImplemented
    word = lib.pb_operate(frame.mem, {operation}, self._pybridge_handle)
    if not self._pybridge_identity:
        kept(self)
    if isinstance(other, Handle) and not other._pybridge_identity:
        kept(other)
    result = take(frame, word)
    if isinstance(result, Handle) and result._pybridge_handle == self._pybridge_handle:
        return self
    return result
"""

_ITEM = """
@hidden
def __{name}__(self, key):
    frame = frame_get()
    lend(frame, 0, key)
    word = lib.pb_operate(frame.mem, {operation}, self._pybridge_handle)
    if not self._pybridge_identity:
        kept(self)
    if isinstance(key, Handle) and not key._pybridge_identity:
        kept(key)
    return take(frame, word)
"""

_PUT_ONE = "lend(frame, 0, other)"
_PUT_POWER = "put(frame, lend(frame, 0, other), modulus)"
_PUT_NONE = "put(frame, lend(frame, 0, other), None)"


def _methods(op: Operator) -> list[tuple[str, str, str]]:
    """(name, operation, text) of each method; the text has "{name}" and "{operation}"."""
    name, operation = op.name, op.operation
    if op.shape == "unary":
        return [(name, operation, _UNARY.replace("{wrap}", op.result and f"as_{op.result}"))]
    if op.shape == "item":
        return [(name, operation, _ITEM)]
    power = op.shape == "power"
    operand = _OPERAND.replace("{more}", ", modulus=None" if power else "")
    operand = operand.replace("{put}", _PUT_POWER if power else _PUT_ONE)
    found = [(name, operation, operand.replace("{call}", "pb_operate"))]
    if op.shape == "compare":
        return found
    found.append(("r" + name, operation, operand.replace("{call}", "pb_operate_reflected")))
    if name != "divmod":
        text = _IN_PLACE.replace("{put}", _PUT_NONE if power else _PUT_ONE)
        found.append(("i" + name, operation.replace("PB_", "PB_I"), text))
    return found


FILENAME = "pybridge-operators.py"  # not in <>: linecache asks no loader for such names


class _Loader:
    """Gives linecache the text when somebody wants to see it."""

    @staticmethod
    def get_source(name: str) -> str:
        """The text of all methods."""
        return source()


def source() -> str:
    """The text of all methods."""
    found = [method for op in OPERATORS for method in _methods(op)]
    return "".join([text.format(name=n, operation=o) for n, o, text in found])


def make(names: dict[str, Any]) -> dict[str, Any]:
    """The methods by name; `names` is what their text refers to, `lib` included.

    Methods of one text differ in two names, so a text is compiled once (all of them would
    take 5 ms of each start); each method still has code of its own, for traces of its own."""
    # The globals of compiled code must be a module's kind of dict: only its look-ups fold.
    space = module_dict()
    space.update(names, __name__=FILENAME, __loader__=_Loader)
    lib, hidden = names["lib"], names["hidden"]
    compiled: dict[str, Any] = {}
    made: dict[str, Any] = {}
    line = 0
    for op in OPERATORS:
        for short, operation, text in _methods(op):
            if text not in compiled:
                one = {"hidden": _same}
                exec(
                    compile(text.format(name="x", operation="OPERATION"), FILENAME, "exec"), one
                )
                compiled[text] = one["__x__"]
            function, name = compiled[text], f"__{short}__"
            code = function.__code__
            own = code.replace(
                co_name=name,
                co_names=tuple([operation if n == "OPERATION" else n for n in code.co_names]),
                co_firstlineno=line + code.co_firstlineno,
            )
            line += text.count("\n")
            space[operation] = getattr(lib, operation)
            made[name] = hidden(type(function)(own, space, name, function.__defaults__))
    return made


def _same(function: Any) -> Any:
    return function
