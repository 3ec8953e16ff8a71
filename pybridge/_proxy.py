# SPDX-License-Identifier: MIT
"""Proxies: host objects that stand for guest objects.

Every operation of the data model is one crossing.  Attributes are the guest's, also
`__doc__`, `__dict__`, `__module__` and `__class__`; the bridge keeps nothing of its own on a
proxy under a name that a guest class would use.

Threads: a proxy may be used by any thread.  Lifetime: the guest object lives at least as
long as the proxy, and is released some time after (`_release`), or by `pybridge.release`.
"""

from __future__ import annotations

from pybridge import _guest, _iterate, _kinds, _operators
from pybridge._core import lib
from pybridge._errors import ConversionError
from pybridge._frame import frame_get, frames
from pybridge._handle import Handle
from pybridge._host import hidden
from pybridge._identity import kept
from pybridge._names import interned, put_arguments
from pybridge._put import lend, put
from pybridge._tags import STOP
from pybridge._take import take

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any, Callable


class GuestAttribute:
    """A name that every host class has: read from a proxy it is the guest's."""

    def __init__(self, name: str, of_class: Any = None) -> None:
        self._name = name
        self._of_class = of_class

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is not None:
            return _guest.get_attribute(instance, self._name)
        if self._of_class is not None:
            return self._of_class
        return _guest.get_attribute(owner, self._name)

    def __set__(self, instance: Any, value: Any) -> None:
        _set_attribute(instance, self._name, value)

    def __delete__(self, instance: Any) -> None:
        instance.__delattr__(self._name)


class QuickAttribute(GuestAttribute):
    """Likewise one that `read(proxy)` knows."""

    def __init__(self, name: str, read: Callable[[Any], Any]) -> None:
        super().__init__(name)
        self._read = read

    @hidden
    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is not None:
            return self._read(instance)
        return _guest.get_attribute(owner, self._name)


def _set_attribute(x: Any, name: str, value: Any) -> None:
    frame = frame_get()
    put(frame, 0, value)
    take(frame, lib.pb_set_attribute(frame.mem, x._pybridge_handle, interned(name)))


def _as(kind: type) -> Callable[[Any], Any]:
    """The guest's __int__ may give an int subclass, which is a proxy: its plain value."""

    def plain(x: Any) -> Any:
        return x if type(x) is kind else _plain(kind, x)

    return plain


def _plain(kind: type, x: Any) -> Any:
    value = _guest.call("plain", x)
    if type(value) is not kind:
        raise TypeError(f"the guest gave {type(value).__name__}, not {kind.__name__}")
    return value


def _names() -> dict[str, Any]:
    return {
        "ConversionError": ConversionError,
        "Handle": Handle,
        "as_float": _as(float),
        "as_int": _as(int),
        "as_str": _as(str),
        "frame_get": frame_get,
        "hidden": hidden,
        "kept": kept,
        "lend": lend,
        "lib": lib,
        "put": put,
        "take": take,
    }


_guest_repr: Callable[[Any], Any] = repr  # replaced by _build


def _proxy_repr(self: Any) -> str:
    try:
        return _guest_repr(self)  # type: ignore[no-any-return]
    except Exception as error:
        if self._pybridge_handle == 0:
            return "<released proxy>"
        address, kind = self._pybridge_handle, type(error).__name__
        return f"<proxy of a guest object at {address:#x} ({kind} in its repr)>"


class Proxy(Handle):
    """A guest object, as the host sees it.

    Not made by calling this class: guest objects that cross become proxies, each of the
    mirror class of its guest class, below this one.  Attributes, calls, items, operators and
    protocols are the guest object's own; one it lacks raises what Python raises.  Any thread.
    """

    __dict__ = GuestAttribute("__dict__")
    __weakref__ = GuestAttribute("__weakref__")

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(
            "proxies are not made by calling pybridge.Proxy: objects that come from the guest "
            "are proxies"
        )

    @hidden
    def __getattr__(self, name: str) -> Any:
        frame = frame_get()
        word = lib.pb_get_attribute(frame.mem, self._pybridge_handle, interned(name))
        if not self._pybridge_identity:
            kept(self)
        return take(frame, word)

    @hidden
    def __setattr__(self, name: str, value: Any) -> None:
        frame = frame_get()
        put(frame, 0, value)
        word = lib.pb_set_attribute(frame.mem, self._pybridge_handle, interned(name))
        if not self._pybridge_identity:
            kept(self)
        take(frame, word)
        if name == "__class__":
            object.__setattr__(self, name, value)

    @hidden
    def __delattr__(self, name: str) -> None:
        frame = frame_get()
        take(frame, lib.pb_delete_attribute(frame.mem, self._pybridge_handle, interned(name)))

    @hidden
    def __dir__(self) -> list[str]:
        frame = frame_get()
        names = take(frame, lib.pb_operate(frame.mem, lib.PB_DIR, self._pybridge_handle))
        return [name for name in names if type(name) is str]

    def __copy__(self) -> Any:
        return _guest.call("copy", self)

    def __deepcopy__(self, memo: Any) -> Any:
        return _guest.call("deepcopy", self)


@hidden
def call_handle(
    handle: int, args: tuple[Any, ...], kwargs: dict[str, Any], proxy: Any = None
) -> Any:
    """Call a guest object, that of `proxy` if it is given."""
    frame = frame_get()
    n = len(args)
    names = 0
    if kwargs:
        n, names = put_arguments(frame, args, kwargs)
    elif n == 1:
        put(frame, 0, args[0])
    elif n == 2:
        put(frame, put(frame, 0, args[0]), args[1])
    elif n == 3:
        put(frame, put(frame, put(frame, 0, args[0]), args[1]), args[2])
    elif n:
        put_arguments(frame, args, kwargs)
    word = lib.pb_call(frame.mem, handle, n, names)
    if proxy is not None and not proxy._pybridge_identity:
        kept(proxy)
    return take(frame, word)


class _Pool:
    # Special methods that a class has if its guest class has them, and which the tables
    # below do not make.

    @hidden
    def __call__(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        return call_handle(self._pybridge_handle, args, kwargs, self)

    @hidden
    def __setitem__(self: Any, key: Any, value: Any) -> None:
        frame = frame_get()
        put(frame, put(frame, 0, key), value)
        word = lib.pb_operate(frame.mem, lib.PB_SETITEM, self._pybridge_handle)
        if not self._pybridge_identity:
            kept(self)
        take(frame, word)

    @hidden
    def __next__(self: Any) -> Any:
        frame = frame_get()
        mem = frame.mem
        word = lib.pb_next(mem, self._pybridge_handle)
        if not self._pybridge_identity:
            kept(self)
        if word == STOP:
            frames.append(frame)
            raise StopIteration
        return take(frame, word)

    @hidden
    def __enter__(self) -> Any:
        return _guest.call("special", self, "__enter__")

    @hidden
    def __exit__(self, kind: Any, exc: Any, traceback: Any) -> Any:
        return _guest.call("exit_with", self, exc)

    @hidden
    def __instancecheck__(self, instance: Any) -> bool:
        try:
            return bool(_guest.call("isinstance_of", instance, self))
        except ConversionError:
            return False

    @hidden
    def __subclasscheck__(self, cls: Any) -> bool:
        try:
            return bool(_guest.call("issubclass_of", cls, self))
        except ConversionError:
            return False


def _special(name: str, function: str) -> Callable[..., Any]:
    @hidden
    def method(self: Any, *args: Any) -> Any:
        return _guest.call(function, self, *args)

    method.__name__ = name
    return method


# Protocols of the data model that are rare enough for a call by name: the functions of
# support.py do what the builtin does, also for objects without the special method.
SPECIALS = {
    "__bytes__": "to_bytes",
    "__ceil__": "ceil",
    "__complex__": "to_complex",
    "__floor__": "floor",
    "__format__": "format_as",
    "__fspath__": "to_path",
    "__length_hint__": "length_hint",
    "__reversed__": "reverse",
    "__round__": "round_to",
    "__trunc__": "trunc",
    "__get__": "descriptor_get",
    "__set__": "descriptor_set",
    "__delete__": "descriptor_delete",
}


class _Signature:
    # `inspect.signature` asks a callable for this first.
    def __get__(self, instance: Any, owner: Any = None) -> Any:
        from pybridge._inspected import signature_of

        return signature_of(owner if instance is None else instance)


POOL: dict[str, Any] = {}  # special methods by name; mirror classes take what they need


def _build() -> None:
    global _guest_repr
    POOL.update(_operators.make(_names()))
    _guest_repr = POOL["__repr__"]
    POOL["__repr__"] = _proxy_repr
    for name, function in SPECIALS.items():
        POOL[name] = _special(name, function)
    for name, method in vars(_Pool).items():
        if callable(method):
            POOL[name] = method
    POOL["__signature__"] = _Signature()
    for name in OF_EVERY_OBJECT:
        setattr(Proxy, name, POOL[name])
    doc, module = Proxy.__doc__, Proxy.__module__
    Proxy.__doc__ = GuestAttribute("__doc__", doc)  # type: ignore[assignment]
    Proxy.__module__ = GuestAttribute("__module__", module)  # type: ignore[assignment]


# What `object` has: for these every proxy asks the guest.
OF_EVERY_OBJECT = (
    "__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__hash__", "__repr__",
    "__str__", "__format__",
)  # fmt: skip
_build()
Unclassified = type(
    "Proxy",
    (Proxy,),
    {
        "__module__": Proxy.__dict__["__module__"],
        "__doc__": Proxy.__dict__["__doc__"],
        "_pybridge_identity": True,  # provisional: the object will have another
        **POOL,
    },
)
for _name in ("__get__", "__set__", "__delete__"):
    delattr(Unclassified, _name)  # mirror classes hold one as an attribute
_kinds.instances[_kinds.UNCLASSIFIED] = Unclassified
_REGISTERED = _iterate  # imported for what it adds to the tables of _put
