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
import sys
import types

from pybridge import _bound, _guest, _kinds, _methods, _values
from pybridge._convert import encoders, fallbacks, late, put, take, value_of
from pybridge._core import ffi, lib
from pybridge._errors import ConversionError
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
from pybridge._metatype import MirrorType, pending
from pybridge._proxy import POOL, GuestAttribute, Proxy
from pybridge._raised import described_classes, exception_class, exception_object

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

    from pybridge._convert import Encoder

_cast = ffi.cast
_INTS = ffi.typeof("int64_t *")
_TYPE_WORD, _FLAGS_WORD = 1, 21  # of an object: its type; of a type: its flags
_IS_TYPE, _IS_EXCEPTION = 1 << 31, 1 << 30
_get = type.__getattribute__
_VALUES = {
    "int": int,
    "float": float,
    "complex": complex,
    "str": str,
    "bytes": bytes,
    "tuple": tuple,
}
# Types of the language that `builtins` does not name
_LANGUAGE: dict[str, type] = {
    "function": types.FunctionType,
    "method": types.MethodType,
    "builtin_function_or_method": types.BuiltinFunctionType,
    "code": types.CodeType,
    "generator": types.GeneratorType,
    "coroutine": types.CoroutineType,
    "async_generator": types.AsyncGeneratorType,
    "frame": types.FrameType,
    "traceback": types.TracebackType,
    "module": types.ModuleType,
    "mappingproxy": types.MappingProxyType,
    "NoneType": type(None),
    "ellipsis": type(...),
    "NotImplementedType": type(NotImplemented),
}
_BY_VALUE = (
    int, float, complex, str, bytes, tuple, bool, frozenset, slice, range,
    type(None), type(...), type(NotImplemented),
)  # fmt: skip
# The host's own for the guest's builtin class of that name.  Others, memoryview and zip, say,
# are mirrored: called, they work on guest objects.
_OWN: dict[str, type] = {
    **_LANGUAGE,
    **{cls.__name__: cls for cls in _BY_VALUE},
    **{cls.__name__: cls for cls in (object, type, list, dict, set, bytearray)},
}


class _Description:
    """What the guest's `describe_class` says."""

    def __init__(self, fields: tuple[Any, ...]) -> None:
        (
            self.name,
            self.qualname,
            self.module,
            self.bases,  # as what stands for them on the host; () for `object` alone
            self.metaclass,  # None for `type`
            self.specials,  # names of special methods, of the class itself
            self.nones,  # those of them that are None
            self.value,  # name of the value type that it derives from, or ""
            self.shadows,  # names of that type that it defines anew
            self.values_own,  # special methods of every object that it has from that type
            self.builtin,  # name of the class that isinstance sees, None: itself, "": ask
            self.kept,
            self.abcs,
            self.fixed,  # its methods never change
            self.watched,  # memory tells if they are what they were
        ) = fields


# (module, name) -> what else proxies of that guest class have, by upper layers
extensions: dict[tuple[str, str], dict[str, Any]] = {}
classified: list[Any] = []  # called when a class has been classified or got a converter
# host class that is no mirror class -> number of the guest class that it stands for
_numbers: dict[type, int] = {}
# number of a class that has a converter -> the class that its proxies had before
_converted: dict[int, Any] = {}
_metaclasses: dict[Any, type] = {}  # number of a guest metaclass -> its mirror
_MODULE, _DOC = Proxy.__dict__["__module__"], GuestAttribute("__doc__")
_CLASS = GuestAttribute("__class__")


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
    with _kinds.lock:
        found = _known(cls)
        if found is None:
            found = pending[0](cls)
        if found is None:
            module, qualname, genuine = _guest.call("genuine", cls)
            if genuine or module == "builtins":
                found = _own(cls, module, qualname)
        if found is None:
            d = _Description(_guest.call("describe_class", cls))
            found = _known(cls)  # describing it may have led to itself
        if found is None and _flags(cls._pybridge_handle) & _IS_EXCEPTION:
            found = _exception(cls, exception_class(d.module, d.qualname, d.bases))
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
    host = _OWN.get(qualname) if module == "builtins" else None
    if host is None and module == "builtins":
        host = getattr(builtins, qualname, None)
        if not isinstance(host, type) or not issubclass(host, BaseException):
            return None
        return _exception(cls, host)
    if host is None:
        return None
    if host in _BY_VALUE:  # no object of it becomes a proxy, but one that is nested too deep
        classify_as(cls, lib.PB_CLASS, _stands_for(host, cls, None))
    elif host is object:
        classify_as(cls, lib.PB_OBJECT, _stands_for(host, cls, _mirror_of_object()))
    else:
        _mirrored(cls, _Description(_guest.call("describe_class", cls)), host)
    return host


def _stands_for(host: type, cls: Any, instance: Any) -> int:
    """A number for a class that is not mirrored: `instance` is the class of its proxies."""
    number = _kinds.number_new()
    _kinds.enter(number, instance or _kinds.instances[_kinds.UNCLASSIFIED], host)
    _numbers[host] = number
    _kinds.guest_classes[host] = settle(cls)
    return number


def _mirror_of_object() -> type:
    space = {"__module__": _MODULE, "__doc__": _DOC, "__class__": _constant(object)}
    return type("object", (Proxy,), space)


def _exception(cls: Any, host: type) -> type:
    """An exception class; its objects become host exceptions."""
    # Kept for ever, both: programs make few exception classes, and keep what they raise.
    number = _stands_for(host, cls, None)
    _kinds.instances[number] = None
    makers[number] = exception_object
    classify_as(cls, lib.PB_OBJECT, number)
    return host


def _mirrored(cls: Any, d: _Description, host: Any = None) -> Any:
    """Make the mirror class; `host`: what stands for the class itself instead."""
    if host is not None:
        number = _stands_for(host, cls, None)
        mirror = _kinds.instances[number] = _class_make(d, number, cls)
    else:
        number = _kinds.number_new()
        mirror = _class_make(d, number, cls)
        if d.kept:
            settle(cls)
            _kinds.enter(number, mirror, mirror)
        else:
            isolate(cls)
            _kinds.enter_mortal(number, mirror)
    classify_as(cls, lib.PB_SUBVALUE if d.value else lib.PB_OBJECT, number)
    return host or mirror


def _class_make(d: _Description, number: int, proxy: Any) -> Any:
    metaclass = MirrorType if d.metaclass is None else _metaclass(d.metaclass)
    value = _VALUES.get(d.value)
    space: dict[str, Any] = {
        "__module__": _MODULE,
        "__qualname__": d.qualname,
        "__doc__": _DOC,
        "_pybridge_class": proxy,
        "_pybridge_number": number,
        "_pybridge_module": d.module,
        "_pybridge_methods": None,
        "_pybridge_state": None,
    }
    if d.fixed:
        space["_pybridge_methods"] = _methods.new()
        space["__getattr__"] = _methods.get_attribute
    elif d.watched:
        space["_pybridge_state"] = _bound.NEW
        space["__getattr__"] = _bound.get_attribute
    if value is not None:
        space["_pybridge_value"] = value
        space["_pybridge_identity"] = True  # values have no identity
    _add_specials(space, d)
    for name in d.shadows:
        space[name] = GuestAttribute(name)
    for name in d.values_own:
        space[name] = getattr(value, name)
    if d.builtin == "":
        space["__class__"] = _CLASS
    elif d.builtin is not None:
        space["__class__"] = _constant(getattr(builtins, d.builtin))
    elif d.module == "builtins" and d.name in _LANGUAGE:  # inspect.isfunction and the like
        space["__class__"] = _constant(_LANGUAGE[d.name])
    space.update(extensions.get((d.module, d.qualname), ()))
    bases = tuple([_base(b) for b in d.bases])
    if not any(issubclass(b, Proxy) for b in bases):
        bases = (Proxy, *bases)
    try:
        mirror: Any = type.__new__(metaclass, d.name, bases, space)
    except TypeError:  # bases that the host cannot combine, or orders otherwise
        mirror = type.__new__(metaclass, d.name, (Proxy,), space)
    encoders[metaclass] = put_class
    for name in d.abcs:
        _register(mirror, name)
    return mirror


def _add_specials(space: dict[str, Any], d: _Description) -> None:
    for name in d.specials:
        method = POOL.get(name)
        if method is not None:
            space[name] = method
    if "__call__" in space:
        space["__signature__"] = POOL["__signature__"]
    for name in d.nones:
        if name != "__doc__":
            space[name] = None
    if "__eq__" in space and "__hash__" not in space:
        space["__hash__"] = POOL["__hash__"]


def _constant(value: Any) -> Any:
    return property(lambda self: value)


def _base(cls: Any) -> Any:
    """The class below which a mirror class is made, for what stands for the guest's base."""
    if isinstance(cls, MirrorType) or cls in _VALUES.values():
        return cls
    number = _numbers.get(cls)
    if number is None:
        return Proxy
    classes: Any = _converted if number in _converted else _kinds.instances
    instance = classes[number]
    if instance is None:
        return Proxy
    if instance is _kinds.instances[_kinds.UNCLASSIFIED]:  # crosses by value; its subclass not
        guest = _kinds.guest_classes[cls]
        d = _Description(_guest.call("describe_class", guest))
        instance = classes[number] = _class_make(d, number, guest)
    return instance


def _metaclass(guest: Any) -> type:
    """The mirror of a guest metaclass: its special methods, which the classes have."""
    number = _numbers.get(guest) or getattr(guest, "_pybridge_number", 0)
    made = _metaclasses.get(number)
    if made is None:
        d = _Description(_guest.call("describe_class", guest))
        space: dict[str, Any] = {}
        _add_specials(space, d)
        for name in _OF_TYPE:
            space.pop(name, None)
        space.update({k: v for k, v in _CHECKS.items() if k in space})
        bases = tuple([_metaclass(b) for b in d.bases if b is not type]) or (MirrorType,)
        made = type(d.name, bases, space)
        if number:
            _metaclasses[number] = made
    return made


_OF_TYPE = (
    "__call__", "__signature__", "__dir__", "__repr__", "__str__", "__hash__", "__eq__",
    "__ne__", "__format__", "__get__", "__set__", "__delete__", "__or__", "__ror__",
)  # fmt: skip


@hidden
def _is_instance(cls: Any, x: Any) -> bool:
    """isinstance, for a metaclass that has its own idea of it."""
    return type.__instancecheck__(cls, x) or _asked("isinstance_of", x, cls)


@hidden
def _is_subclass(cls: Any, sub: Any) -> bool:
    return type.__subclasscheck__(cls, sub) or (
        guest_class_of(sub) is not None and _asked("issubclass_of", sub, cls)
    )


@hidden
def _asked(function: str, x: Any, cls: Any) -> bool:
    try:
        return bool(_guest.call(function, x, cls))
    except ConversionError:
        return False


_CHECKS = {"__instancecheck__": _is_instance, "__subclasscheck__": _is_subclass}


def _register(mirror: type, name: str) -> None:
    import collections.abc

    abc = getattr(collections.abc, name, None)
    if abc is None:
        import numbers

        abc = getattr(numbers, name)
    abc.register(mirror)


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
    with _kinds.lock:
        _class_of(cls)
        word = lib.pb_kind_get(cls._pybridge_handle)
        number = word >> 8
        if number in makers:
            return
        ordinary = _ordinary(number, word & 255)
        makers[number] = lambda handle, proxy: maker(ordinary(proxy))
        _converted[number] = _kinds.instances[number] or _kinds.alive(number)
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
            try:
                return row.make(*_guest.call(row.reduce, proxy))
            except Exception:  # broken, or half made: it stays what it is
                return proxy

        return value
    if tag == lib.PB_SUBVALUE:
        return lambda proxy: _subvalue_of(instance, _guest.call("plain", proxy), proxy)

    def plain(proxy: Any) -> Any:
        x = object.__new__(instance)
        adopt_as(x, proxy)
        return x

    return plain


# ---- to the guest ---------------------------------------------------------------------------


def put_class(frame: Frame, at: int, cls: Any) -> int:
    return put(frame, at, _get(cls, "_pybridge_class"))


def guest_class_of(cls: Any) -> Any:
    """The proxy of the guest class that a host class stands for, or None."""
    if isinstance(cls, MirrorType):
        return _get(cls, "_pybridge_class")
    found = _kinds.guest_classes.get(cls)
    if found is None:
        place = _place(cls)
        if place is not None:
            try:
                proxy = _guest.call_raw("find_class", *place)
            except AttributeError:  # PyPy's builtins have names of their own
                return None
            found = _kinds.guest_classes[cls] = settle(proxy)
    return found


def _place(cls: type) -> tuple[str, str] | None:
    """Where the guest has its own of a class of the host's, or None."""
    name = cls.__name__
    if getattr(builtins, name, None) is cls:
        return "builtins", name
    for short, known in _LANGUAGE.items():
        if known is cls:
            return "", short
    key = cls.__module__, cls.__qualname__
    if key in _values.ROWS and getattr(sys.modules.get(key[0]), name, None) is cls:
        return key
    return None


def _put_own_class(frame: Frame, at: int, cls: Any) -> int:
    return put(frame, at, guest_class_of(cls))


def _put_exception_class(frame: Frame, at: int, cls: Any) -> int:
    if guest_class_of(cls) is None:
        with _kinds.lock:
            proxy = _guest.call_raw("exception_class", described_classes(cls))
            _exception(proxy, cls)
    return put(frame, at, guest_class_of(cls))


def _class_encoder(x: Any) -> Encoder | None:
    if isinstance(x, type) and guest_class_of(x) is not None:
        return _put_own_class
    if isinstance(x, type) and issubclass(x, BaseException):
        return _put_exception_class
    return None


late.unknown = _unknown
late.class_object = _class_object
late.subvalue = _subvalue
reclassify[0] = _unknown
fallbacks.append(_class_encoder)
