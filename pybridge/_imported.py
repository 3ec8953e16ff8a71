# SPDX-License-Identifier: MIT
"""Guest modules as the host's import system has them.

A `GuestModule` is a real module object of the host, as importlib wants, whose attributes are
the guest module's.  What the import system itself writes on a module (`__spec__`,
`__loader__`) stays on the host's object, and so do submodules, where the guest's package has
them under that name as well: a package may have put a function there.

A module that is read from another (`scipy.optimize`, `plt.np`) is the one in `sys.modules`,
imported now if need be: so lazily loaded submodules are found, and are one object.
"""

from __future__ import annotations

import sys
from types import ModuleType

from pybridge import _guest
from pybridge._frame import Frame
from pybridge._host import hidden
from pybridge._module import is_module
from pybridge._put import encoders, put

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

_MACHINERY = frozenset(
    ["__cached__", "__file__", "__loader__", "__name__", "__package__", "__path__", "__spec__"]
)
_proxy_of = "_pybridge_proxy"


class GuestModule(ModuleType):
    """A guest module under a name of the host's import system."""

    def __init__(self, name: str, proxy: Any) -> None:
        ModuleType.__setattr__(self, "__name__", name)
        ModuleType.__setattr__(self, _proxy_of, proxy)
        self.__dict__.pop("__doc__", None)

    @hidden
    def __getattr__(self, name: str) -> Any:
        value = getattr(self.__dict__[_proxy_of], name)
        if is_module(value):
            return _known(value)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _MACHINERY:
            ModuleType.__setattr__(self, name, value)
            return
        proxy = self.__dict__[_proxy_of]
        if isinstance(value, GuestModule) and value.__name__ == f"{self.__name__}.{name}":
            # Most likely importlib, which tells the package of its new submodule.
            there = getattr(proxy, name, None)
            if is_module(there) and _same(there, value.__dict__[_proxy_of]):
                ModuleType.__setattr__(self, name, value)
                return
            if there is not None:
                return
        self.__dict__.pop(name, None)
        setattr(proxy, name, value)

    def __delattr__(self, name: str) -> None:
        here = self.__dict__.pop(name, None) is not None
        if not here or hasattr(self.__dict__[_proxy_of], name):
            delattr(self.__dict__[_proxy_of], name)

    def __dir__(self) -> list[str]:
        return sorted({*dir(self.__dict__[_proxy_of]), *self.__dict__} - {_proxy_of})

    def __repr__(self) -> str:
        return repr(self.__dict__[_proxy_of])

    @property
    def __all__(self) -> list[str]:
        """What `from module import *` gives: the guest's own choice."""
        return list(_guest.call("names_of", self.__dict__[_proxy_of]))


def _same(a: Any, b: Any) -> bool:
    return a._pybridge_handle == b._pybridge_handle  # type: ignore[no-any-return]


@hidden
def _known(proxy: Any) -> Any:
    """The GuestModule for a module that was read from another; the proxy itself where the
    host's import of that name would not give it, as for `os`."""
    name = proxy.__name__
    if type(name) is not str:
        return proxy
    found = sys.modules.get(name)
    if found is None and isinstance(sys.modules.get(name.partition(".")[0]), GuestModule):
        import importlib

        try:
            found = importlib.import_module(name)
        except ImportError:
            return proxy
    if isinstance(found, GuestModule) and _same(found.__dict__[_proxy_of], proxy):
        return found
    return proxy


def _put_module(frame: Frame, at: int, x: GuestModule) -> int:
    return put(frame, at, x.__dict__[_proxy_of])


encoders[GuestModule] = _put_module
