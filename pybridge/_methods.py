# SPDX-License-Identifier: MIT
"""Methods of guest classes that never change, called in one crossing.

`l.append(x)` reads an attribute, then calls what it read: two crossings.  For an object without
a dict, of a class that nobody can change (numpy.ndarray, list, deque: most classes written in
C), what the attribute is is known beforehand.  For those `__getattr__` gives a bound method of
the host, which calls the guest's method by name in one crossing; in a trace nothing else is
left of it.  Passed to the guest it is the guest's own bound method.

One dict of functions for each mirror class, not inherited: a class below may have something
else under the name.
"""

from __future__ import annotations

from types import MethodType

from pybridge import _guest
from pybridge._core import lib
from pybridge._frame import frame_get
from pybridge._host import hidden, module_dict, promote
from pybridge._identity import kept
from pybridge._names import interned, put_arguments
from pybridge._proxy import Proxy
from pybridge._put import put
from pybridge._take import take

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

_NONE: Any = object()


@hidden
def get_attribute(self: Any, name: str) -> Any:
    """`__getattr__` of proxies of such classes, and of those below."""
    methods = promote(type(self))._pybridge_methods
    if methods is not None:
        try:
            method = methods[name]
        except KeyError:
            method = _look_up(self, methods, name)
        if method is not _NONE:
            return MethodType(method, self)
    return Proxy.__getattr__(self, name)


def _look_up(self: Any, methods: Any, name: str) -> Any:
    found = _guest.call("method_of", self, name)
    methods[str(name)] = method = _NONE if found is None else _method(name, *found)
    return method


def _method(name: str, guest: Any, doc: Any) -> Any:
    handle = interned(name)

    @hidden
    def method(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        frame = frame_get()
        n = len(args)
        names = 0
        if kwargs or n > 2:
            n, names = put_arguments(frame, args, kwargs)
        elif n == 1:
            put(frame, 0, args[0])
        elif n == 2:
            put(frame, put(frame, 0, args[0]), args[1])
        word = lib.pb_call_method(frame.mem, self._pybridge_handle, handle, n, names)
        if not self._pybridge_identity:
            kept(self)
        return take(frame, word)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = doc if type(doc) is str else None
    method.__wrapped__ = guest  # type: ignore[attr-defined]
    return method


def shorten(x: Any, name: str, quick: Any) -> Any:
    """Have `quick(self)` asked first when the method is called without arguments, for objects
    of the class of `x`; it gives None for what it does not know.  Gives what undoes this."""
    methods = type(x)._pybridge_methods
    ordinary = _NONE if methods is None else methods.get(name) or _look_up(x, methods, name)
    if ordinary is _NONE:
        return lambda: None

    @hidden
    def method(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        if not args and not kwargs:
            result = quick(self)
            if result is not None:
                return result
        return ordinary(self, *args, **kwargs)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = ordinary.__doc__
    method.__wrapped__ = ordinary.__wrapped__  # type: ignore[attr-defined]
    methods[name] = method
    return lambda: methods.__setitem__(name, ordinary)


def new() -> Any:
    """The dict of a mirror class."""
    return module_dict()


def guest_method(x: Any) -> Any:
    """The guest's bound method for one that `get_attribute` gave, else None."""
    function = x.__func__
    if getattr(function, "__code__", None) not in _METHOD_CODES:
        return None
    return _guest.get_attribute(x.__self__, function.__name__)


_METHOD_CODES = [
    next(c for c in maker.__code__.co_consts if getattr(c, "co_name", "") == "method")
    for maker in (_method, shorten)
]
