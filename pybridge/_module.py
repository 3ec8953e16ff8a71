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

from types import ModuleType

from pybridge import _guest
from pybridge._core import ffi, lib
from pybridge._frame import frame_get
from pybridge._handle import remembering, scope_leave
from pybridge._host import hidden, module_dict, promote
from pybridge._mirrorclass import extensions
from pybridge._proxy import Proxy
from pybridge._put import put
from pybridge._take import take

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

    def forget(self) -> None:
        """The program released one of these, which the module still has."""
        self.version = _OFF
        self.names = module_dict()


# By the address of the dict.  Versions are unique in the guest, so an entry whose dict died
# cannot be mistaken for that of a later dict at the same address.
_remembered: dict[int, _Remembered] = {}


@hidden
def _get_attribute(self: Any, name: str) -> Any:
    known = self._pybridge_remembered
    if known is None:
        known = _begin(self)
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
        scope_leave(value)
        if isinstance(value, Proxy):
            remembering[value._pybridge_handle] = known.forget
        names[name] = value
    return value


def _in_dict(address: int, name: str) -> bool:
    frame = frame_get()
    put(frame, 0, name)
    return take(  # type: ignore[no-any-return]
        frame, lib.pb_operate(frame.mem, lib.PB_CONTAINS, address)
    )


def _begin(module: Any) -> _Remembered:
    """What is remembered of a module, for a proxy that has not asked before."""
    address = _cast(_INTS, module._pybridge_handle)[_DICT_WORD]
    known = _remembered.get(address)
    if known is None:
        known = _Remembered(address)
        if promote(type(module))._pybridge_module != "builtins":
            known.patience = 0  # a subclass: its own attributes may go before the dict's
        _remembered[address] = known
    _set(module, "_pybridge_remembered", known)
    return known


@hidden
def is_module(x: Any) -> bool:
    """Is it the proxy of a guest module?"""
    return isinstance(x, Proxy) and isinstance(x, ModuleType)  # by its __class__


def set_up(minor: int) -> None:
    """For a guest 3.`minor`, before its first module crosses."""
    if minor <= 13:  # later dicts have no version
        extensions["builtins", "module"] = {
            "__getattr__": _get_attribute,
            "_pybridge_remembered": None,
        }
