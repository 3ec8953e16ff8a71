# SPDX-License-Identifier: MIT
"""Host sequences times numbers of numpy's: `[0] * n`, `n * "ab"`, `l *= n`.

numpy's numbers leave a sequence to itself if its class has no multiplication as numbers have,
whatever the number: a list is repeated, for a float that is a TypeError.  A host list is not
taken to the guest for that: it would come back as another one's items, or, from a buffer such
as a bytearray, as an array.  NotImplemented has the interpreter ask the sequence.
"""

from __future__ import annotations

from _collections import deque  # type: ignore[import-not-found]
from array import array

from pybridge._host import hidden
from pybridge._metatype import MirrorType
from pybridge._proxy import POOL

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

_BASES = (list, tuple, str, bytes, bytearray, array, deque)
_NAMES = ("__mul__", "__rmul__")


def _leaving(ordinary: Any) -> Any:
    @hidden
    def multiply(self: Any, other: Any) -> Any:
        kind = type(other)
        if issubclass(kind, _BASES) and _repeats(kind):
            return NotImplemented
        return ordinary(self, other)

    return multiply


def _repeats(kind: Any) -> bool:
    """Is it no guest class, and does it repeat as its base does?"""
    if kind in _BASES:
        return True
    if isinstance(kind, MirrorType):
        return False
    base = next(c for c in kind.__mro__ if c in _BASES)
    return all(getattr(kind, name) is getattr(base, name) for name in _NAMES)


# What the mirrors of numpy's numbers have in place of the methods of any proxy
METHODS = {name: _leaving(POOL[name]) for name in _NAMES}
