# SPDX-License-Identifier: MIT
"""Views of guest objects: memory held in place, read and written without a crossing.

`view(a)` holds the buffer of a numpy array, or of any other guest object that exports one, and
gives a `View` (`_view`) of its memory.  What lies where is said by the buffer's PEP 3118
format; a numpy array with fields, dates, or anything else that has no such format, is asked
for its dtype, and its memory is lent as raw bytes (guest/arrays.py).

Lifetime: a view keeps the guest object alive and its memory in place; while it lives the guest
refuses to resize it (BufferError).  `release`, the end of a `with` block, or the death of the
last view of it (at a sweep, see `_release`) let it go.

Threads: any.  Reads and writes are not synchronised with the guest's: as with numpy.
"""

from __future__ import annotations

import _thread
from _weakref import ref as _ref

from pybridge import _guest, _layout, _release, _runtime
from pybridge._core import ffi, lib
from pybridge._errors import ConversionError
from pybridge._extent import c_strides
from pybridge._frame import frame_get, frames
from pybridge._handle import Handle
from pybridge._locks import locked
from pybridge._tags import INT
from pybridge._take import take
from pybridge._view import View, class_for

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

_cast = ffi.cast
_counting = _thread.allocate_lock()  # of the pins of all holds


class _Hold:
    """A held buffer.  `chunk` owns it: when the last pin is gone a sweep releases it.

    `handle`: its address, with the lowest bit set.  `guest`: the object whose memory it is;
    `exporter`: the one that lends it, often the same.  `address`, `nbytes`, `layout`: of all of
    it, as the first view shows it.  `pins`: how many pins there are that were not released, -1
    after the last.  `lent`: host buffers of the memory may be in use, so `release` leaves it to
    a sweep.
    """

    __slots__ = (
        "address",
        "chunk",
        "exporter",
        "guest",
        "handle",
        "layout",
        "lent",
        "nbytes",
        "pins",
    )

    address: int
    nbytes: int
    layout: Any

    def __init__(self, exporter: Any, guest: Any) -> None:
        frame = frame_get()
        word = lib.pb_buffer_get(frame.mem, exporter._pybridge_handle)
        if word != INT:
            take(frame, word)
        self.handle = frame.ints[1] | 1
        frames.append(frame)
        self.chunk = _release.chunk_new()
        _cast("int64_t *", self.chunk.address)[0] = self.handle
        self.exporter = exporter
        self.guest = guest
        self.lent = False
        self.pins = 0

    def release(self) -> None:
        handle, self.handle = self.handle, 0
        if handle and not self.lent:
            _cast("int64_t *", self.chunk.address)[0] = 0
            lib.pb_release_handle(handle)


class _Pin:
    """One `view`'s part in a held buffer, which is let go with the last part.

    `handle`: 0 once released, or if the buffer had been let go before.
    """

    __slots__ = ("handle", "hold")

    def __init__(self, hold: _Hold) -> None:
        self.hold = hold
        with locked(_counting):
            self.handle = hold.handle if hold.pins >= 0 else 0
            if self.handle:
                hold.pins += 1

    guest = property(lambda self: self.hold.guest)
    address = property(lambda self: self.hold.address)
    nbytes = property(lambda self: self.hold.nbytes)
    layout = property(lambda self: self.hold.layout)

    @property
    def lent(self) -> bool:
        return self.hold.lent

    @lent.setter
    def lent(self, lent: bool) -> None:
        self.hold.lent = lent

    @property
    def buffer(self) -> Any:
        return _cast("pb_buffer *", self.handle & ~1)

    def release(self) -> None:
        hold = self.hold
        with locked(_counting):
            if not self.handle:
                return
            self.handle = 0
            hold.pins -= 1
            last = hold.pins == 0
            if last:
                hold.pins = -1
        if last:
            hold.release()


def view(x: Any) -> View:
    """View the memory of a guest object without copying it.

    `x`: a proxy of a guest object with a buffer: a numpy array of numbers, bools, fixed bytes
    or texts, dates or records of these, in any byte order and with any strides; array.array,
    bytearray, memoryview, ctypes structures, ...  Elements are read and written as plain host
    values, records through the attributes of a `Record`.  While the view lives, the guest
    object does too and cannot be resized; `release()` or a `with` block end it at once.  Any
    thread.  (numpy's `a.resize(shape, refcheck=False)` resizes all the same: a view of `a` must
    not be used after it, just as a memoryview.)

    Of what has no buffer: a tensor with `__dlpack__` in this processor's memory (torch), which
    is read-only where its library says so (since DLPack 1.0);
    an Arrow column (pyarrow, polars, pandas), which is a read-only view when it is a row of
    numbers without nulls, else a `Column`; an Arrow table or data frame, which is a dict of
    these by name.

    Raises TypeError when `x` has none of these, BufferError for a tensor on another device,
    ConversionError for elements without a host form
    (objects, long doubles), what the guest raises when it refuses.
    """
    _runtime.running()
    if isinstance(x, View):
        return x._sub(x._address, x.shape, x.strides)
    if not isinstance(x, Handle):
        raise TypeError(f"a view is of a guest object, not of a host's {type(x).__name__}")
    try:
        made = _view_of(x)
    except ConversionError:
        raise
    except TypeError as error:  # no buffer
        refused = error
    else:
        known = cached_view(x._pybridge_handle)
        if known is not None and _is_same(known, made):
            # Many views of one object cost the guest one buffer.
            pin = _Pin(known._pin.hold)
            if pin.handle:  # another thread may have released `known` meanwhile
                made._pin.release()
                address, shape, strides = known._address, known._shape, known._strides
                return type(known)(pin, address, shape, strides, known._readonly)
        _remember(x._pybridge_handle, made)
        return made
    for view_of in others:
        found = view_of(x)
        if found is not None:
            return found  # type: ignore[no-any-return]
    raise refused


# Programs resize these: C code that only reads them gets a copy, because what the guest has
# lent it does not resize until the host's collector has come by.
_RESIZED = ("builtins.bytearray", "array.array")
_WRITABLE, _FORMAT = 1, 4  # of the flags of the buffer protocol


def lent(x: Any, flags: int) -> memoryview:
    """The memory of a guest object as a host's buffer: see `_hostbuffer`."""
    with view(x) as v:
        if flags & (_WRITABLE | _FORMAT) == 0:
            cls = type(x)
            if f"{cls.__module__}.{cls.__qualname__}" in _RESIZED:
                return memoryview(v.tobytes())
        return v.__buffer__(flags)  # type: ignore[no-any-return]


def _is_same(a: View, b: View) -> bool:
    return (
        type(a) is type(b)
        and type(a._pin) is _Pin
        and a._address == b._address
        and a._shape == b._shape
        and a._strides == b._strides
        and a._readonly == b._readonly
    )


others: list[Any] = []  # upper layers' views of what has no buffer: functions of the proxy


def _view_of(x: Any) -> View:
    try:
        pin = _Pin(_Hold(x, x))
    except (ValueError, BufferError) as error:  # numpy, of dates and of fields in disorder
        lent = _guest.call("lend_array", x)
        if lent is None:
            raise
        try:
            return _view_lent(x, lent)
        except ConversionError as refused:
            raise refused from error
    b = pin.buffer
    try:
        if b.suboffsets != ffi.NULL:
            raise ConversionError(
                "memory that is reached through pointers cannot be viewed", code="PB304"
            )
        format = ffi.string(b.format).decode() if b.format != ffi.NULL else "B"
        lent = _guest.call("lend_array", x) if "T{" in format else None
        if lent is None:
            return _view_pinned(pin, _layout.parse(format, b.itemsize))
    except BaseException:
        pin.release()
        raise
    pin.release()
    return _view_lent(x, lent)


def _view_lent(x: Any, lent: Any) -> View:
    """Of a numpy array: its memory as raw bytes, and what its dtype says."""
    exporter, description = lent
    layout = _layout.described(description)
    pin = _Pin(_Hold(exporter, x))
    try:
        if pin.buffer.itemsize != _layout.size_of(layout):
            raise ConversionError(
                "a numpy array and its dtype differ in the size of an element", code="PB304"
            )
        return _view_pinned(pin, layout)
    except BaseException:
        pin.release()
        raise


def _view_pinned(pin: _Pin, layout: Any) -> View:
    b = pin.buffer
    if b.shape == ffi.NULL:
        shape: tuple[int, ...] = (b.len // b.itemsize,) if b.ndim else ()
    else:
        shape = tuple(ffi.unpack(b.shape, b.ndim)) if b.ndim else ()
    if b.strides == ffi.NULL:  # ctypes
        strides = c_strides(shape, b.itemsize)
    else:
        strides = tuple(ffi.unpack(b.strides, b.ndim)) if b.ndim else ()
    hold = pin.hold
    hold.address, hold.nbytes, hold.layout = int(_cast("intptr_t", b.buf)), b.len, layout
    return class_for(layout, len(shape))(pin, pin.address, shape, strides, bool(b.readonly))


# ---- the view that there already is -----------------------------------------------------

_known: dict[int, _ref[View]] = {}
_known_limit = 256


def _remember(address: int, made: View) -> None:
    global _known_limit
    if len(_known) >= _known_limit:
        for key, found in list(_known.items()):
            if found() is None:
                _known.pop(key, None)
        _known_limit = max(256, 2 * len(_known))
    _known[address] = _ref(made)


def cached_view(address: int) -> View | None:
    """The newest view that `view` made of the guest object at this address, if it is alive and
    not released; None otherwise.

    `address`: `_pybridge_handle` of a proxy that is alive.  Sound because a view that lives
    keeps its object, and so nobody else has its address.  A dict look-up and a weak reference:
    it costs no crossing, but does not fold in a trace; who reads elements in a loop keeps what
    this gives.  The view is of the whole object as it was when the view was made: shape and
    strides of a numpy array that were assigned to since are not seen.
    """
    found = _known.get(address)
    made = None if found is None else found()
    return made if made is not None and made._pin.handle else None


def held_again(pin: Any) -> Any:
    """A second hold on the same memory, which the release of the first does not end."""
    if type(pin) is not _Pin:
        pin.lent = True
        return pin
    return _Pin(pin.hold)
