# SPDX-License-Identifier: MIT
"""Making a mirror class: from the guest's description, the host class that has the special
methods of the guest's and nothing else.  See `_mirror`.

Threads: `_kinds.lock` is held by the caller.
"""

from __future__ import annotations

import builtins

from pybridge import _bound, _guest, _kinds, _methods
from pybridge._core import ffi
from pybridge._errors import ConversionError
from pybridge._host import hidden
from pybridge._hostbuffer import Exports
from pybridge._metatype import MirrorType
from pybridge._ownclasses import LANGUAGE, VALUES, guest_class_of, numbers, put_class
from pybridge._proxy import POOL, GuestAttribute, Proxy
from pybridge._put import encoders

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

# (module, name) -> what else proxies of that guest class have, by upper layers
extensions: dict[tuple[str, str], dict[str, Any]] = {}
# number of a class that has a converter -> the class that its proxies had before
converted: dict[int, Any] = {}
_cast, _INTS = ffi.cast, ffi.typeof("int64_t *")
# Words from the beginning of a type to its tp_..., and in that to its sq_item
_BASICSIZE, _AS_SEQUENCE, _AS_BUFFER, _ITER, _SQ_ITEM = 4, 13, 20, 27, 3
_LEAST = 16  # bytes of an object
_dict_of = type.__dict__["__dict__"].__get__
_metaclasses: dict[Any, type] = {}  # number of a guest metaclass -> its mirror
MODULE, DOC = Proxy.__dict__["__module__"], GuestAttribute("__doc__")
_CLASS = GuestAttribute("__class__")


class Description:
    """What the guest's `describe_class` says."""

    def __init__(self, fields: tuple[Any, ...]) -> None:
        (
            self.name,
            self.qualname,
            self.module,
            self.bases,  # as what stands for them on the host; () for `object` alone
            self.metaclass,  # None for `type`
            specials,  # names of special methods, of the class itself
            nones,  # those of them that are None
            self.value,  # name of the value type that it derives from, or ""
            shadows,  # names of that type that it defines anew
            values_own,  # special methods of every object that it has from that type
            self.builtin,  # name of the class that isinstance sees, None: itself, "": ask
            self.kept,
            abcs,  # names of abstract classes that it was registered with
            self.fixed,  # its methods never change
            self.watched,  # memory tells if they are what they were
        ) = fields
        self.specials: list[str] = specials.split()
        self.nones: list[str] = nones.split()
        self.shadows: list[str] = shadows.split()
        self.values_own: list[str] = values_own.split()
        self.abcs: list[str] = abcs.split()


def class_make(d: Description, number: int, proxy: Any) -> Any:
    """The mirror class with this number, of the guest class `proxy`."""
    metaclass = MirrorType if d.metaclass is None else _metaclass(d.metaclass)
    value = VALUES.get(d.value)
    space: dict[str, Any] = {
        "__module__": MODULE,
        "__qualname__": d.qualname,
        "__doc__": DOC,
        "_pybridge_class": proxy,
        "_pybridge_number": number,
        "_pybridge_module": d.module,
        "_pybridge_make": None,
        "_pybridge_methods": None,
        "_pybridge_state": None,
        "_pybridge_abcs": d.abcs,
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
        space["__class__"] = constant(getattr(builtins, d.builtin))
    elif d.module == "builtins" and d.name in LANGUAGE:  # inspect.isfunction and the like
        space["__class__"] = constant(LANGUAGE[d.name])
    space.update(extensions.get((d.module, d.qualname), ()))
    bases = tuple([_base(b) for b in d.bases])
    if not any(issubclass(b, Proxy) for b in bases):
        bases = (Proxy, *bases)
    if not _iterates(proxy) and _has_data(proxy) and _has_items(space, bases):
        space["__iter__"] = _NOT_ITERABLE
    if value is None and _has_buffer(proxy) and not _is_scalar(d, bases):
        if not any(issubclass(b, Exports) for b in bases):
            bases = (Exports, *bases)
    # A guest class that was given other bases may have a metaclass above theirs; then
    # type.__new__ would ask that of the base, and so make a derived class.
    for base in bases:
        if issubclass(type(base), metaclass):
            metaclass = type(base)
    try:
        mirror: Any = type.__new__(metaclass, d.name, bases, space)
    except TypeError:  # bases that the host cannot combine, or orders otherwise
        mirror = type.__new__(metaclass, d.name, (Proxy,), space)
    encoders[metaclass] = put_class
    inherited = [name for b in type.mro(mirror)[1:] for name in _abcs_of(b)]
    for name in d.abcs:
        if name not in inherited:
            _register(mirror, name)
    return mirror


def _abcs_of(cls: type) -> list[str]:
    return _dict_of(cls).get("_pybridge_abcs", [])  # type: ignore[no-any-return]


def _has_buffer(cls: Any) -> bool:
    """Has the guest class a `bf_getbuffer`?  Read from its struct."""
    procs: int = _cast(_INTS, cls._pybridge_handle)[_AS_BUFFER]
    return procs != 0 and _cast(_INTS, procs)[0] != 0


def _iterates(cls: Any) -> bool:
    """Does the guest's `iter` take objects of the class?  C code may give a class items, and
    so `__getitem__`, for keys alone: numpy's scalars, re.Match."""
    words = _cast(_INTS, cls._pybridge_handle)
    sequence: int = words[_AS_SEQUENCE]
    return words[_ITER] != 0 or (sequence != 0 and _cast(_INTS, sequence)[_SQ_ITEM] != 0)


def _has_data(cls: Any) -> bool:
    """Is there more to its objects than a count and a class?  To numpy.generic is not: that is
    a base of classes of which some have items."""
    size: int = _cast(_INTS, cls._pybridge_handle)[_BASICSIZE]
    return size > _LEAST


def _has_items(space: dict[str, Any], bases: tuple[Any, ...]) -> bool:
    return "__getitem__" in space or any(
        "__getitem__" in _dict_of(c) for b in bases for c in type.mro(b)
    )


class _Refused(TypeError, AttributeError):
    """What `iter(x)` raises, and what tells `hasattr(x, "__iter__")` that there is none."""


_Refused.__module__, _Refused.__name__, _Refused.__qualname__ = "builtins", *["TypeError"] * 2


class _NotIterable:
    """`__iter__` of classes that the host would iterate by their `__getitem__`, the guest not.

    The host's `iter` and its look-up of attributes both ask it.  (A CPython as host takes the
    refusal for leave to go by `__getitem__`.)
    """

    def __get__(self, x: Any, owner: Any = None) -> Any:
        cls = owner._pybridge_class
        if x is not None and _iterates(cls):  # a class below has items of its own
            return lambda: _items(x)
        module = owner._pybridge_module
        name = cls.__name__ if module == "builtins" else f"{module}.{cls.__name__}"
        raise _Refused(f"{name!r} object is not iterable")


def _items(x: Any) -> Any:
    i = 0
    while True:
        try:
            item = x[i]
        except IndexError:
            return
        yield item
        i += 1


_NOT_ITERABLE = _NotIterable()


def _is_scalar(d: Description, bases: tuple[Any, ...]) -> bool:
    """Is it numpy.generic, or below it?"""
    places = [(d.module, d.qualname)]
    places += [(c.__module__, c.__qualname__) for b in bases for c in type.mro(b)]
    return ("numpy", "generic") in places


def _add_specials(space: dict[str, Any], d: Description) -> None:
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


def constant(value: Any) -> Any:
    """An attribute of a class that all its objects have."""
    return property(lambda self: value)


def _base(cls: Any) -> Any:
    """The class below which a mirror class is made, for what stands for the guest's base."""
    if isinstance(cls, MirrorType) or cls in VALUES.values():
        return cls
    number = numbers.get(cls)
    if number is None:
        return Proxy
    classes: Any = converted if number in converted else _kinds.instances
    instance = classes[number]
    if instance is None:
        return Proxy
    if instance is _kinds.instances[_kinds.UNCLASSIFIED]:  # crosses by value; its subclass not
        guest = _kinds.guest_classes[cls]
        d = Description(_guest.call("describe_class", guest))
        instance = classes[number] = class_make(d, number, guest)
    return instance


def _metaclass(guest: Any) -> type:
    """The mirror of a guest metaclass: its special methods, which the classes have."""
    number = numbers.get(guest) or getattr(guest, "_pybridge_number", 0)
    made = _metaclasses.get(number)
    if made is None:
        d = Description(_guest.call("describe_class", guest))
        space: dict[str, Any] = {}
        _add_specials(space, d)
        for name in _OF_TYPE:
            space.pop(name, None)
        space.update({k: v for k, v in _CHECKS.items() if k in space})
        bases = tuple([_metaclass(b) for b in d.bases if b is not type]) or (MirrorType,)
        # Kept as `made` is: numbers are used again, and one metaclass has one mirror.
        space["_pybridge_guest"] = guest
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
    import _collections_abc  # as collections.abc, which costs 4 ms at import

    abc = getattr(_collections_abc, name, None)
    if abc is None:
        import numbers

        abc = getattr(numbers, name)
    abc.register(mirror)
