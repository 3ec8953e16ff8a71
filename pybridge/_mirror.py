# SPDX-License-Identifier: MIT
"""Mirror classes: for each guest class the host class that stands for it.

    numpy.ndarray              is the class of the proxies of arrays, and can be called
    isinstance(a, numpy.ndarray)   is decided on the host, without a crossing

A mirror class has the name and the bases of its guest class, and exactly its special methods
(from `_proxy.POOL`), because those are what the language looks for on the class: a proxy is
callable if its class has `__call__`, iterable if it has `__iter__`.  Everything else, class
attributes included, is asked of the guest when it is asked for.

What stands for a guest class (`_kinds.objects`):

    int, list, datetime.date ...    the host's own class of that name
    an exception class              a host exception class (`_raised`)
    any other                       its mirror class

A class that derives from int, float, complex, str, bytes or tuple mirrors to one that derives
from the host's own, and its objects are both: a host value, and a proxy.

A class is mirrored when it, or the first object of it, crosses.  One that a module has is
kept for ever, as it is in the guest; others may die: the mirror class holds the guest class,
and is itself held by its objects and by who uses it (`_kinds.mortal`).

Threads: `_kinds.lock` is held while a class is made.
"""

from __future__ import annotations

import builtins

from pybridge import _guest, _kinds, _values
from pybridge._core import ffi, lib
from pybridge._exceptionclasses import described_classes, exception_class
from pybridge._frame import Frame, frame_get
from pybridge._handle import (
    adopt_alone,
    adopt_as,
    isolate,
    makers,
    reclassify,
    release,
    settle,
)
from pybridge._host import hidden, promote
from pybridge._locks import locked
from pybridge._metatype import pending
from pybridge._mirrorclass import DOC, MODULE, Description, class_make, constant, converted
from pybridge._ownclasses import BY_VALUE, OWN, guest_class_of, numbers, put_own_class
from pybridge._proxy import Proxy
from pybridge._put import fallbacks, put
from pybridge._raised import exception_object
from pybridge._take import late, take, value_of

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

    from pybridge._put import Encoder

_cast = ffi.cast
_INTS = ffi.typeof("int64_t *")
_TYPE_WORD, _FLAGS_WORD = 1, 21  # of an object: its type; of a type: its flags
_IS_TYPE, _IS_EXCEPTION = 1 << 31, 1 << 30
_get = type.__getattribute__
classified: list[Any] = []  # called when a class has been classified or got a converter


# ---- from the guest -------------------------------------------------------------------------


def _unknown(proxy: Any) -> Any:
    """The object behind the proxy of one of an unclassified type."""
    if not _guest.loaded():
        return proxy
    if _is_type(proxy._pybridge_handle):
        cls = proxy
    else:
        frame = frame_get()
        word = lib.pb_operate(frame.mem, lib.PB_TYPE, proxy._pybridge_handle)
        cls = adopt_alone(_guest.handle_in(frame, word))
    alive = _class_of(cls)
    x = value_of(proxy)
    if cls is not proxy:
        release(proxy)  # a second reference to the object must not outlive the first
    del alive
    return x


def _is_type(handle: int) -> bool:
    return bool(_flags(_cast(_INTS, handle)[_TYPE_WORD]) & _IS_TYPE)


def _flags(handle: int) -> int:
    return _cast(_INTS, handle)[_FLAGS_WORD]  # type: ignore[no-any-return]


def _class_of(cls: Any) -> Any:
    """What stands for a guest class, given as an unclassified proxy; made if need be."""
    with locked(_kinds.lock):
        found = _known(cls)
        if found is None:
            found = pending[0](cls)
        if found is None:
            module, qualname, genuine = _guest.call("genuine", cls)
            if genuine or module == "builtins":
                found = _own(cls, module, qualname)
        if found is None:
            d = Description(_guest.call("describe_class", cls))
            found = _known(cls)  # describing it may have led to itself
        if found is None and _flags(cls._pybridge_handle) & _IS_EXCEPTION:
            found = _exception(cls, exception_class(d.module, d.qualname, d.bases, d.name))
        if found is None:
            found = _mirrored(cls, d)
    for hook in classified:
        hook()
    return found


def stays(cls: Any) -> bool:
    """Does a module of the guest have the class, given as a bare proxy?"""
    return bool(_guest.call("genuine", cls)[2])


def _known(cls: Any) -> Any:
    """What stands for a guest class that has a number, or None."""
    number: int = lib.pb_kind_get(cls._pybridge_handle) >> 8
    found = _kinds.objects[number]
    return _kinds.alive(number) if found is None else found


def classify_as(cls: Any, tag: int, number: int, reducer: int = 0) -> None:
    frame = frame_get()
    take(frame, lib.pb_kind_set(frame.mem, cls._pybridge_handle, tag | number << 8, reducer))


def _own(cls: Any, module: str, qualname: str) -> Any:
    """The host's own class that a guest class is taken for, or None."""
    row = _values.ROWS.get((module, qualname))
    host: Any = None
    if row is not None:
        host = row.host_class()
        number = _stands_for(host, cls, None)
        _values.decode_as(number, row)
        reducer = _guest.support(row.reduce)
        classify_as(cls, lib.PB_VALUE, number, reducer._pybridge_handle)
        return host
    host = OWN.get(qualname) if module == "builtins" else None
    if host is None and module == "builtins":
        host = getattr(builtins, qualname, None)
        if not isinstance(host, type) or not issubclass(host, BaseException):
            return None
        return _exception(cls, host)
    if host is None:
        return None
    if host in BY_VALUE:  # no object of it becomes a proxy, but one that is nested too deep
        classify_as(cls, lib.PB_CLASS, _stands_for(host, cls, None))
    elif host is object:
        classify_as(cls, lib.PB_OBJECT, _stands_for(host, cls, _mirror_of_object()))
    else:
        _mirrored(cls, Description(_guest.call("describe_class", cls)), host)
    return host


def _stands_for(host: type, cls: Any, instance: Any) -> int:
    """A number for a class that is not mirrored: `instance` is the class of its proxies."""
    number = _kinds.number_new()
    _kinds.enter(number, instance or _kinds.instances[_kinds.UNCLASSIFIED], host)
    numbers[host] = number
    _kinds.guest_classes[host] = settle(cls)
    return number


def _mirror_of_object() -> type:
    space = {"__module__": MODULE, "__doc__": DOC, "__class__": constant(object)}
    return type("object", (Proxy,), space)


def _exception(cls: Any, host: type) -> type:
    """An exception class; its objects become host exceptions."""
    # Kept for ever, both: programs make few exception classes, and keep what they raise.
    number = _stands_for(host, cls, None)
    _kinds.instances[number] = None
    makers[number] = exception_object
    classify_as(cls, lib.PB_OBJECT, number)
    return host


def _mirrored(cls: Any, d: Description, host: Any = None) -> Any:
    """Make the mirror class; `host`: what stands for the class itself instead."""
    if host is not None:
        number = _stands_for(host, cls, None)
        mirror = _kinds.instances[number] = class_make(d, number, cls)
    else:
        number = _kinds.number_new()
        mirror = class_make(d, number, cls)
        if d.kept:
            settle(cls)
            _kinds.enter(number, mirror, mirror)
        else:
            isolate(cls)
            _kinds.enter_mortal(number, mirror)
    classify_as(cls, lib.PB_SUBVALUE if d.value else lib.PB_OBJECT, number)
    return host or mirror


def _class_object(number: int, proxy: Any) -> Any:
    """What a guest class that crosses is on the host."""
    cls = _kinds.objects[number]
    if cls is None:
        cls = _kinds.used(number)
        if cls is None:
            return _unknown(proxy)
    release(proxy)
    return cls


@hidden
def _subvalue(number: int, value: Any, proxy: Any) -> Any:
    """A value of a subclass: the host's value, with the guest object behind it."""
    cls = _kinds.instances[number]
    if cls is None:
        cls = _kinds.used(number)
        if cls is None:
            return _unknown(proxy)
    return _subvalue_of(promote(cls), value, proxy)


@hidden
def _subvalue_of(cls: Any, value: Any, proxy: Any) -> Any:
    x = _get(cls, "_pybridge_value").__new__(cls, value)
    adopt_as(x, proxy)
    return x


def convert(module: str, qualname: str, maker: Any) -> None:
    """From now on objects of exactly that class, of a module that the guest has imported,
    become what `maker(x)` gives, `x` being what they were before; itself: it stays that."""
    cls = _guest.call_raw("class_named", module, qualname)
    with locked(_kinds.lock):
        _class_of(cls)
        word = lib.pb_kind_get(cls._pybridge_handle)
        number = word >> 8
        if number in makers:
            return
        ordinary = _ordinary(number, word & 255)
        makers[number] = lambda handle, proxy: maker(ordinary(proxy))
        converted[number] = _kinds.instances[number] or _kinds.alive(number)
        _kinds.instances[number] = None
        classify_as(cls, lib.PB_OBJECT, number)
    for hook in classified:
        hook()


def _ordinary(number: int, tag: int) -> Any:
    """What makes, of a bare proxy, the object as it crosses without a converter."""
    instance = _kinds.instances[number] or _kinds.alive(number)
    if tag == lib.PB_VALUE:
        row = _values.ROWS[
            _kinds.objects[number].__module__, _kinds.objects[number].__qualname__
        ]

        def value(proxy: Any) -> Any:
            # Broken, or half made, it stays what it is.  The guest catches its error: here it
            # would lead to the object, of which `AttributeError.obj` is, and so to this again.
            fields = _guest.call("reduced", _guest.support(row.reduce), proxy)
            try:
                return proxy if fields is None else row.make(*fields)
            except Exception:
                return proxy

        return value
    if tag == lib.PB_SUBVALUE:
        return lambda proxy: _subvalue_of(instance, _guest.call("plain", proxy), proxy)

    def plain(proxy: Any) -> Any:
        x = _get(instance, "_pybridge_new")(instance)
        adopt_as(x, proxy)
        return x

    return plain


# ---- to the guest ---------------------------------------------------------------------------


def _put_exception_class(frame: Frame, at: int, cls: Any) -> int:
    if guest_class_of(cls) is None:
        with locked(_kinds.lock):
            proxy = _guest.call_raw("exception_class", described_classes(cls))
            _exception(proxy, cls)
    return put(frame, at, guest_class_of(cls))


def _class_encoder(x: Any) -> Encoder | None:
    if isinstance(x, type) and guest_class_of(x) is not None:
        return put_own_class
    if isinstance(x, type) and issubclass(x, BaseException):
        return _put_exception_class
    return None


late.unknown = _unknown
late.class_object = _class_object
late.subvalue = _subvalue
reclassify[0] = _unknown
fallbacks.append(_class_encoder)
