# SPDX-License-Identifier: MIT
"""The class of mirror classes: asks the guest class for what the class itself is asked.

`_mirror` makes the classes; `_derived` makes those that the program derives from them, and puts
its functions into the two lists here, so that this module needs neither.
"""

from __future__ import annotations

from pybridge._core import lib
from pybridge._frame import frame_get
from pybridge._handle import Handle
from pybridge._host import hidden
from pybridge._hostbuffer import Exports
from pybridge._names import interned
from pybridge._proxy import Proxy, call_handle
from pybridge._take import take

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

_get = type.__getattribute__
derive: list[Any] = []  # what makes a derived class, and is told of its changes: _derived
pending: list[Any] = []  # finds the host class for a guest class that is being made: _derived
absent: set[str] = set()  # names that guest classes are not asked for: _hostnumpy
_INNER = (Proxy, Handle, *Exports.__mro__[:-1])
# Of these a class answers by itself, as the host's own machinery asks for them; so it does when
# the program asks for what pickles and copies.
_OWN = frozenset((
    "__abstractmethods__", "__annotations__", "__base__", "__bases__", "__class__",
    "__copy__", "__deepcopy__", "__dict__", "__doc__", "__getstate__", "__init_subclass__",
    "__isabstractmethod__", "__module__", "__mro__", "__name__", "__qualname__", "__reduce__",
    "__reduce_ex__", "__signature__", "__slots__", "__subclasses__", "__subclasshook__",
    "__text_signature__", "__weakref__",
))  # fmt: skip


def _is_gate(cls: type) -> bool:
    return "_pybridge_gate" in type.__dict__["__dict__"].__get__(cls)


class MirrorType(type):
    """The class of mirror classes: asks the guest class for what the class itself is asked."""

    _pybridge_class: Any  # the proxy of the guest class
    _pybridge_number: int
    # A class may have a function(x) that makes its object without a crossing, or gives None
    _pybridge_make: Any = None
    # Also when a method of the metaclass's asks: classes are the same by their number.
    _pybridge_identity = property(lambda cls: True)

    def __new__(cls, name: str, bases: tuple[Any, ...], space: Any, **keywords: Any) -> Any:
        """`class C(guest_class)`: see `_derived`."""
        return derive[0](cls, name, bases, space, keywords)

    def __init__(cls, *args: Any, **keywords: Any) -> None:
        pass

    @property
    def _pybridge_handle(cls) -> int:
        return _get(cls, "_pybridge_class")._pybridge_handle  # type: ignore[no-any-return]

    @hidden
    def __call__(cls, /, *args: Any, **kwargs: Any) -> Any:
        if len(args) == 1 and not kwargs:
            make = _get(cls, "_pybridge_make")
            if make is not None:
                x = make(args[0])
                if x is not None:
                    return x
        return call_handle(_get(cls, "_pybridge_class")._pybridge_handle, args, kwargs)

    @hidden
    def __getattribute__(cls, name: str) -> Any:
        """A special method that is asked of the class, `Base.__init__(self, x)`, is the guest
        class's: the host's would go by the class of `self`, which may have its own."""
        if name[:2] == "__" and name not in _OWN:
            space = type.__dict__["__dict__"].__get__(cls)
            if "_pybridge_derived" not in space and space.get("_pybridge_class") is not None:
                return MirrorType.__getattr__(cls, name)
        return _get(cls, name)

    @hidden
    def __getattr__(cls, name: str) -> Any:
        if name in absent:
            raise AttributeError(name)
        frame = frame_get()
        return take(
            frame, lib.pb_get_attribute(frame.mem, cls._pybridge_handle, interned(name))
        )

    @hidden
    def __setattr__(cls, name: str, value: Any) -> None:
        setattr(_get(cls, "_pybridge_class"), name, value)
        if "_pybridge_derived" in type.__dict__["__dict__"].__get__(cls):
            derive[1](cls, name, value)

    @hidden
    def __delattr__(cls, name: str) -> None:
        delattr(_get(cls, "_pybridge_class"), name)
        if "_pybridge_derived" in type.__dict__["__dict__"].__get__(cls):
            derive[1](cls, name, ...)

    def __dir__(cls) -> list[str]:
        return dir(_get(cls, "_pybridge_class"))

    def __repr__(cls) -> str:
        return repr(_get(cls, "_pybridge_class"))

    @property
    def __module__(cls) -> str:  # type: ignore[override]
        return _get(cls, "_pybridge_module")  # type: ignore[no-any-return]

    # Type checkers take `type.__dict__` for final.
    vars()["__dict__"] = property(lambda cls: _get(cls, "_pybridge_class").__dict__)

    @property
    def __mro__(cls) -> tuple[type, ...]:
        return tuple([c for c in type.mro(cls) if c not in _INNER and not _is_gate(c)])

    @property
    def __bases__(cls) -> tuple[type, ...]:  # type: ignore[override]
        bases = type.__dict__["__bases__"].__get__(cls)
        return tuple([c for c in bases if c not in _INNER and not _is_gate(c)]) or (object,)

    @property
    def __base__(cls) -> Any:
        return cls.__bases__[0]

    @property
    def __signature__(cls) -> Any:
        from pybridge._inspected import signature_of

        return signature_of(_get(cls, "_pybridge_class"))

    def mro(cls) -> list[type]:
        """The method resolution order as the interpreter uses it."""
        return type.mro(cls)

    def __subclasses__(cls) -> list[Any]:
        return list(getattr(_get(cls, "_pybridge_class"), "__subclasses__")())  # noqa: B009

    def __or__(cls, other: Any) -> Any:
        return _get(cls, "_pybridge_class") | other

    def __ror__(cls, other: Any) -> Any:
        return other | _get(cls, "_pybridge_class")
