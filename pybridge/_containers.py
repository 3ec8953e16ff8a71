# SPDX-License-Identifier: MIT
"""Copies of containers to either side, references to the guest's, and identity."""

from __future__ import annotations

from pybridge import _guest, _runtime
from pybridge._core import ffi, lib
from pybridge._frame import frame_get
from pybridge._handle import Handle
from pybridge._put import put
from pybridge._take import take

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

# Numbers of containers, as in guest/linked.py.
_LIST, _DICT, _SET, _TUPLE, _FROZENSET, _FLOATS, _INTS = range(7)


def copy(x: Any) -> Any:
    """Give a plain guest copy of a list, dict or set: a proxy of a guest list, dict or set.

    What the guest does to it is not seen by `x`, nor the other way round; host containers
    inside become plain guest ones too, each once.  For guest code that changes a container
    very often, or that wants exactly a list.  `x` may be of the guest: then a shallow copy.
    Any thread.  Raises TypeError for other objects.
    """
    _runtime.running()
    return _guest.call("linked.plain_copy", x)


def to_host(x: Any) -> Any:
    """Give a host copy of a guest container and of the containers in it, in one crossing.

    Lists, deques and numpy arrays (as by tolist) become lists; dicts of any kind dicts; sets,
    frozensets and tuples those.  A container that occurs twice, or in itself, does so in the
    copy.  Other objects inside are what they are elsewhere: values or proxies.  Lists of
    floats and of 64-bit ints cross as raw memory.  Anything that is no container is given
    back as it is.  Any thread; a container that another thread changes meanwhile may raise
    RuntimeError.
    """
    if not isinstance(x, (Handle, list, dict, set, tuple, frozenset)):
        return x
    _runtime.running()
    rows = _guest.call("linked.packed_or_none", x)
    return x if rows is None else _unpacked(rows)


def _unpacked(rows: tuple[tuple[int, Any, tuple[int, ...]], ...]) -> Any:
    done: list[Any] = [_begun(kind, items) for kind, items, _ in rows]

    def content(n: int) -> list[Any]:
        _, items, inner = rows[n]
        items = list(items)
        for i in inner:
            items[i] = whole(items[i])
        return items

    def whole(n: int) -> Any:
        if done[n] is None:  # a tuple or frozenset, after what is in it
            done[n] = (tuple if rows[n][0] == _TUPLE else frozenset)(content(n))
        return done[n]

    for n, (kind, _, _) in enumerate(rows):
        if kind == _LIST:
            done[n].extend(content(n))
        elif kind == _SET:
            done[n].update(content(n))
        elif kind == _DICT:
            items = content(n)
            done[n].update(zip(items[::2], items[1::2]))
        else:
            whole(n)
    return done[0]


def _begun(kind: int, items: Any) -> Any:
    if kind == _LIST:
        return []
    if kind == _DICT:
        return {}
    if kind == _SET:
        return set()
    if kind == _FLOATS or kind == _INTS:
        numbers = ffi.cast(
            "double *" if kind == _FLOATS else "int64_t *", ffi.from_buffer(items)
        )
        return ffi.unpack(numbers, len(items) // 8)
    return None


def ref(x: Any) -> Any:
    """Give a proxy of the guest's object for `x`, whatever `x` is.

    Of a host list, dict or set it is the linked one: reading the proxy shows the host's items,
    changing it changes the host's container, and the host's one is what other crossings give
    back.  Of an int, str and so on it is a guest int, str that stays in the guest, for methods
    and attributes that only the guest's have.  A proxy is given back as it is.  Any thread.
    """
    if isinstance(x, Handle):
        return x
    _runtime.running()
    frame = frame_get()
    put(frame, 0, x)
    return take(frame, lib.pb_linked_ref(frame.mem))


def same(a: Any, b: Any) -> bool:
    """Tell whether `a` and `b` are one object, on whichever side it lives.

    Two proxies of one guest object are; a host object and a proxy are when the guest's object
    stands for that host object.  Values that cross by copy (numbers, texts, tuples) are one
    only if they are one on the host.  Any thread.
    """
    if a is b:
        return True
    if isinstance(a, Handle) and isinstance(b, Handle):
        return a._pybridge_handle == b._pybridge_handle != 0
    if isinstance(a, Handle) or isinstance(b, Handle):
        other = b if isinstance(a, Handle) else a
        if isinstance(other, (bool, int, float, complex, str, bytes, tuple, frozenset)):
            return False
        return bool(_guest.call("linked.same", a, b))
    return False
