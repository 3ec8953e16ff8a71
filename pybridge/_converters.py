# SPDX-License-Identifier: MIT
"""Converters of the program's own: how objects of one class cross.

A host class's converter is an entry of `_put.encoders`, a guest class's a maker of
`_mirror.convert`: classes without one cost nothing more than before.  What a converter of
this name does now is looked up when an object crosses: in the scopes of this context,
innermost first, then in the global table; `None` there, or nothing at all, means the bridge's
own rule.

A guest class is known by name until the guest has it, since nothing is imported for a
converter: `_look` looks for those each time that a class is seen first.
"""

from __future__ import annotations

import _thread

from pybridge import _exporter, _guest, _mirror, _put, _runtime
from pybridge._frame import Frame
from pybridge._handle import Handle
from pybridge._host import hidden
from pybridge._locks import locked
from pybridge._metatype import MirrorType
from pybridge._put import encoders, fallbacks, put

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any, Callable

    from pybridge._put import Encoder

_ABSENT: Any = object()
_PLAIN = (type(None), bool, int, float, complex, str, bytes, tuple, list, dict, set, frozenset,
          slice, range, type(Ellipsis), type(NotImplemented))  # fmt: skip

_lock = _thread.allocate_lock()
_functions: dict[Any, Any] = {}  # key -> function or None, for all threads
_scopes: Any = None  # ContextVar of {key: function or None}; made at the first scope
_ordinary: dict[type, Any] = {}  # host class -> the encoder that it had before, or None


class _GuestClass:
    """A guest class by name; `found`: the guest has it, its objects come here."""

    __slots__ = ("found", "module", "name")

    def __init__(self, module: str, name: str) -> None:
        self.module = module
        self.name = name
        self.found = False


_by_name: dict[tuple[str, str], _GuestClass] = {}


def converter(cls: Any, function: Any = _ABSENT) -> Any:
    """Say how objects of a class cross, everywhere in the program.

        pybridge.converter(Point, lambda p: guest_point(p.x, p.y))           # to the guest
        pybridge.converter("pandas:Timestamp", lambda t: t.to_pydatetime())  # to the host

    `cls`: a host class, whose objects are converted on the way to the guest; or a guest class,
    as itself or as "module:qualname", which imports nothing, for the way to the host.  Exactly
    that class, not those derived from it.  `function`: gets the object (a guest one as a
    proxy) and gives what is used in its place, which crosses by the ordinary rules; the object
    itself means that it crosses as if there were no converter.  What it raises reaches the
    code that made the object cross.  None takes a converter back.  Without `function` this is
    a decorator.  Any thread, any time.

    Refused with TypeError: classes whose objects always cross by the bridge's own rules
    (numbers, text, bytes, containers).  `converters` is for one block of code.
    """
    if function is _ABSENT:
        return lambda f: (converter(cls, f), f)[1]
    _wanted(function)
    key = _key(cls)
    with locked(_lock):
        _functions[key] = function
    _enter(key)
    return function


class converters:
    """A context manager: converters for one block, in this thread or asyncio task only.

        with pybridge.converters({Point: None, "numpy:datetime64": to_datetime}):

    A dict of what `converter` takes; None turns a converter off.  Blocks nest, the inner one
    wins.  Tasks and `contextvars` contexts that begin inside inherit it; threads do not.
    """

    def __init__(self, functions: dict[Any, Callable[[Any], Any] | None]) -> None:
        for function in functions.values():
            _wanted(function)
        self._functions = {_key(cls): function for cls, function in functions.items()}
        self._tokens: list[Any] = []

    def __enter__(self) -> converters:
        global _scopes
        with locked(_lock):
            if _scopes is None:
                import contextvars

                _scopes = contextvars.ContextVar("pybridge.converters")
        for key in self._functions:
            _enter(key)
        self._tokens.append(_scopes.set({**_scopes.get({}), **self._functions}))
        return self

    def __exit__(self, *exc: object) -> None:
        _scopes.reset(self._tokens.pop())


def _wanted(function: Any) -> None:
    if function is not None and not callable(function):
        raise TypeError(f"a converter is a function or None, not {type(function).__name__}")


def _key(cls: Any) -> Any:
    if isinstance(cls, MirrorType):
        return _guest_class(*_guest.call("full_name", cls))
    if isinstance(cls, type):
        if cls in _PLAIN:
            raise TypeError(f"{cls.__name__} objects always cross by value: no converter")
        return cls
    if isinstance(cls, str):
        module, colon, name = cls.partition(":")
        if colon and module and name:
            return _guest_class(module, name)
    raise TypeError(
        f"a converter is for a host class, a guest class, or 'module:qualname', not {cls!r}"
    )


def _guest_class(module: str, name: str) -> _GuestClass:
    if module == "builtins" and name in [kind.__name__ for kind in _PLAIN]:
        raise TypeError(f"guest {name} objects always cross as they are: no converter")
    with locked(_lock):
        known = _by_name.get((module, name))
        if known is None:
            known = _by_name[module, name] = _GuestClass(module, name)
    return known


def _enter(key: Any) -> None:
    """Make objects of this class come here."""
    if isinstance(key, _GuestClass):
        if _runtime.state is _runtime.RUNNING:
            _find(key)
    else:
        with locked(_lock):
            if key not in _ordinary:
                _ordinary[key] = encoders.get(key)
                encoders[key] = _put_converted


def _function_for(key: Any) -> Any:
    if _scopes is not None:
        function = _scopes.get({}).get(key, _ABSENT)
        if function is not _ABSENT:
            return function
    return _functions.get(key)


# ---- to the guest ---------------------------------------------------------------------------


@hidden
def _put_converted(frame: Frame, at: int, x: Any) -> int:
    kind = type(x)
    function = _function_for(kind)
    if function is not None:
        other = function(x)
        if type(other) is not kind:
            if isinstance(other, Handle):
                _put.keep(frame, other)
            return put(frame, at, other)
        x = other
    encoder: Encoder | None = _ordinary[kind]
    if encoder is None:
        encoder = _encoder_of(x)
    return encoder(frame, at, x)


def _encoder_of(x: Any) -> Encoder:
    for fallback in fallbacks:
        encoder = fallback(x)
        if encoder is not None:
            return encoder
    raise _put.unconvertible(x)


# ---- to the host ----------------------------------------------------------------------------


def _find(cls: _GuestClass) -> None:
    """Have the objects of a guest class come here, if the guest has it."""
    if not cls.found and _guest.call("class_loaded", cls.module, cls.name) is not None:
        cls.found = True
        _mirror.convert(cls.module, cls.name, lambda x: _converted(cls, x))


def _look() -> None:
    for cls in list(_by_name.values()):
        if not cls.found:
            _find(cls)


@hidden
def _converted(cls: _GuestClass, x: Any) -> Any:
    """The host's object for a guest object whose class has a converter."""
    function = _function_for(cls)
    return x if function is None else function(x)


_mirror.classified.append(_look)
_REGISTERED = _exporter  # imported first: its rows are there to be put aside
