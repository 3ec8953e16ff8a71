# SPDX-License-Identifier: MIT
"""Guest classes that derive from host classes.

`class Sub(HostClass): ...` in guest code also makes a host class `Sub`, below the host class,
whose methods call the guest's: so the host calls what the guest overrides, and constructing
`Sub` on either side makes one host object of that class.  Its state is the host object's.

The two classes live for ever: each needs the other.
"""

from __future__ import annotations

from pybridge import _guest
from pybridge._hostasked import asked
from pybridge._hostclass import bind
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
    made = []

    def body(space: dict[str, Any]) -> None:
        space.update(__module__=names[2], __qualname__=names[1], __doc__=doc)
        for name, kind in namespace:
            if kind == "function":
                space[name] = _function(name, owner)
            elif kind == "none":
                space[name] = None
            else:
                space[name] = (_Data if kind == "data" else _Attribute)(name)
                made.append(space[name])

    cls: Any = types.new_class(names[0], bases, keywords, body)
    owner.append(cls)
    for attribute in made:
        attribute.owner = cls
    cls.__pybridge_guest_class__ = box
    carrier, _ = guest_object(cls, PLAIN)
    _guest.call("host_bind", box, carrier)
    bind(cls, box)


asked.update(derive=_derive, names=_names, bind=_bind, own=_own)
