# SPDX-License-Identifier: MIT
"""Guest classes that derive from host classes.

`class Sub(HostClass): ...` in guest code also makes a host class `Sub`, below the host class,
whose methods call the guest's: so the host calls what the guest overrides, and constructing
`Sub` on either side makes one host object of that class.  Its state is the host object's.

The two classes live for ever: each needs the other.

What guest code finds in the guest class it takes from there.  So when the program sets an
attribute of the host class, or of one that it derived from it, the guest class is told: their
metaclass is a `_Telling` one.  It derives from ABCMeta, so that the program may still combine
them with abstract classes; a metaclass that is related to neither conflicts with it, as it does
with the guest's.
"""

from __future__ import annotations

from pybridge import _guest
from pybridge._hostasked import asked
from pybridge._hostclass import bind, class_alive
from pybridge._table import PLAIN, guest_object

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any


def _names(cls: type) -> tuple[str, ...]:
    return tuple([name for name in vars(cls) if type(name) is str])


def _bind(cls: type, name: str, x: Any) -> Any:
    """What `super()` finds in `cls`, for object `x`."""
    found = vars(cls)[name]
    kind = type(found)
    if not hasattr(kind, "__set__") and name in getattr(x, "__dict__", ()):
        return x.__dict__[name]
    return found.__get__(x, type(x)) if hasattr(kind, "__get__") else found


def _own(x: Any, name: str) -> tuple[Any, ...]:
    """What object `x` has by itself under that name, or ()."""
    space = getattr(x, "__dict__", {})
    return (space[name],) if name in space else ()


class _Attribute:
    """A class attribute, or a descriptor, that the guest class defines."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.owner: Any = None

    def __get__(self, x: Any, owner: Any = None) -> Any:
        return _guest.call("host_attribute", self.owner, x, self.name)


class _Data(_Attribute):
    """Likewise, a descriptor that can be set."""

    def __get__(self, x: Any, owner: Any = None) -> Any:
        return self if x is None else _guest.call("host_attribute", self.owner, x, self.name)

    def __set__(self, x: Any, value: Any) -> None:
        _guest.call("host_attribute_set", self.owner, x, self.name, value)

    def __delete__(self, x: Any) -> None:
        _guest.call("host_attribute_delete", self.owner, x, self.name)


def _function(name: str, owner: list[Any]) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        invoke = _guest.support("host_invoke")
        return _guest.call_guest(invoke, owner[0], self, name, *args, **kwargs)

    method.__name__ = name
    return method


class _Telling(type):
    """Part of the metaclass of such classes: the guest class has the same attributes."""

    def __setattr__(cls, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        _tell(cls, name, value)

    def __delattr__(cls, name: str) -> None:
        super().__delattr__(name)
        _tell(cls, name)


def _tell(cls: type, name: str, *value: Any) -> None:
    guest = class_alive(cls)
    if guest is None:
        return
    if value and _forwards.get(cls, {}).get(name) is value[0]:  # put back
        _guest.call("host_class_restored", guest, name)
    else:
        _guest.call("host_class_changed", guest, name, *value)


_forwards: dict[type, dict[str, Any]] = {}  # by class: what stands for what the guest's defines


_tellings: dict[tuple[type, ...], type] = {}


def _telling(bases: tuple[type, ...]) -> type:
    """The metaclass for a class with these bases."""
    import abc
    import types

    found: dict[type, None] = dict.fromkeys([abc.ABCMeta, *map(type, bases)])
    metas = tuple([m for m in found if not any(m in n.__mro__[1:] for n in found)])
    if len(metas) == 1 and issubclass(metas[0], _Telling):
        return metas[0]
    if metas not in _tellings:
        name = next((m.__name__ for m in metas if m is not abc.ABCMeta), "type")
        _tellings[metas] = types.new_class(name, (_Telling, *metas))
    return _tellings[metas]


def _derive(
    box: Any,
    names: tuple[str, str, str],
    doc: Any,
    bases: tuple[type, ...],
    namespace: tuple[tuple[str, str], ...],
    **keywords: Any,
) -> None:
    """Make the host class for the guest class in the list `box`."""
    import types

    owner: list[Any] = []
    forwards: dict[str, Any] = {}
    for name, kind in namespace:
        if kind == "function":
            forwards[name] = _function(name, owner)
        elif kind == "none":
            forwards[name] = None
        else:
            forwards[name] = (_Data if kind == "data" else _Attribute)(name)

    def body(space: dict[str, Any]) -> None:
        space.update(__module__=names[2], __qualname__=names[1], __doc__=doc)
        space.update(forwards)

    keywords["metaclass"] = _telling(bases)
    cls: Any = types.new_class(names[0], bases, keywords, body)
    owner.append(cls)
    for forward in forwards.values():
        if isinstance(forward, _Attribute):
            forward.owner = cls
    _forwards[cls] = forwards
    cls.__pybridge_guest_class__ = box
    carrier, _ = guest_object(cls, PLAIN)
    _guest.call("host_bind", box, carrier)
    bind(cls, box)


asked.update(derive=_derive, names=_names, bind=_bind, own=_own)
