# SPDX-License-Identifier: MIT
"""Linked containers: host lists, dicts and sets as the guest's own.

The guest gets a real list, dict or set with the items, which remembers the host's container
(csrc/linked.c tells the whole story).  Here: how one crosses, with what is inside it, each
container once, however often and wherever it occurs; how those that the guest keeps get their
numbers; and what the guest asks of the host, to write through and to fetch.

    host list crosses        the items go along; the guest's list has them
    guest list crosses back  it is the host's list
    guest method changes it  the host's list changes at once
    guest C code changes it  the host's list changes when the call returns that passed it, or
                             when it crosses in either direction
    host code changes it     the guest's list changes when it is read by a method, or crosses

Threads: as on one interpreter nobody changes a container while another thread does; a
change made meanwhile is kept, at a place that may surprise.  A container that two threads pass
at the same moment may be two objects in the guest for that long.
"""

from __future__ import annotations

from pybridge import _guest, _put
from pybridge._core import ffi, lib
from pybridge._frame import Frame, by_address, frame_get
from pybridge._handle import adopt_nothing
from pybridge._host import list_strategy, utf8
from pybridge._put import encoders, fallbacks, keep, put_items
from pybridge._table import live, number_new, numbers, objects
from pybridge._tags import DICT, FLOATS, INTS, LINK, LIST, SAME, SET, TEXTS
from pybridge._take import late, take

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

_BULK = 16  # lists of numbers or texts from this length on cross as raw memory
_ready = False


# ---- host to guest ----------------------------------------------------------------------


def _put_container(frame: Frame, at: int, x: Any, kind: type, depth: int) -> int:
    if at + 4 > frame.capacity:
        frame.grow(2 * at + 8, at)
    if _ready:  # the guest's half is loaded
        place = _put_link(frame, at, x)
        if place < 0:
            return at + 1
        at += 1
    # No function of their own for the items: each level of nesting takes host stack.
    if kind is list:
        if len(x) >= _BULK:
            end = _put_bulk(frame, at, x)
            if end >= 0:
                return end
        return put_items(frame, at, LIST, x[:], depth)  # another thread may change it
    if kind is set:
        return put_items(frame, at, SET, list(x), depth)
    flat: list[Any] = []
    for key, value in x.items():
        flat.append(key)
        flat.append(value)
    return put_items(frame, at, DICT, flat, depth)


def _put_link(frame: Frame, at: int, x: Any) -> int:
    """Which container of this crossing `x` is, in the cell at `at`; -1: it was there before."""
    links = frame.links
    address = id(x)
    if links is None:
        place = 0
        frame.links = [x]
        if frame.keep is None:
            frame.keep = []
    else:
        places = frame.places
        if places is None:
            places = frame.places = {id(links[0]): 0}
        place = places.get(address, -1)
        if place >= 0:
            frame.ints[2 * at] = SAME | place << 8
            return -1
        place = places[address] = len(links)
        links.append(x)
    frame.ints[2 * at] = LINK | place << 8
    frame.ints[2 * at + 1] = 0
    if address in numbers:
        proxy = live(x)
        if proxy is not None:
            keep(frame, proxy)
            frame.ints[2 * at + 1] = proxy._pybridge_handle
    return place


def _put_bulk(frame: Frame, at: int, x: list[Any]) -> int:
    """A list of numbers or texts as raw memory; -1 if `x` is none."""
    # PyPy stores a list of floats or of small ints as raw numbers: one copy, one cell.
    name = list_strategy(x)
    try:
        if name == "FloatListStrategy":
            return _put_array(frame, at, FLOATS, ffi.new("double[]", x))
        if name == "IntegerListStrategy":
            return _put_array(frame, at, INTS, ffi.new("int64_t[]", x))
        if name == "AsciiListStrategy":
            return _put_texts(frame, at, x)
    except (TypeError, OverflowError):  # another thread has put something else into it
        pass
    return -1


def _put_array(frame: Frame, at: int, tag: int, array: Any) -> int:
    if at + 4 > frame.capacity:
        frame.grow(2 * at + 8, at)
    # The array's length: the list may have another by now.
    frame.ints[2 * at] = tag | len(array) << 8
    frame.ints[2 * at + 1] = int(ffi.cast("intptr_t", array))
    keep(frame, array)
    return at + 1


def _put_texts(frame: Frame, at: int, x: list[str]) -> int:
    encoded = [utf8(text) for text in x]
    data = b"".join(encoded)
    pinned = ffi.from_buffer(data)
    lengths = ffi.new("int64_t[]", [len(text) for text in encoded])
    at = _put_array(frame, at, TEXTS, lengths)
    frame.ints[2 * at + 1] = frame.ints[2 * at - 1]
    frame.ints[2 * at - 1] = int(ffi.cast("intptr_t", pinned))
    keep(frame, pinned)
    return at + 1


# ---- after a crossing -------------------------------------------------------------------


def _settle(frame: Frame) -> None:
    """Number the containers of a crossing that the guest keeps."""
    mem = frame.mem
    places = mem.numbers
    for i in range(mem.links_used):
        places[i] = number_new(frame.links[places[i]])
    other = frame_get()
    take(other, lib.pb_linked_settle(other.mem, mem))


def settle_answer(frame: Frame) -> None:
    """Likewise for a callback's answer."""
    _settle(frame)
    frame.links = frame.places = None


# ---- guest to host ----------------------------------------------------------------------


def _linked(index: int, address: int, serial: int, handle: int) -> Any:
    """The container that another frame's crossing, still going on, has as number `index`.

    Host code may keep it or pass it again, so it gets its place in the table now.
    """
    other = frame_get()
    number = take(other, lib.pb_linked_number(other.mem, handle, -1))
    if number < 0:
        frame = by_address[address]()
        assert frame is not None and frame.mem.links_serial == serial, "its crossing goes on"
        x = frame.links[index]
        other = frame_get()
        number = take(other, lib.pb_linked_number(other.mem, handle, number_new(x)))
    adopt_nothing(handle)
    return objects[number]


# ---- what the guest's half asks ---------------------------------------------------------


def _same(x: Any) -> Any:
    """An answer crosses to the guest: with it, the items as they are now."""
    return x


def _change_list(x: list[Any], start: int, stop: int, items: tuple[Any, ...]) -> None:
    x[start:stop] = items


def _change_dict(x: dict[Any, Any], whole: bool, removed: Any, items: Any) -> None:
    if whole:  # the order has changed
        x.clear()
    for key in removed:
        x.pop(key, None)
    if type(x) is dict:
        x.update(items)
    else:  # Counter.update adds
        for key, value in dict(items).items():
            x[key] = value


def _change_set(x: set[Any], removed: Any, added: Any) -> None:
    x.difference_update(removed)
    x.update(added)


def set_up() -> None:
    """After the start: introduce the two halves."""
    global _ready
    module = _guest.support("linked")
    frame = frame_get()
    take(frame, lib.pb_linked_start(frame.mem, module._pybridge_handle))
    begin = _guest.get_attribute(module, "introduce")
    _guest.call_guest(begin, _same, _change_list, _change_dict, _change_set)
    _ready = True


_DICTS = ("defaultdict", "OrderedDict", "Counter")


def _put_dict(frame: Frame, at: int, x: Any) -> int:
    return _put_container(frame, at, x, dict, 0)


def _dict_encoder(x: Any) -> Any:
    """The dicts of `collections` are dicts for the guest, which C code demands of them."""
    kind = type(x)
    if kind.__name__ in _DICTS and kind.__module__.lstrip("_") == "collections":
        encoders[kind] = _put_dict
        return _put_dict
    return None


_put.late.container = _put_container
fallbacks.insert(0, _dict_encoder)
late.settle = _settle
late.linked = _linked
