# SPDX-License-Identifier: MIT
"""Importing guest packages by their own name: `import numpy as np`.

`install` adds a finder to the end of `sys.meta_path`, so a package that the host can import
comes from the host, and what it cannot import is looked for in the guest; and one to its
beginning, for the packages that are to come from the guest in any case.  Rules are for
top-level packages: everything below follows.

The guest's standard library is never taken: the host has its own, and asks for modules that
may be missing (`readline`, `_winapi`) expecting to be told so.

In `sys.modules` stands a `GuestModule`: a real module object of the host, as importlib wants,
whose attributes are the guest module's.  What the import system itself writes on a module
(`__spec__`, `__loader__`, submodules) stays on the host's object.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

from pybridge import _guest, _runtime
from pybridge._api import import_module
from pybridge._convert import encoders, put
from pybridge._frame import Frame
from pybridge._host import hidden

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

# Packages that exist for PyPy's own C API too.  Two copies of them in one process, each with
# its own arrays, break programs; so the guest's is taken unless told otherwise.
BOTH = frozenset(["numpy", "scipy", "pandas", "matplotlib", "lxml", "cython", "Cython"])
_MACHINERY = frozenset(
    ["__cached__", "__file__", "__loader__", "__name__", "__package__", "__path__", "__spec__"]
)
_proxy_of = "_pybridge_proxy"


class GuestModule(ModuleType):
    """A guest module under a name of the host's import system."""

    def __init__(self, name: str, proxy: Any) -> None:
        ModuleType.__setattr__(self, _proxy_of, proxy)
        for known in ("__doc__", "__name__"):
            self.__dict__.pop(known, None)

    @hidden
    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__[_proxy_of], name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _MACHINERY or isinstance(value, GuestModule):
            ModuleType.__setattr__(self, name, value)
        else:
            setattr(self.__dict__[_proxy_of], name, value)

    def __delattr__(self, name: str) -> None:
        if name in self.__dict__:
            ModuleType.__delattr__(self, name)
        else:
            delattr(self.__dict__[_proxy_of], name)

    def __dir__(self) -> list[str]:
        return sorted({*dir(self.__dict__[_proxy_of]), *self.__dict__} - {_proxy_of})

    def __repr__(self) -> str:
        return repr(self.__dict__[_proxy_of])

    @property
    def __all__(self) -> list[str]:
        """What `from module import *` gives: the guest's own choice."""
        return list(_guest.call("names_of", self.__dict__[_proxy_of]))


def _put_module(frame: Frame, at: int, x: GuestModule) -> int:
    return put(frame, at, x.__dict__[_proxy_of])


encoders[GuestModule] = _put_module


class _Loader:
    """Imports the module in the guest."""

    def create_module(self, spec: ModuleSpec) -> GuestModule:
        return GuestModule(spec.name, import_module(spec.name))

    def exec_module(self, module: GuestModule) -> None:
        """The guest has done so."""


class _Finder:
    """Finds modules in the guest.  `names`: only these packages, or None for all that the
    guest has outside its standard library."""

    def __init__(self, names: frozenset[str] | None, but: frozenset[str]) -> None:
        self.names = names
        self.but = but

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: Any = None
    ) -> ModuleSpec | None:
        """importlib's question: the module's spec, or None when it is not for us."""
        top, dot, _ = name.partition(".")
        if dot:
            parent = sys.modules.get(name.rpartition(".")[0])
            if not isinstance(parent, GuestModule):
                return None
        elif top in self.but or (self.names is not None and top not in self.names):
            return None
        if self.names is None and not dot and self.asks_for_itself(name):
            return None
        _runtime.running()
        origin = _guest.call("find_module", name, not dot)
        if origin is None:
            return None
        return ModuleSpec(name, _Loader(), origin=origin or None)  # type: ignore[arg-type]

    @staticmethod
    def asks_for_itself(name: str) -> bool:
        """Names that the host's own standard library tries: not worth starting a guest."""
        return name.startswith("_") or name in getattr(sys, "stdlib_module_names", ())


_installed: list[_Finder] = []


def install(*, guest: Iterable[str] = (), host: Iterable[str] = ()) -> None:
    """Let `import` find guest packages by their own names, from now on.

    What the host can import comes from the host, everything else from the guest's
    site-packages.  `guest`: top-level packages that come from the guest even if the host has
    them too; numpy, scipy, pandas, matplotlib and some others always do.  `host`: packages
    that are never looked for in the guest.  Installing again replaces the rules; modules
    that were imported stay.  Starts nothing: the first such import does.
    """
    uninstall()
    never = frozenset(host)
    always = (BOTH | frozenset(guest)) - never
    first, last = _Finder(always, never), _Finder(None, never)
    sys.meta_path.insert(0, first)
    sys.meta_path.append(last)
    _installed.extend([first, last])


def uninstall() -> None:
    """Take the rules of `install` back; imported modules stay."""
    while _installed:
        sys.meta_path.remove(_installed.pop())
