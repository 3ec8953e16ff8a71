# SPDX-License-Identifier: MIT
"""Host objects in the guest: one guest class for each host class whose objects are there.

The guest class (pybridge/guest/hostclasses.py) has the name, module, doc, bases and exactly the
special methods of the host class, so that `len`, `iter`, `callable`, operators and the
abstract classes answer there as they do here; each of those methods is one host function
that calls the host's.  Everything else of an object is asked for with `getattr`.

Lifetime: the guest class keeps the host class alive (its dict holds a carrier of its number), a
guest object its host object; nothing here keeps a guest class, except those of classes that
live as long as their module anyway.  One that has died is made again when it is needed.

What a host class gets after its guest class was made is seen, except special methods.
"""

from __future__ import annotations

import sys

from pybridge import _guest, _hostasked, _kinds, _mirror, _table, _values
from pybridge._callback import put_function
from pybridge._core import lib
from pybridge._frame import Frame, frame_get, frames
from pybridge._handle import Handle, adopt_alone, settle
from pybridge._locks import locked
from pybridge._methods import guest_method
from pybridge._put import encoder_of, encoders, fallbacks, keep, put_build
from pybridge._table import PLAIN, guest_object, number_of, put_object
from pybridge._tags import OBJECT
from pybridge._take import take

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any, Callable

    from pybridge._put import Encoder

_BINARY = "add sub mul matmul truediv floordiv mod divmod lshift rshift and xor or pow".split()
_SPECIALS = frozenset(
    f"__{name}__"
    for name in (
        *_BINARY,
        *("r" + name for name in _BINARY),
        *("i" + name for name in _BINARY if name != "divmod"),
        *"lt le eq ne gt ge hash neg pos abs invert bool int float complex index".split(),
        *"bytes round trunc floor ceil fspath call len length_hint getitem setitem".split(),
        *"delitem contains iter next reversed missing enter exit".split(),
        *"await aiter anext aenter aexit get set delete set_name".split(),
    )
)
_VALUES = (int, float, str, bytes, tuple, complex, frozenset)
_CLASS = "collections.abc:"
# Abstract classes that special methods do not tell: guest classes are registered with them.
_ABCS = (
    *(_CLASS + name for name in ("Sequence", "MutableSequence", "Mapping", "MutableMapping")),
    *(_CLASS + name for name in ("Set", "MutableSet", "MappingView", "KeysView", "ItemsView")),
    *(_CLASS + name for name in ("ValuesView", "Generator", "Coroutine", "AsyncGenerator")),
    *("numbers:" + name for name in ("Number", "Complex", "Real", "Rational", "Integral")),
    *("io:" + name for name in ("IOBase", "RawIOBase", "BufferedIOBase", "TextIOBase")),
)
_THROWS = (
    (_CLASS + "Generator", "throw"),
    (_CLASS + "Coroutine", "throw"),
    (_CLASS + "AsyncGenerator", "athrow"),
)
# While guest classes are made, so that each is made once.  Making a class of one side may need
# one of the other: one lock for both.
_making = _kinds.lock
_kept: list[Any] = []  # guest classes of host classes that do not die
_metas: dict[type, Any] = {}
_specials: dict[str, Any] = {}  # those that the guest has
_meta: Any = None


# ---- making guest classes -------------------------------------------------------------------


def _begin() -> None:
    global _meta
    if _meta is None:
        meta, missing = _guest.call("host_begin", tuple(_hostasked.asked.items()))
        lib.pb_host_meta_set(meta._pybridge_handle)
        _hostasked.missing = settle(missing)
        _meta = settle(meta)


def _specials_at_hand(names: list[str]) -> tuple[str, ...]:
    for name in names:
        if name not in _specials:
            function = _hostasked.special(name)
            _guest.call("host_special", name, function)
            _specials[name] = function  # last: an interrupt may come in between
    return tuple(names)


def _mirrored(cls: type) -> bool:
    """Has the host class a guest class made for it, if it is needed?"""
    return getattr(sys.modules["builtins"], cls.__name__, None) is not cls


def value_base(cls: type) -> Any:
    """The value type that a class derives from, or None."""
    for base in _VALUES:
        if issubclass(cls, base):
            return base
    return None


def _defined(cls: type, bases: list[type], value: Any) -> tuple[list[str], list[str]]:
    """Special methods that the class has, and its bases in the guest have not; those that it
    says it has not (None)."""
    elsewhere = {base for b in bases for base in b.__mro__} | {object}
    if value is not None:
        elsewhere.update(value.__mro__)
    found: dict[str, bool] = {}
    for base in reversed(cls.__mro__):
        if base not in elsewhere:
            for name, x in vars(base).items():
                if name in _SPECIALS:
                    found[name] = x is not None
            if "__eq__" in vars(base) and "__hash__" not in vars(base):
                found["__hash__"] = False
    return [n for n, is_there in found.items() if is_there], [
        n for n, is_there in found.items() if not is_there
    ]


def _meta_of(cls: type) -> Any:
    """The guest's metaclass in a list: one of its own where the host's has special methods."""
    meta: Any = type(cls)
    if meta is type:
        return None
    if meta not in _metas:
        names: list[str] = []
        for base in meta.__mro__[: meta.__mro__.index(type)]:
            for name, x in vars(base).items():
                if name in _SPECIALS - {"__call__", "__hash__", "__eq__"} and x is not None:
                    names.append(name)
        made = None
        if names:
            made = settle(
                _guest.call(
                    "host_meta", meta.__name__, meta.__module__, _specials_at_hand(names)
                )
            )
        _metas[meta] = made
    return _metas[meta]


def _abcs_of(cls: type) -> tuple[str, ...]:
    found = []
    for path in _ABCS:
        module, _, name = path.partition(":")
        # Not there yet, when another thread is importing it.
        abstract = getattr(sys.modules.get(module), name, None)
        if abstract is not None and issubclass(cls, abstract):
            found.append(path)
    if any(path.startswith("io:") for path in found):
        found.append("files")
    for path, name in _THROWS:
        if path in found:
            found.append(name)
    return tuple(found)


def _stays(cls: type) -> bool:
    """Does the class live as long as its module, or the host?"""
    if not cls.__flags__ & 1 << 9:
        return True
    found: Any = sys.modules.get(cls.__module__)
    for name in cls.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is cls


def guest_class(cls: type) -> Any:
    """A proxy for the guest class of a host class; made if there is none."""
    with locked(_making):
        _begin()
        found = class_alive(cls)
        return _class_make(cls) if found is None else found


def class_alive(cls: type) -> Any:
    """A proxy for the guest class of a host class, or None if there is none now."""
    number = number_of(cls)
    if number < 0:
        return None
    frame = frame_get()
    word = lib.pb_host_class_get(frame.mem, number)
    if word & 255 != OBJECT:
        if word == lib.PB_STOP:
            frames.append(frame)
            return None
        return take(frame, word)
    proxy = adopt_alone(frame.ints[1])
    frames.append(frame)
    return proxy if number_of(cls) == number else None


def _class_make(cls: type) -> Any:
    value = value_base(cls)
    bases: list[type] = []
    if value is None:
        bases = [b for b in cls.__bases__ if _mirrored(b)]
    specials, nones = _defined(cls, bases, value)
    doc = cls.__doc__
    carrier, _ = guest_object(cls, PLAIN)
    made = _guest.call(
        "host_class",
        carrier,
        _meta_of(cls),
        (cls.__name__, cls.__qualname__, str(cls.__module__)),
        doc if type(doc) is str else None,
        tuple([guest_class(b) for b in bases]),
        value,
        _specials_at_hand(specials),
        tuple(nones),
        _abcs_of(cls),
    )
    bind(cls, made)
    if _stays(cls):
        _kept.append(settle(made))
    return class_alive(cls)


def bind(cls: type, made: Any) -> None:
    """From now on what the list `made` holds is the guest class of host class `cls`."""
    watched = bool(getattr(cls, "__weakrefoffset__", 0)) or any(
        "__weakref__" in vars(base) for base in cls.__mro__
    )
    frame = frame_get()
    take(
        frame, lib.pb_host_class_set(frame.mem, number_of(cls), made._pybridge_handle, watched)
    )


def kept_for_ever() -> tuple[list[Any], list[Any]]:
    """Handles, and host objects that the guest holds, which are kept once they were needed."""
    if _meta is None:
        return [*_methods], []
    metas = [made for made in _metas.values() if made is not None]
    return (
        [_meta, _hostasked.missing, *_methods, *metas, *_kept],
        [*_hostasked.asked.values(), *_specials.values(), *_kept],
    )


# ---- encoders -------------------------------------------------------------------------------


def put_instance(frame: Frame, at: int, x: Any) -> int:
    """Write the guest's object for a host object."""
    cls = type(x)
    made = None  # keeps the class until its object is made
    while True:
        with locked(_table._lock):
            number = number_of(cls)
            proxy = guest_object(x, number)[0] if number >= 0 else None
        if proxy is not None:
            return put_object(frame, at, proxy)
        made = guest_class(cls)  # noqa: F841


def put_class(frame: Frame, at: int, x: type) -> int:
    """Write the guest class for a host class."""
    return put_object(frame, at, guest_class(x))


_PLAIN: dict[type, Callable[[Any], Any]] = {
    int: lambda x: int.__add__(x, 0),
    float: lambda x: float.__mul__(x, 1.0),
    str: lambda x: str.__add__(x, ""),
    bytes: lambda x: bytes.__add__(x, b""),
    tuple: lambda x: tuple(tuple.__iter__(x)),
    complex: lambda x: complex(complex.real.__get__(x), complex.imag.__get__(x)),
    frozenset: lambda x: frozenset(frozenset.__iter__(x)),
}


def _put_value(frame: Frame, at: int, x: Any) -> int:
    """Write an object of a class that derives from a value type."""
    carrier, _ = guest_object(x, PLAIN)
    made = guest_class(type(x))
    fields = made, carrier, _PLAIN[value_base(type(x))](x)
    keep(frame, fields)
    return put_build(frame, at, _guest.support("host_value"), fields)


def _put_method(frame: Frame, at: int, x: Any) -> int:
    """A bound method of a host object is one of the guest's object, whose lifetime registries
    of weak references go by; of anything else it is a function."""
    owner = x.__self__
    if isinstance(owner, Handle):
        guest = guest_method(x)
        if guest is not None:
            return put_object(frame, at, guest)
    kind = type(owner)
    if type(x.__func__) is _FUNCTION and kind not in _EXACT and not isinstance(owner, Handle):
        encoder = encoders.get(kind) or encoder_of(owner)
        if encoder is put_instance or encoder is put_class:
            return put_build(frame, at, _method_type(), (x.__func__, owner))
    return put_function(frame, at, x)


_methods: list[Any] = []


def _method_type() -> Any:
    if not _methods:
        _methods.append(settle(_guest.call_raw("find", "types", "MethodType")))
    return _methods[0]


_EXACT = frozenset((
    bool, int, float, complex, str, bytes, tuple, list, dict, set, frozenset, slice, range,
    type(None), type(Ellipsis), type(NotImplemented), bytearray, memoryview,
))  # fmt: skip


def _object_encoder(x: Any) -> Encoder | None:
    kind = type(x)
    if kind in _EXACT or isinstance(x, (Handle, BaseException)):
        return None
    if isinstance(x, type):
        return None if issubclass(x, (Handle, BaseException)) else put_class
    if value_base(kind) is not None:
        return _put_value
    if _stays(kind) and kind not in encoders:
        encoders[kind] = put_instance
    return put_instance


_FUNCTION = type(_object_encoder)
_METHOD = type(Frame.renew.__get__(object()))
encoders[_METHOD] = _put_method
_REGISTERED = _values, _mirror  # their rows are asked first
fallbacks.append(_object_encoder)
