# SPDX-License-Identifier: MIT
"""Proxies of guest modules, whose attributes are nearly constants.

`math.sqrt(x)` in a loop reads the attribute each time.  A guest module's dict carries a
version, a word that every change of the dict changes (CPython 3.9 to 3.13; later ones dropped
it, and modules there are ordinary proxies).  A module proxy remembers what it read together
with that word, and compares it by a plain memory read: no crossing, and in a trace the
attribute is a constant behind one comparison.

Only what stands in the module's dict is remembered, not what its `__getattr__` makes.  A
module whose dict keeps changing is left alone after `_PATIENCE` changes.  What is remembered
stays alive until the next change is noticed, or the proxy dies.

Threads: a guest thread may change the dict while the word is read; the old or the new
attribute is given, as on one interpreter.
"""

from __future__ import annotations

from pybridge import _guest
from pybridge._convert import late, put, take
from pybridge._core import ffi, lib
from pybridge._frame import frame_get
from pybridge._handle import Handle, adopt_as
from pybridge._host import hidden, module_dict
from pybridge._proxy import Proxy

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

_PATIENCE = 100
_OFF = -1  # no dict has this version
_cast = ffi.cast
_INTS = ffi.typeof("int64_t *")
_DICT_WORD = 2  # of a module object: the address of its dict
_VERSION_WORD = 3  # of a dict: its version
_set = object.__setattr__


class ModuleProxy(Proxy):
    # A proxy of a module that remembers the attributes it read.  No docstring here: `__doc__`
    # and `__module__` of the class would hide the guest's.
    __doc__ = Proxy.__dict__["__doc__"]
    __module__ = Proxy.__dict__["__module__"]
    __slots__ = (
        "_pybridge_dict",
        "_pybridge_names",
        "_pybridge_patience",
        "_pybridge_version",
    )

    @hidden
    def __getattr__(self, name: str) -> Any:
        if _cast(_INTS, self._pybridge_dict)[_VERSION_WORD] == self._pybridge_version:
            try:
                return self._pybridge_names[name]
            except KeyError:
                pass
        return _read(self, name)


@hidden
def _read(self: Any, name: str) -> Any:
    """Read an attribute by a crossing, and remember it if it may be remembered."""
    version = _cast(_INTS, self._pybridge_dict)[_VERSION_WORD]
    value = _guest.get_attribute(self, name)
    if self._pybridge_patience <= 0 or not _in_dict(self, name):
        return value
    if version != self._pybridge_version:
        _set(self, "_pybridge_patience", self._pybridge_patience - 1)
        _set(self, "_pybridge_names", module_dict())
        _set(self, "_pybridge_version", version)
        if self._pybridge_patience <= 0:
            _set(self, "_pybridge_version", _OFF)
    self._pybridge_names[name] = value
    return value


def _in_dict(self: Any, name: str) -> bool:
    frame = frame_get()
    put(frame, 0, name)
    mem, address = frame.mem, self._pybridge_dict
    return take(frame, lib.pb_operate(mem, lib.PB_CONTAINS, address))  # type: ignore[no-any-return]


def _made(handle: int, proxy: Handle) -> Any:
    """The module proxy for an adopted handle."""
    module = adopt_as(ModuleProxy, proxy)
    _set(module, "_pybridge_dict", _cast(_INTS, handle)[_DICT_WORD])
    _set(module, "_pybridge_names", module_dict())
    _set(module, "_pybridge_patience", _PATIENCE)
    _set(module, "_pybridge_version", _OFF)
    return module


late.module = _made
