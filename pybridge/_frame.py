# SPDX-License-Identifier: MIT
"""Frames: the memory through which arguments and results cross.

A crossing takes a frame from the pool, writes argument cells, calls the core, reads the
result from the same frame and puts it back.  Until then nobody else has it: list.pop and
list.append are atomic, so threads and nested calls (callbacks) need no lock and no
thread-local look-up.  A frame that is lost because an exception came between is garbage.

Cells are pairs of words (csrc/host.h).  `ints` and `doubles` are two typed views of the same
memory: the JIT compiles `frame.doubles[1] = x` to one raw store.

New handles are stored in the frame's current chunk (see `_release`) by plain memory writes,
without a call: the chunk too belongs to the frame alone until it is full.
"""

from __future__ import annotations

import _thread
from _weakref import ref

from pybridge import _release
from pybridge._core import ffi, lib

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

_SCRATCH = 4096  # text and bytes up to this size are copied, longer ones passed in place
BASE = 64  # cells, as PB_BASE_CELLS


_cast = ffi.cast
_FRAME = ffi.typeof("pb_frame *")
_INTS = ffi.typeof("int64_t *")
_DOUBLES = ffi.typeof("double *")


class Frame:
    """One frame.

    `owner`, `address`: the core's struct.  `base`, `cells`: the addresses of its cells, as
    integers, because a pointer made from a plain integer is virtual in a trace; `capacity`:
    how many cells.  `scratch`, its address `scratch_at`, `buffer`: small texts of arguments, of
    which `fill` bytes are used, the last by cell `last`.  `keep`: what must live until the call
    returns, or None.
    `links`: the containers that cross (`_linked`), or None; then `keep` is a list too;
    `places`: by id, where they are in it, if there are several.
    `chunk`: where new handles go; `words`: the address of its words, of which `used` are used.
    `part_chunk`: a weak reference to the one where handles of parts of the array at `part_of`
    go, of which `parts` words are used.
    """

    __slots__ = (
        "__weakref__",
        "address",
        "base",
        "buffer",
        "capacity",
        "cells",
        "chunk",
        "fill",
        "keep",
        "last",
        "links",
        "owner",
        "part_chunk",
        "part_of",
        "parts",
        "places",
        "scratch",
        "scratch_at",
        "used",
        "words",
    )

    def __init__(self, mem: Any) -> None:
        # The order matters: PyPy keeps the first few attributes nearest.
        self.cells = self.base = int(_cast("intptr_t", mem.base))
        self.capacity = BASE
        self.used = 0
        self.fill = 0
        self.last = -1
        self.words = 0
        self.address = int(_cast("intptr_t", mem))
        self.owner = mem
        self.keep: list[Any] | None = None
        self.links: Any = None  # a list
        self.places: dict[int, int] | None = None
        by_address[self.address] = ref(self)
        self.renew()
        self.part_of = self.parts = 0
        self.part_chunk = ref(self.chunk)
        self.scratch = ffi.new("char[]", _SCRATCH)
        self.scratch_at = int(_cast("intptr_t", self.scratch))  # a cast each time allocates
        self.buffer = ffi.buffer(self.scratch)

    @property
    def mem(self) -> Any:
        """The core's struct."""
        return _cast(_FRAME, self.address)

    @property
    def ints(self) -> Any:
        """The cells as integers: two words each."""
        return _cast(_INTS, self.cells)

    @property
    def doubles(self) -> Any:
        """The same memory as doubles."""
        return _cast(_DOUBLES, self.cells)

    def renew(self) -> None:
        """Begin a new chunk of handles."""
        self.chunk = _release.chunk_new()
        self.words = self.chunk.address
        self.used = 0

    def abandon(self) -> None:
        """It may be lost, and whoever still refers to it must not keep its handles."""
        if self.used:
            self.renew()

    def grow(self, cells: int, kept: int) -> None:
        """Make room for `cells` cells, keeping the first `kept`."""
        if lib.pb_frame_reserve(self.mem, cells, kept) != 0:
            raise MemoryError
        self.cells = int(_cast("intptr_t", self.mem.cells))
        self.capacity = self.mem.capacity
        if self.keep is None:
            self.keep = []

    def reset(self) -> None:
        """Forget what a large argument needed, once the core has taken the arguments."""
        self.keep = None
        self.links = self.places = None
        self.cells = self.base
        self.capacity = BASE


class Failed:
    """What a converter raised, left in `frame.keep` until all cells have been read: each may
    hold a reference."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error


frames: list[Frame] = []
by_address: dict[int, ref[Frame]] = {}  # each frame; a lost one is found no more


def _make() -> Frame:
    mem = ffi.gc(ffi.new("pb_frame *"), lib.pb_frame_close)
    if lib.pb_frame_open(mem, -1) != 0:
        raise MemoryError
    return Frame(mem)


def frame_get() -> Frame:
    """A frame of one's own; put it back with `frames.append`."""
    try:
        return frames.pop()
    except IndexError:
        return _make()


def _renew_idle() -> None:
    """Before a full sweep: let go of the chunks that idle frames have begun."""
    idle = []
    try:
        while True:
            idle.append(frames.pop())
    except IndexError:
        pass
    for frame in idle:
        if frame.used:
            frame.renew()
        frames.append(frame)


_parking = _thread.allocate_lock()


def _renew_idle_callbacks() -> None:
    """Likewise for the frames of callbacks, which the core hands out."""
    n = len(_callback_frames)
    if n == 0 or _release.shared.state != 1 or not _parking.acquire(False):
        return
    try:
        indices = ffi.new("int64_t[]", n)
        for i in range(lib.pb_callback_frames_park(indices, n)):
            frame = _callback_frames[indices[i]]
            if frame is not None:
                if frame.keep is not None:
                    frame.reset()
                frame.renew()
        lib.pb_callback_frames_unpark()
    finally:
        _parking.release()


_release.before_sweep.extend([_renew_idle, _renew_idle_callbacks])
_callback_frames: list[Any] = []


def frame_of_callback(mem: Any) -> Frame:
    """The frame that the core brought along with a callback; the core puts it back."""
    index = mem.index
    if index < len(_callback_frames) and _callback_frames[index] is not None:
        return _callback_frames[index]  # type: ignore[no-any-return]
    frame = Frame(mem)
    while len(_callback_frames) <= index:
        _callback_frames.append(None)
    _callback_frames[index] = frame
    return frame
