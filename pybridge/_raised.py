# SPDX-License-Identifier: MIT
"""Exceptions that cross.

A guest exception becomes a host exception of the same builtin class, with its args and
attributes; one of a custom class becomes an exception of a host class of the same name,
made below the nearest builtin one.  Its traceback holds the guest's frames as if they were
the host's: entries made of real frame objects whose code has the guest's file and function
name, so that the report reads in order, with source lines, and ends with the guest's part.
`str(e)` and `e.args` are what they are on one interpreter.

The host object keeps the guest's exception (`__pybridge_guest__`), so when it goes back into
guest code it is the same object there.  A host exception that goes through guest code comes
back as itself: the guest's stand-in holds it through the table of host objects.

`__cause__` and `__context__` cross as well, a bounded number of links.
"""

from __future__ import annotations

import builtins
import types

from pybridge import _guest
from pybridge._convert import ERROR, Frame, fallbacks, frame_get, frames, late, put
from pybridge._convert import put_arguments, take
from pybridge._core import lib
from pybridge._errors import ConversionError
from pybridge._handle import Handle, adopt
from pybridge._table import guest_object, put_object

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from pybridge._convert import Encoder
    from typing import Any

_GUEST = "__pybridge_guest__"
_MOST_LINKS = 50
_classes: dict[tuple[str, str, type], type] = {}


def _host_class(names: tuple[tuple[str, str], ...]) -> type[BaseException]:
    """The host's class for a guest MRO, given as (module, name) pairs."""
    own = []
    base: type[BaseException] = Exception
    for module, name in names:
        found = getattr(builtins, name, None) if module == "builtins" else None
        if isinstance(found, type) and issubclass(found, BaseException):
            base = found
            break
        own.append((module, name))
    for module, name in reversed(own):
        key = (module, name, base)
        cls = _classes.get(key)
        if cls is None:
            space = {"__module__": module, "__qualname__": name, "__str__": _text}
            cls = _classes[key] = type(name.rpartition(".")[2], (base,), space)
        base = cls
    return base


def _text(self: BaseException) -> str:
    text = self.__dict__.get("__pybridge_text__")
    return super(type(self), self).__str__() if text is None else text


def _code(filename: str, name: str) -> Any:
    return _pattern.__code__.replace(co_filename=filename, co_name=name)


def _pattern() -> Any:
    yield


def _traceback(
    entries: tuple[tuple[str, int, str, str], ...], inner: types.TracebackType | None
) -> types.TracebackType | None:
    """Host traceback entries for guest frames, in front of `inner`."""
    for filename, lineno, name, line in reversed(entries):
        _remember(filename, lineno, line)
        # A generator that never ran has a frame: the cheapest real one there is.
        generator = types.FunctionType(_code(filename, name), {"__name__": "guest"})()
        inner = types.TracebackType(inner, generator.gi_frame, 0, max(lineno, 1))
    return inner


def _remember(filename: str, lineno: int, line: str) -> None:
    """Let the host print a line of code that is in no file."""
    import linecache

    if not line or linecache.getline(filename, lineno):
        return
    known = linecache.cache.get(filename)
    lines = list(known[2]) if known is not None and len(known) == 4 else []
    lines.extend(["\n"] * (lineno - len(lines)))
    lines[lineno - 1] = line
    linecache.cache[filename] = (len(line), None, lines, filename)


def to_host(proxy: Any, links: int = _MOST_LINKS) -> BaseException:
    """The host exception for a guest exception object."""
    host, names, args, attributes, entries, cause, context, suppress, notes, text = (
        _guest.call("describe_exception", proxy)
    )
    if host is not None:
        exc: BaseException = host
    else:
        exc = _made(_host_class(names), args, attributes, text)
        setattr(exc, _GUEST, proxy)
    exc = exc.with_traceback(_traceback(entries, exc.__traceback__))
    if host is None and links > 0:
        if isinstance(cause, Handle):
            exc.__cause__ = to_host(cause, links - 1)
        if isinstance(context, Handle):
            exc.__context__ = exc.__cause__ if context is cause else to_host(context, links - 1)
        exc.__suppress_context__ = suppress
    if notes and host is None:
        exc.__notes__ = list(notes)  # type: ignore[attr-defined]
    return exc


def _made(
    cls: type[BaseException], args: tuple[Any, ...], attributes: Any, text: str | None
) -> BaseException:
    try:
        exc = cls(*args)
    except Exception:
        exc = cls.__new__(cls)
    try:
        if exc.args != args:
            exc.args = args
    except Exception:  # an argument whose comparison fails: take them as they are
        exc.args = args
    for name, value in attributes:
        try:
            if getattr(exc, name, None) is not value:
                setattr(exc, name, value)
        except Exception:  # a read-only one, set by the constructor already
            pass
    if text is not None:
        exc.__pybridge_text__ = text  # type: ignore[attr-defined]
    return exc


def _raise_guest(proxy: Any) -> Any:
    raise to_host(proxy)


def guest_exception(exc: BaseException) -> int:
    """The guest's object for a host exception: a handle (new) of the caller's own."""
    frame = frame_get()
    guest = exc.__dict__.get(_GUEST) if hasattr(exc, "__dict__") else None
    if isinstance(guest, Handle) and guest._pybridge_handle:
        function, args = "mark_seen", (guest,)
    else:
        function, args = "make_exception", _description(exc)
    try:
        n, names = put_arguments(frame, args, {})
    except ConversionError:
        frame.reset()
        plain = tuple(a if type(a) in (int, float, str, bool) else repr(a) for a in exc.args)
        n, names = put_arguments(frame, (args[0], args[1], plain, args[3]), {})
    callable_ = _guest.support(function)
    word = lib.pb_call(frame.mem, callable_._pybridge_handle, n, names)
    if word & 255 == ERROR or word & 255 == lib.PB_REFUSED:
        return take(frame, word)  # type: ignore[no-any-return]
    if frame.keep is not None:
        frame.reset()
    handle: int = frame.ints[1]
    frames.append(frame)
    return handle


def _description(exc: BaseException) -> tuple[Any, ...]:
    names = []
    for cls in type(exc).__mro__:
        names.append((cls.__module__, cls.__qualname__))
        if cls.__module__ == "builtins":
            break
    try:
        text = str(exc)
    except Exception:
        text = f"<{type(exc).__name__} whose __str__ failed>"
    return guest_object(exc, False)[0], tuple(names), tuple(exc.args), text


def _put_exception(frame: Frame, at: int, exc: BaseException) -> int:
    other = frame_get()
    proxy = adopt(other, guest_exception(exc))
    frames.append(other)
    return put_object(frame, at, proxy)


def _exception_encoder(x: Any) -> Encoder | None:
    return _put_exception if isinstance(x, BaseException) else None


late.raise_guest = _raise_guest
fallbacks.append(_exception_encoder)

