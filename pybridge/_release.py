# SPDX-License-Identifier: MIT
"""Releasing guest objects whose proxies died.

A finalizer per proxy (`__del__`, ffi.gc) costs 200 to 500 ns on PyPy and waits for a major
collection.  So proxies have none.  Eight proxies share a *chunk*: an object of the host,
watched by a plain weak reference, and eight words of memory that hold the handles.  When
the last proxy of a chunk is gone the chunk dies at the next minor collection; a sweep finds
the dead weak reference and gives the words to the core, which drops them in one crossing.
31 to 38 ns a proxy, measured; 16 or more proxies a chunk would be cheaper and retain more.

When is swept: as new chunks are needed and a minor collection has happened since (a
throw-away object tells), and everything after a major collection (an object that is old by
then tells; a finalizer or a callback of the collector would fail, and the word be lost, where
the program is at its recursion limit).  Guest memory is invisible to the host's collector: a
loop that makes and drops a guest object has nothing to collect here, and held 900,000 of them
before the first minor collection.  So the core counts the bytes of what it hands out and
nobody else has; when `_HEAVY_LIMIT` bytes have outlived a minor collection the collector is
asked for a step.  `statistics` and `release` sweep too.

Memory that is freed late is cold when it is used again, and a step of a major collection takes
a millisecond or more: `x + x` of a thousand numbers took three times as long as natively while
64 MB of dead arrays waited for it. So every `_young_limit` bytes the young ones are collected
(`_host.collect_young`), which takes 20 to 30 us with the release; less often where most are
still alive then. It makes old what the program still has, `y` in `y = x + y`, and that is
found dead by a major collection only: so there have to be `_MANY` of them, but fewer each time
that none of them is alive, as the temporaries of an expression are not. A frame that was there
when the young were collected is old, too, and keeps what is in its variables, be it dead
itself: what gets the result of a crossing leaves it in none (`del`).

Objects that own much memory have a chunk of their own: a neighbour cannot keep them.

Threads: a sweep takes the lists under `_lock`, then drops the lock, then releases, because
releasing runs guest destructors, which may call the host.  Making chunks needs no lock.
Signals wait meanwhile: Ctrl-C in between left the lock taken for ever.
"""

from __future__ import annotations

import _thread
import gc
from _weakref import ref as _ref

from pybridge import _kinds
from pybridge._core import ffi, lib
from pybridge._host import collect_step, collect_young, signals_off, signals_on
from pybridge._locks import locked
from pybridge._places import Places

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

CHUNK: int = lib.PB_CHUNK
_BATCH = 32  # chunks made at a time
_HEAVY_LIMIT = 64 << 20  # bytes
_YOUNG_LEAST = 1 << 20  # bytes: `x + x` of so many takes as long as a collection, 20 to 30 us
_MANY = 32  # chunks
_FEW = 4  # at least, where the last ones were all dead
_many = _MANY
_young_limit = _YOUNG_LEAST
_kept = 0  # bytes of what was alive then, since the collector was asked for a step
_MOST_REFILLS = 256  # 65,536 proxies without a minor collection
_refills = 0  # since a minor collection was last noticed

shared = lib.pb_shared_state()


class Chunk:
    """Eight handles that are released together.  `address` is their memory."""

    __slots__ = ("__weakref__", "address")

    def __init__(self, address: int) -> None:
        self.address = address


class _Sentinel:
    __slots__ = ("__weakref__",)


_lock = _thread.allocate_lock()
_slabs: list[Any] = []  # the memory of all chunks; never given back
# Everything below goes by the number of a chunk's memory: lists of plain ints cost PyPy no
# object each, and survive its collections cheaply.
_addresses: list[int] = []
_refs: list[Any] = []  # the weak reference to the chunk that uses the memory now
_ready: list[int] = []  # to be used next
_free: list[int] = []
_young: list[int] = []
young_heavy: list[int] = []  # of the young: those of objects that own much memory
_old: list[int] = []
_old_limit = 4096  # sweep the old ones when they have become this many
_dead: list[int] = []  # found dead, not yet released
_sentinel: _ref[_Sentinel] = _ref(_Sentinel())
before_sweep: list[Any] = []  # what upper layers do before a full sweep
_sweepers: list[Any] = []  # further things to do in a sweep, registered by upper layers


if collect_step is not None:
    _witness: _Sentinel | None = _Sentinel()  # held until it has survived a minor collection
    _old_witness = _ref(_witness)

    def _major_happened() -> bool:
        """Has a major collection been noticed for the first time now?"""
        global _old_witness, _witness
        if _old_witness() is None:
            _witness = _Sentinel()
            _old_witness = _ref(_witness)
            return True
        if _sentinel() is None:  # no older than the witness, and has not survived
            _witness = None
        return False

else:
    _majors: int = 0

    def _major_happened() -> bool:
        """Has a collection of all generations been noticed for the first time now?"""
        global _majors
        before, _majors = _majors, gc.get_stats()[2]["collections"]
        return bool(before != _majors)


def chunk_new(young: list[int] = _young) -> Chunk:
    """A chunk whose words are all 0.  `young`: or `young_heavy`.  Any thread."""
    while True:
        try:
            number = _ready.pop()
            break
        except IndexError:
            _refill()
    chunk = Chunk(_addresses[number])
    _refs[number] = _ref(chunk)
    young.append(number)  # last: a sweep looks only at what is listed here
    return chunk


def _refill() -> None:
    global _refills
    _refills += 1
    if shared.heavy_bytes > _young_limit:
        heavy_step()
    collected = _sentinel() is None
    if not collected and _refills > _MOST_REFILLS:
        collect_young()
        collected = True  # the sentinel may not tell: a trace may just hold it
    if collected:
        _release_young()
    for _ in range(_BATCH):
        try:
            _ready.append(_free.pop())
        except IndexError:
            _grow()
            break


def _release_young() -> tuple[float, int]:
    """After a minor collection: release what it found dead, of what is young.  Gives which part
    of that is alive, and how many heavy ones."""
    global _refills
    alive = 0.0, 0
    signals = signals_off()
    try:
        # Not waited for: a finalizer may have come between on this very thread.
        if not _lock.acquire(False):
            return alive
        _refills = 0
        try:
            alive = _find_dead(everything=_major_happened())
        finally:
            _lock.release()
        _release_found()
    finally:
        signals_on(signals)
    _do_more()
    return alive


def _grow() -> None:
    """Memory for another batch of chunks, ready to be used."""
    slab = ffi.new("int64_t[]", CHUNK * _BATCH)
    base = int(ffi.cast("intptr_t", slab))
    _slabs.append(slab)
    first = _places.new()
    while len(_addresses) < first + _BATCH:
        _addresses.append(0)
    _addresses[first : first + _BATCH] = [base + 8 * CHUNK * i for i in range(_BATCH)]
    _ready.extend(range(first, first + _BATCH))


_places = Places(_refs, size=_BATCH)


def _find_dead(everything: bool) -> tuple[float, int]:
    """With the lock: move dead chunks to `_dead` and surviving young ones to the old.  Gives
    which part of the young ones survives, and how many heavy ones."""
    global _old_limit, _sentinel, _sorter
    _sorter = _thread.get_ident()
    try:
        _sentinel = _ref(_Sentinel())
        if everything:
            _kinds.let_go()
        young = len(_young) + len(young_heavy)
        light, heavy = _sort_out(_young), _sort_out(young_heavy)
        if everything or len(_old) > _old_limit:
            _sort_out(_old)
            _old_limit = max(4096, 2 * len(_old))
    finally:
        _sorter = 0
    return (light + heavy) / max(1, young), heavy


_sorter = 0  # the thread that is in the function above


def _sort_out(watched: list[int]) -> int:
    """Gives how many are alive."""
    # Other threads may append meanwhile, without the lock: only what is there now.
    now = watched[:]
    del watched[: len(now)]
    before = len(_old)
    for number in now:
        if _refs[number]() is None:
            _dead.append(number)
        else:
            _old.append(number)
    return len(_old) - before


def _release_found() -> None:
    """Give what a sweep found dead to the core.  No lock is held; guest code may run.  Signals
    are off: what Ctrl-C ended here would keep its memory for ever."""
    if not _lock.acquire(False):
        return  # somebody else is at it; what is left is released next time
    numbers = _dead[:]
    del _dead[:]
    _lock.release()
    if numbers:
        addresses = ffi.new("int64_t[]", [_addresses[number] for number in numbers])
        if lib.pb_release_chunks(addresses, len(numbers)) == 0:
            _free.extend(numbers)
        elif shared.state != 2:  # no stack, or not started: later; after the close: never
            _dead.extend(numbers)


def _do_more() -> None:
    for sweeper in _sweepers:
        sweeper()


def sweep() -> None:
    """Look at every chunk and release the dead ones, now."""
    if _sorter == _thread.get_ident():
        return  # a finalizer of the program has come between
    for prepare in before_sweep:
        prepare()
    signals = signals_off()
    try:
        with locked(_lock):
            _major_happened()
            _find_dead(everything=True)
        _release_found()
    finally:
        signals_on(signals)
    _do_more()


def heavy_step() -> None:
    """Called after the guest handed out a large object: collect when there were many."""
    global _kept, _many, _young_limit
    waiting = shared.heavy_bytes
    if waiting <= _young_limit:
        return
    if len(_young) + len(young_heavy) < _many and waiting <= _HEAVY_LIMIT:
        return
    handed, shared.heavy_bytes = shared.heavy_bytes, 0
    least = max(_YOUNG_LEAST, collect_young() // 2)
    alive, heavy = _release_young()
    _many = _MANY if heavy else max(_FEW, _many // 2)
    if alive > 0.5:
        _young_limit = min(2 * _young_limit, _HEAVY_LIMIT)
    else:
        _young_limit = max(_young_limit // 2, least)
    _kept += int(alive * handed)
    if _kept > _HEAVY_LIMIT:
        _kept = 0
        if collect_step is not None:
            collect_step()
        sweep()


def on_sweep(function: Any) -> None:
    """Have an upper layer's own queue emptied after each sweep."""
    _sweepers.append(function)


def handles_open() -> int:
    """How many handles the host owns, counted exactly: every word of every chunk."""
    total = 0
    for slab in list(_slabs):
        for i in range(CHUNK * _BATCH):
            if slab[i] != 0:
                total += 1
    return total
