# SPDX-License-Identifier: MIT
"""What the guest asks of the host objects that it has: attributes, text, special methods.

`asked` are the functions that guest/hostclasses.py calls by name; `special` makes the one for a
special method, which serves the objects of all host classes that have it.
"""

from __future__ import annotations

from pybridge._host import hidden
from pybridge._raised import to_host

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any, Callable

missing: Any = None  # the guest's object for "no such attribute"; set by the first host class


def _get(x: Any, name: str) -> Any:
    try:
        return getattr(x, name)
    except AttributeError as error:
        traceback = error.__traceback__
        if type(error) is AttributeError and (traceback is None or traceback.tb_next is None):
            if name == "__signature__":
                return _signature_of(x)
            return missing  # the guest raises it: much cheaper
        raise


def _signature_of(x: Any) -> Any:
    return missing


def _copy(x: Any) -> Any:
    import copy

    return copy.copy(x)


def _deepcopy(x: Any) -> Any:
    import copy

    return copy.deepcopy(x)


def _construct(cls: Any, *args: Any, **kwargs: Any) -> Any:
    return cls(*args, **kwargs)


def _format(x: Any, spec: str) -> str:
    return format(x, spec)


def _dir(x: Any) -> tuple[str, ...]:
    return tuple([name for name in dir(x) if type(name) is str])


def _throw(x: Any, name: str, error: Any) -> Any:
    return getattr(x, name)(to_host(error))


def _str(x: Any) -> str:
    return str(x)


def _isinstance(x: Any, cls: Any) -> bool:
    return isinstance(x, cls)


def _issubclass(sub: Any, cls: Any) -> bool:
    return issubclass(sub, cls)


asked: dict[str, Any] = {  # by name, what guest/hostclasses.py calls
    "get": _get,
    "set": setattr,
    "delete": delattr,
    "dir": _dir,
    "repr": repr,
    "str": _str,
    "format": _format,
    "copy": _copy,
    "deepcopy": _deepcopy,
    "construct": _construct,
    "isinstance": _isinstance,
    "issubclass": _issubclass,
    "throw": _throw,
}


def special(name: str) -> Callable[..., Any]:
    """The special method `name` of all host classes that have it."""

    @hidden
    def method(x: Any, *args: Any) -> Any:
        return getattr(type(x), name)(x, *args)

    @hidden
    def call(x: Any, *args: Any, **kwargs: Any) -> Any:
        return x(*args, **kwargs)

    @hidden
    def leave(x: Any, kind: Any, error: Any, traceback: Any) -> Any:
        if error is None:
            return getattr(type(x), name)(x, None, None, None)
        error = to_host(error)
        return getattr(type(x), name)(x, type(error), error, error.__traceback__)

    found = {"__call__": call, "__exit__": leave, "__aexit__": leave}.get(name, method)
    found.__name__ = found.__qualname__ = name
    found.__doc__ = None
    return found
