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

import _thread
import sys
from _weakref import ref as _ref

from pybridge import _guest
from pybridge._core import lib
from pybridge._described import GUEST as _GUEST
from pybridge._described import note_class
from pybridge._errors import ConversionError
from pybridge._exceptionclasses import (
    TEXT,
    described_classes,
    host_class,
    text_of,
)
from pybridge._frame import Frame, frame_get, frames
from pybridge._handle import Handle, adopt, adopt_alone, release
from pybridge._host import hidden
from pybridge._put import fallbacks, put
from pybridge._table import PLAIN, guest_object, put_object
from pybridge._tags import ERROR
from pybridge._take import late, take
from pybridge._tracebacks import guest_traceback

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

    from pybridge._put import Encoder

FROM_C = "__pybridge_from_c__"  # on an exception that a host function raised to C: _lowlevel
_MOST_LINKS = 50  # exceptions converted for one that is raised: causes, contexts, groups


# Exceptions of the guest whose host objects were passed back as values (not thrown): guest
# address -> the host's object, which keeps the guest's alive and so the address true.
_passed: dict[int, Any] = {}


def _passed_note(address: int, exc: BaseException) -> None:
    def forget(reference: Any) -> None:
        if _passed.get(address) is reference:
            del _passed[address]

    try:
        _passed[address] = _ref(exc, forget)
    except TypeError:  # a CPython host has no weak references to builtin exceptions
        pass


def _passed_find(proxy: Any) -> BaseException | None:
    reference = _passed.get(proxy._pybridge_handle)
    exc = None if reference is None else reference()
    guest = None if exc is None else exc.__dict__.get(_GUEST)
    return (
        exc if guest is not None and guest._pybridge_handle == proxy._pybridge_handle else None
    )


class _Described:
    """What `describe_exception` of the guest answers."""

    def __init__(self, fields: tuple[Any, ...]) -> None:
        (
            self.host,  # the host's object, if there is one already
            self.guests,  # ... for an exception that the guest made
            self.classes,
            self.args,
            self.attributes,
            self.entries,
            self.cause,  # address, or 0
            self.context,
            self.suppress,
            self.notes,
            self.text,
            self.members,  # of an exception group: how many
            self.plain,  # the class changes nothing of what every exception has
        ) = fields


def _describe(proxy: Any) -> Any:
    for name in ("describe_exception", "describe_plainly"):
        function = _guest.support(name)
        frame = frame_get()
        put(frame, 0, proxy)
        word = lib.pb_call(frame.mem, function._pybridge_handle, 1, 0)
        if word & 255 != ERROR:
            return take(frame, word)
        adopt(frame, frame.ints[1])  # raised by the exception's own code: dropped
        frames.append(frame)
    # Nothing of the exception's own ran the second time: there was no room for ours.
    return (
        None, False, (("builtins", "RecursionError", ()),),
        ("the guest's recursion limit left no room to say what it raised",),
        (), (), 0, 0, False, (), None, None, False,
    )  # fmt: skip


def to_host(proxy: Any, known: dict[int, Any] | None = None) -> BaseException:
    """The host exception for a guest exception object.

    `known`: those converted for the same one, by address, with their proxies, which keep the
    addresses true.  Chains may share links, have loops, or be very long.
    """
    if not isinstance(proxy, Handle):
        return proxy  # type: ignore[no-any-return]  # the host's own, met in a chain
    if known is None:
        known = {}
    elif proxy._pybridge_handle in known:
        return known[proxy._pybridge_handle][1]  # type: ignore[no-any-return]
    d = _Described(_describe(proxy))
    if d.host is None and d.guests:
        d.host = _passed_find(proxy)
    if d.host is not None:
        exc: BaseException = d.host
        if not d.guests:
            # The guest's stand-in holds the host's exception, whose traceback may hold any
            # proxy, also a neighbour of this one in its chunk: a ring, if this one stayed.
            known[id(proxy)] = proxy, exc  # its number counts; the address may be used again
            _added(exc, d, proxy, known)
            release(proxy)
            return exc.with_traceback(guest_traceback(d.entries, exc.__traceback__))
        setattr(exc, _GUEST, proxy)
    elif d.members is not None:
        known[proxy._pybridge_handle] = proxy, None  # counts, while its members are converted
        members = [
            to_host(_link(proxy, i), known)
            for i in range(d.members)
            if len(known) < _MOST_LINKS
        ]
        exc = _made_group(d, members)
        setattr(exc, _GUEST, proxy)
    else:
        exc = _made(host_class(d.classes), d)
        setattr(exc, _GUEST, proxy)
        if d.plain and d.text is None:
            note_class(type(exc), proxy, [name for name, _ in d.attributes])
    known[proxy._pybridge_handle] = proxy, exc
    exc = exc.with_traceback(guest_traceback(d.entries, exc.__traceback__))
    if d.host is None or d.guests:
        if d.cause and (len(known) < _MOST_LINKS or d.cause in known):
            exc.__cause__ = to_host(_link(proxy, "__cause__"), known)
        if d.context and (len(known) < _MOST_LINKS or d.context in known):
            exc.__context__ = to_host(_link(proxy, "__context__"), known)
        exc.__suppress_context__ = d.suppress
        if d.notes:
            exc.__notes__ = list(d.notes)  # type: ignore[attr-defined]
    return exc


def _added(exc: BaseException, d: _Described, proxy: Any, known: dict[int, Any]) -> None:
    """What guest code has added to an exception of the host's on its way."""
    if d.cause and exc.__cause__ is None and len(known) < _MOST_LINKS:
        exc.__cause__ = to_host(_link(proxy, "__cause__"), known)
        exc.__suppress_context__ = d.suppress
    if d.context and len(known) < _MOST_LINKS:
        context = to_host(_link(proxy, "__context__"), known)
        if context is not exc:
            _chain_end(exc, context)
    if len(d.notes) > len(getattr(exc, "__notes__", ())):
        exc.__notes__ = list(d.notes)  # type: ignore[attr-defined]


def _link(proxy: Any, name: str | int) -> Any:
    return _guest.call_raw("link_of", proxy, name)


_converting: set[tuple[int, int]] = set()  # (thread, address)


def exception_object(handle: int, proxy: Any) -> Any:
    """The host exception for a guest exception that crosses as a value: the same one as long
    as the host keeps it.  One met again while it is converted stays a proxy."""
    known = _passed_find(proxy)
    key = _thread.get_ident(), handle
    if key in _converting:
        return proxy
    _converting.add(key)
    try:
        exc = to_host(proxy)
    finally:
        _converting.discard(key)
    if exc is not known and isinstance(getattr(exc, "__dict__", {}).get(_GUEST), Handle):
        release(_guest.call_raw("mark_seen", proxy))  # it has the frames up to here
        _passed_note(handle, exc)
    return exc


def _made_group(d: _Described, members: list[BaseException]) -> BaseException:
    """An exception group of host exceptions."""
    cls = host_class(d.classes)
    message = d.args[0] if d.args else ""
    try:
        exc: BaseException = cls(message, members)
    except Exception:
        exc = _Plain(message, members)
    for name, value in (("message", message), ("exceptions", tuple(members)), *d.attributes):
        try:
            if getattr(exc, name, None) is None:
                setattr(exc, name, value)
        except Exception:  # a read-only one, set by the constructor already
            pass
    if d.text is not None:
        setattr(exc, TEXT, d.text)
    return exc


class _Plain(Exception):
    """An exception of a class that the host cannot make an object of."""

    __str__ = text_of


def _made(cls: type[BaseException], d: _Described) -> BaseException:
    args = d.args
    try:
        exc = cls(*args)
    except Exception:
        try:
            exc = cls.__new__(cls)
        except Exception:
            exc = _Plain(*args)
    try:
        if exc.args != args:
            exc.args = args
    except Exception:  # an argument whose comparison fails: take them as they are
        exc.args = args
    for name, value in d.attributes:
        try:
            if getattr(exc, name, None) is not value:
                setattr(exc, name, value)
        except Exception:  # a read-only one, set by the constructor already
            pass
    if d.text is not None:
        setattr(exc, TEXT, d.text)
    return exc


def _is_from_c(cause: BaseException | None) -> bool:
    """Did a C function of the host's leave it (lowlevel.c), or one that did not even begin?"""
    return (
        FROM_C in getattr(cause, "__dict__", ())
        or isinstance(cause, KeyboardInterrupt)
        or (isinstance(cause, RecursionError) and "call the host" in str(cause))
    )


@hidden
def _raise_guest(proxy: Any) -> Any:
    before = lib.pb_stack_reserve(1)  # it may have come from deep in a recursion
    try:
        error = to_host(proxy)
    finally:
        lib.pb_stack_reserve(before)
        del proxy  # for the same reason as the others below
    if type(error) is SystemError and _is_from_c(error.__cause__):
        # CPython's remark that C code, which could not be told, went on with an exception.
        error = error.__cause__  # type: ignore[assignment]
    handled = sys.exc_info()[1]
    context = error.__context__
    if handled is None or context is None:
        try:
            raise error
        finally:
            del error, context, handled  # on a CPython host its traceback would keep it
    # Raising sets the context to what the host is handling; that belongs to the end of the
    # chain that the guest made.
    _chain_end(error, handled)
    try:
        raise error
    except BaseException:
        error.__context__ = context
        raise
    finally:
        del error, context, handled


def _chain_end(error: BaseException, handled: BaseException) -> None:
    known = set()
    last: BaseException | None = error
    while last is not None and last is not handled and id(last) not in known:
        known.add(id(last))
        if last.__context__ is None:
            if _absent(handled, known):
                last.__context__ = handled
            return
        last = last.__context__


def _absent(handled: BaseException, chain: set[int]) -> bool:
    """Does no link of `handled` stand in the chain already?  Else it would become a ring."""
    known: set[int] = set()
    link: BaseException | None = handled
    while link is not None and id(link) not in known:
        if id(link) in chain:
            return False
        known.add(id(link))
        link = link.__context__
    return True


def guest_exception(exc: BaseException, thrown: bool = False) -> int:
    """The guest's object for a host exception: a handle (new) of the caller's own.

    `thrown`: it leaves host code for good.  An exception that the guest made and the host
    caught is one object on each side.  While the host has it, the host's holds the guest's;
    when it is thrown back, the guest's holds the host's instead, and gives it back if it
    arrives again: the two never hold each other, which no collector would see.
    """
    space = getattr(exc, "__dict__", {})
    guest = space.get(_GUEST)
    if isinstance(guest, Handle) and guest._pybridge_handle:
        if thrown:
            handle = _guest.handle_of_call("mark_seen", guest, guest_object(exc, PLAIN)[0])
            space.pop(_GUEST, None)
            return handle
        _passed_note(guest._pybridge_handle, exc)
        return _guest.handle_of_call("mark_seen", guest)
    described = _description(exc)
    try:
        return _guest.handle_of_call("make_exception", *described)
    except (ConversionError, RecursionError):  # an argument or attribute without a form there
        host, classes, args, attributes, text = described
        args = tuple([a if _crosses(a) else repr(a) for a in args])
        attributes = tuple([(n, a) for n, a in attributes if _crosses(a)])
        return _guest.handle_of_call("make_exception", host, classes, args, attributes, text)


def _crosses(x: Any) -> bool:
    frame = frame_get()
    try:
        put(frame, 0, x)
    except Exception:
        return False
    frame.reset()
    frames.append(frame)
    return True


# What the constructor's arguments do not tell.
_ATTRIBUTES = {
    OSError: ("filename", "filename2"),
    ImportError: ("name", "path"),
    AttributeError: ("name",),
    NameError: ("name",),
}


def _description(exc: BaseException) -> tuple[Any, ...]:
    """What `make_exception` of the guest is told."""
    mro = type(exc).__mro__
    classes = described_classes(type(exc))
    attributes = []
    for cls, names in _ATTRIBUTES.items():
        if isinstance(exc, cls):
            for name in names:
                value = getattr(exc, name, None)
                if value is not None:
                    attributes.append((name, value))
    for name, value in list(getattr(exc, "__dict__", {}).items()):
        if type(name) is str and name not in (_GUEST, TEXT, FROM_C):
            attributes.append((name, value))
    text = None
    function = getattr(type(exc), "__str__", None)
    if not any(vars(b).get("__str__") is function for b in mro if b.__module__ == "builtins"):
        try:
            text = str(exc)
        except Exception as error:
            text = f"<{type(exc).__name__} whose __str__ raised {type(error).__name__}>"
    return guest_object(exc, PLAIN)[0], classes, tuple(exc.args), tuple(attributes), text


def _put_exception(frame: Frame, at: int, exc: BaseException) -> int:
    proxy = adopt_alone(guest_exception(exc))
    return put_object(frame, at, proxy)


def _exception_encoder(x: Any) -> Encoder | None:
    return _put_exception if isinstance(x, BaseException) else None


late.raise_guest = _raise_guest
fallbacks.append(_exception_encoder)
