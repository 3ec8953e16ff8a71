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


class _Remembered:
    """What was read from one guest dict: `names`, while its version is `version`.

    Shared by all proxies of the module: a trace is compiled for one `names`.
    """

    __slots__ = ("address", "names", "patience", "version")

    def __init__(self, address: int) -> None:
        self.address = address
        self.names = module_dict()
        self.patience = _PATIENCE
        self.version = _OFF


# By the address of the dict.  Versions are unique in the guest, so an entry whose dict died
# cannot be mistaken for that of a later dict at the same address.
_remembered: dict[int, _Remembered] = {}


class ModuleProxy(Proxy):
    # A proxy of a module that remembers the attributes it read.  No docstring here: `__doc__`
    # and `__module__` of the class would hide the guest's.
    __doc__ = Proxy.__dict__["__doc__"]
    __module__ = Proxy.__dict__["__module__"]
    __slots__ = ("_pybridge_remembered",)

    @hidden
    def __getattr__(self, name: str) -> Any:
        known = self._pybridge_remembered
        if _cast(_INTS, known.address)[_VERSION_WORD] == known.version:
            try:
                return known.names[name]
            except KeyError:
                pass
        return _read(self, known, name)


@hidden
def _read(self: Any, known: _Remembered, name: str) -> Any:
    """Read an attribute by a crossing, and remember it if it may be remembered."""
    version = _cast(_INTS, known.address)[_VERSION_WORD]
    value = _guest.get_attribute(self, name)
    if known.patience <= 0 or not _in_dict(known.address, name):
        return value
    if version != known.version:
        known.patience -= 1
        known.version = _OFF  # nobody may find an old name under the new version
        known.names = module_dict()
        if known.patience > 0:
            known.version = version
    names = known.names  # before the version: another thread may be changing both
    if known.version == version:
        names[name] = value
    return value


def _in_dict(address: int, name: str) -> bool:
    frame = frame_get()
    put(frame, 0, name)
    return take(  # type: ignore[no-any-return]
        frame, lib.pb_operate(frame.mem, lib.PB_CONTAINS, address)
    )


def _made(handle: int, proxy: Handle) -> Any:
    """The module proxy for an adopted handle."""
    module = adopt_as(ModuleProxy, proxy)
    address = _cast(_INTS, handle)[_DICT_WORD]
    known = _remembered.get(address)
    if known is None:
        known = _remembered[address] = _Remembered(address)
    _set(module, "_pybridge_remembered", known)
    return module


late.module = _made
