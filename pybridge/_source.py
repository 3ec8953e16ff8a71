# SPDX-License-Identifier: MIT
"""Guest code written in the host: `@pybridge.guest`.

The source text of a host function or class is compiled in the guest, under the host's file
name and line numbers.  What the text refers to is given as it is at that moment:

    closure values, defaults     cross by the ordinary rules
    global names                 likewise, but a module is the guest's of that name, and so is
                                 a function or class of the standard library: `math.sqrt` in
                                 an inner loop must not call back
    decorators                   those above ours belong to the host, and are given the guest's
                                 object; those below are part of the text
    annotations                  as values where they cross, else as text

Refused, because the guest's function would quietly do something else: `nonlocal` names that
the text rebinds, a free variable that has no value yet, `super()` without its class, and
anything that has no source.
"""

from __future__ import annotations

import os
import sys
from types import CodeType, FunctionType, ModuleType

from pybridge import _guest, _runtime
from pybridge._errors import ConversionError
from pybridge._frame import frame_get, frames
from pybridge._handle import Handle
from pybridge._host import hidden, library_module
from pybridge._put import put

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    import ast
    from typing import Any

_UNKNOWN = object()


def guest(x: Any) -> Any:
    """Compile a host function or class in the guest, from its source: a decorator.

        @pybridge.guest
        def norm(rows):
            return [math.sqrt(sum(v * v for v in row)) for row in rows]

    Gives the guest's function, which runs at CPython's speed without crossings, and which
    guest libraries can inspect, compile (`numba.njit`) and pickle.  Generator functions,
    coroutine functions, lambdas and whole classes too.

    Names, closure values and defaults have the values that they have now: later changes of
    host variables are not seen, nor are the guest's assignments to globals seen here.  Guest
    functions of one host module share their globals and may call each other.  A guest object
    is returned as it is.  Raises ConversionError, with the reason, for what cannot be compiled
    there, and SyntaxError for syntax that the guest's version does not know.
    """
    if isinstance(x, Handle):
        return x
    _runtime.running()
    if isinstance(x, type):
        return _class(x, sys._getframe(1).f_locals)
    function = _unwrapped(x)
    if type(function) is not FunctionType:
        raise TypeError(
            f"pybridge.guest wants a host function or class written in Python, "
            f"not {type(x).__name__}"
        )
    return _function(function)


def _unwrapped(x: Any) -> Any:
    """What functools.wraps leads to: the decorators in between are part of the text."""
    for _ in range(100):
        inner = getattr(x, "__wrapped__", None)
        if inner is None or isinstance(inner, Handle):
            break
        x = inner
    return x


class _Text:
    """Source lines: `first` is the number of the first, `kind` "def", "class" or "lambda"."""

    def __init__(self, filename: str, text: str, first: int, kind: str) -> None:
        self.filename = filename
        self.text = text
        self.first = first
        self.kind = kind


def _text_of(x: Any, name: str) -> _Text:
    import inspect

    missing = _refusal(
        name, "its source is not at hand", "define it in a file, not by exec or eval"
    )
    try:
        filename = inspect.getsourcefile(x) or inspect.getfile(x)
        lines, first = inspect.getsourcelines(x)
    except (OSError, TypeError):
        raise missing from None
    if getattr(x, "__name__", "") != "<lambda>":
        kind = "class" if isinstance(x, type) else "def"
        return _Text(_file(filename), "".join(lines), first, kind)
    found = _lambda_text(x, filename)
    if found is None:
        raise missing
    return found


def _file(filename: str) -> str:
    return os.path.abspath(filename) if os.path.exists(filename) else filename


def _lambda_text(function: FunctionType, filename: str) -> _Text | None:
    """A lambda's text: found by its line, and among several there by its code."""
    import ast
    import linecache

    source = "".join(linecache.getlines(filename, function.__globals__))
    code = function.__code__
    found = [
        text
        for node in (ast.walk(ast.parse(source)) if source else ())
        if isinstance(node, ast.Lambda) and node.lineno == code.co_firstlineno
        for text in [ast.get_source_segment(source, node)]
        if text is not None and _same_code(text, code)
    ]
    if not found:
        return None
    if len({*found}) > 1:
        raise _refusal(
            "the lambda",
            f"line {code.co_firstlineno} of {filename} has more than one that could be it",
            "give it a line of its own",
        )
    return _Text(_file(filename), found[0], code.co_firstlineno, "lambda")


def _same_code(text: str, code: CodeType) -> bool:
    free = ", ".join(code.co_freevars)
    maker = compile(f"def maker({free}):\n return (\n{text}\n)", "", "exec").co_consts[0]
    other = next(c for c in maker.co_consts if isinstance(c, CodeType))
    return _shape(other) == _shape(code)


def _shape(code: CodeType) -> tuple[Any, ...]:
    constants = [_shape(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return code.co_varnames, code.co_names, code.co_freevars, code.co_code, constants


def _refusal(name: str, reason: str, remedy: str) -> ConversionError:
    return ConversionError(f"{name} cannot become guest code: {reason}; {remedy}", code="PB306")


# ---- functions ------------------------------------------------------------------------------


@hidden
def _function(function: FunctionType) -> Any:
    name = function.__qualname__
    code = function.__code__
    if "__class__" in code.co_freevars:
        raise _refusal(
            name, "it uses super() or __class__", "make its whole class guest code instead"
        )
    text = _text_of(function, name)
    space = function.__globals__
    free = code.co_freevars
    draft, names, texts = _draft(text, name, space, {}, free, code.co_flags)
    cells = []
    for variable, cell in zip(free, function.__closure__ or ()):
        try:
            value = cell.cell_contents
        except ValueError:
            value = function if variable == function.__name__ else _UNKNOWN
        if value is _UNKNOWN:
            raise _refusal(
                name, f"{variable} has no value yet", f"set {variable} before this function"
            )
        cells.append(() if value is function else (_passable(name, variable, value),))
    attributes = {
        "__name__": function.__name__,
        "__qualname__": name,
        "__module__": function.__module__,
        "__doc__": function.__doc__,
        "__defaults__": tuple(
            [_passable(name, "a default", d) for d in function.__defaults__ or ()]
        )
        or None,
        "__kwdefaults__": {
            k: _passable(name, f"the default of {k}", v)
            for k, v in (function.__kwdefaults__ or {}).items()
        }
        or None,
        "__annotations__": {
            k: v if _crosses(v) else texts.get(k, repr(v))
            for k, v in _annotations(function).items()
        },
    }
    values = _values(name, names, [space], function)
    return _guest.call(
        "source.finish", draft, space.get("__file__"), values, tuple(cells), attributes
    )


def _annotations(function: Any) -> dict[str, Any]:
    try:
        return dict(function.__annotations__)
    except Exception:  # newer hosts evaluate them now
        return {}


def _draft(
    text: _Text,
    name: str,
    space: dict[str, Any],
    local: dict[str, Any],
    free: tuple[str, ...],
    flags: int,
) -> tuple[Any, tuple[str, ...], dict[str, str]]:
    import __future__

    future = bool(flags & __future__.annotations.compiler_flag)
    kept = _kept(text, [local, space])
    module = space.get("__name__", "__main__")
    draft, names, rebound, texts = _guest.call(
        "source.draft",
        text.text, text.filename, text.first, text.kind, kept, free, module, future,
    )  # fmt: skip
    if rebound:
        raise _refusal(
            name,
            f"it rebinds {', '.join(rebound)} of the host function around it (nonlocal)",
            "return the new value, or keep it in an object",
        )
    return draft, names, dict(texts.items())


def _kept(text: _Text, spaces: list[dict[str, Any]]) -> tuple[int, ...]:
    """The positions of the decorators below ours: all, when it was called as a function."""
    if text.kind == "lambda":
        return ()
    import ast

    indented = text.text[:1] in " \t"
    node: Any = ast.parse("if 1:\n" + text.text if indented else text.text).body[0]
    if indented:
        node = node.body[0]
    found = node.decorator_list
    ours = [i for i, d in enumerate(found) if _named(d, spaces) is guest]
    return tuple(range(ours[-1] + 1 if ours else 0, len(found)))


def _named(node: ast.AST, spaces: list[dict[str, Any]]) -> Any:
    """The host object that a dotted name means, without running anything of the program's."""
    import ast

    if isinstance(node, ast.Name):
        return _lookup(node.id, spaces)
    if isinstance(node, ast.Attribute):
        home = _named(node.value, spaces)
        if isinstance(home, ModuleType):
            return vars(home).get(node.attr, _UNKNOWN)
    return _UNKNOWN


def _lookup(name: str, spaces: list[dict[str, Any]]) -> Any:
    for space in spaces:
        if name in space:
            return space[name]
    return _UNKNOWN


# ---- classes --------------------------------------------------------------------------------


@hidden
def _class(cls: type, around: dict[str, Any]) -> Any:
    """A class: its statement is run in the guest.  `around`: the variables where it stands."""
    name = cls.__qualname__
    text = _text_of(cls, name)
    space = vars(sys.modules[cls.__module__]) if cls.__module__ in sys.modules else {}
    local = {} if around is space else dict(around)
    flags = 0
    for part in vars(cls).values():
        function = getattr(part, "__func__", part)
        if type(function) is FunctionType:
            flags |= function.__code__.co_flags
            for variable, cell in zip(
                function.__code__.co_freevars, function.__closure__ or ()
            ):
                try:
                    local.setdefault(variable, cell.cell_contents)
                except ValueError:
                    pass
    local.pop("__class__", None)
    local.pop(cls.__name__, None)
    draft, names, _ = _draft(text, name, space, local, (), flags)
    values = _values(name, names, [local, space], cls)
    return _guest.call("source.finish", draft, space.get("__file__"), values, (), None)


# ---- values ---------------------------------------------------------------------------------


def _values(
    name: str, names: tuple[str, ...], spaces: list[dict[str, Any]], itself: Any
) -> dict[str, Any]:
    """What the global names mean.  Unknown ones stay so: the guest's builtins have them, or
    another guest function will be of that name, or it is a NameError when it runs."""
    values = {}
    for variable in names:
        value = _lookup(variable, spaces)
        if value is not _UNKNOWN and value is not itself and variable != "__builtins__":
            values[variable] = _passable(name, variable, value)
    return values


def _passable(name: str, variable: str, value: Any) -> Any:
    """The value as it goes to the guest; refused by name where it cannot."""
    if type(value) is ModuleType:
        return _guest.call("source.import_same", value.__name__)
    same = _same(value)
    if same:
        return same[0]
    try:
        _check(value)
    except ConversionError as error:
        raise ConversionError(
            f"{name} cannot become guest code: {variable} does not cross: {error}", code="PB306"
        ) from None
    return value


def _same(value: Any) -> tuple[Any, ...]:
    """(The guest's own function or class,) for one of the standard library's, else ()."""
    module = getattr(value, "__module__", None)
    qualname = getattr(value, "__qualname__", None)
    if type(module) is not str or type(qualname) is not str or not callable(value):
        return ()
    found: Any = library_module(module)
    if found is None:
        return ()
    for part in qualname.split("."):
        found = getattr(found, part, None)
    if found is not value:
        return ()
    if module.startswith("_") and not module.startswith("__"):
        # A PyPy module's inner name may be nobody's in the guest: by the public one.
        for public in (module[1:], "builtins"):
            answer: Any = _guest.call("source.find_same", public, qualname)
            if answer:
                return answer  # type: ignore[no-any-return]
    return _guest.call("source.find_same", module, qualname)  # type: ignore[no-any-return]


def _check(value: Any) -> None:
    frame = frame_get()
    put(frame, 0, value)
    frame.reset()
    frames.append(frame)


def _crosses(value: Any) -> bool:
    try:
        _check(value)
    except ConversionError:
        return False
    return True
