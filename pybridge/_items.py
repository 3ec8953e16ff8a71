# SPDX-License-Identifier: MIT
"""Items of guest lists and dicts: `l[i]`, `l[i] = x`, `d[key]`.

As all operators they are one crossing each; but an index needs no guest object, and what the
container is need not be asked (csrc/item.c).  Slices and the like go the general way, and so
does, in the guest, an object of a subclass.
"""

from __future__ import annotations

from pybridge._core import lib
from pybridge._frame import frame_get
from pybridge._handle import Handle
from pybridge._host import hidden
from pybridge._identity import kept
from pybridge._mirrorclass import extensions
from pybridge._proxy import POOL
from pybridge._put import lend, put
from pybridge._take import take

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

_FURTHEST = 2**62
_general_get, _general_set = POOL["__getitem__"], POOL["__setitem__"]


@hidden
def _list_get(self: Any, key: Any) -> Any:
    if type(key) is not int or not -_FURTHEST < key < _FURTHEST:
        return _general_get(self, key)
    frame = frame_get()
    word = lib.pb_list_get(frame.mem, self._pybridge_handle, key)
    if not self._pybridge_identity:
        kept(self)
    return take(frame, word)


@hidden
def _list_set(self: Any, key: Any, value: Any) -> None:
    if type(key) is not int or not -_FURTHEST < key < _FURTHEST:
        return _general_set(self, key, value)  # type: ignore[no-any-return]
    frame = frame_get()
    put(frame, 0, value)
    word = lib.pb_list_set(frame.mem, self._pybridge_handle, key)
    if not self._pybridge_identity:
        kept(self)
    take(frame, word)
    return None


@hidden
def _dict_get(self: Any, key: Any) -> Any:
    frame = frame_get()
    lend(frame, 0, key)
    word = lib.pb_dict_get(frame.mem, self._pybridge_handle)
    if not self._pybridge_identity:
        kept(self)
    if isinstance(key, Handle) and not key._pybridge_identity:
        kept(key)
    return take(frame, word)


extensions.setdefault(("builtins", "list"), {}).update(
    __getitem__=_list_get, __setitem__=_list_set
)
extensions.setdefault(("builtins", "dict"), {})["__getitem__"] = _dict_get
