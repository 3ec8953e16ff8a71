# SPDX-License-Identifier: MIT
"""Host memory in the guest, without a copy.

bytearray, array.array, memoryview, mmap, cffi arrays and buffers, objects of ctypes, and views
of a part of guest memory become guest objects of type `host_memory` (csrc/exporter.c), which
have a buffer: the host object's own memory.  `numpy.asarray(x)`, `memoryview(x)`, `hashlib`,
`file.write` and `readinto` take them; both sides see what either writes.  Such an object comes
back as the very host object, and the same host object is the same guest object.  `bytes` cross
by value; `memoryview(b)` hands over large ones without a copy, read-only.

Lifetime.  The host object lives as long as the guest has its memory, through an array made of
it, say; then it is let go at a sweep.  What happens when the host resizes or closes it in the
meantime, which PyPy allows at any time:

    on a CPython host   it refuses, with BufferError: the buffer is held there
    array.array, mmap   the guest keeps the old memory, whose freeing waits (csrc/guard.c)
    bytearray           likewise: the collector's reference to the old memory is held

So no pointer is left to nothing, but the two have parted: passing the object again is a
BufferError while the guest has a buffer of the old memory, and shows the new memory otherwise.
Memory that a cffi array does not own itself, such as a C library's, is as valid as it is.

Any thread.  Reads and writes are not synchronised.
"""

from __future__ import annotations

import gc
import sys

from pybridge import _guest, _hostctypes, _hostnumpy, _layout, _release, _table
from pybridge._buffer import held_again
from pybridge._core import ffi, lib
from pybridge._errors import ConversionError
from pybridge._extent import c_strides
from pybridge._frame import Frame, frame_get, frames
from pybridge._host import is_array
from pybridge._hostclass import put_instance
from pybridge._locks import locked
from pybridge._put import encoders, fallbacks, put
from pybridge._records import Record
from pybridge._table import put_object
from pybridge._tags import NONE, STOP
from pybridge._take import take
from pybridge._view import View, class_for

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

_cast = ffi.cast
_NOTHING = ffi.new("char[]", 16)  # where memory of no bytes is


class _Memory:
    """Where a host object's memory is.  `keep` holds it there; `seen` is what `_seen` said."""

    __slots__ = (
        "address",
        "block",
        "format",
        "itemsize",
        "keep",
        "readonly",
        "seen",
        "shape",
        "strides",
    )

    def __init__(
        self, address: int, shape: Any, strides: Any, format: str, itemsize: int, readonly: bool
    ) -> None:
        self.address = address
        self.shape = shape
        self.strides = strides
        self.format = format
        self.itemsize = itemsize
        self.readonly = readonly
        self.block = 0
        self.keep: Any = None
        self.seen: Any = None

    def tell(self, proxy: Any) -> int:
        """Describe it to the guest's object: the word that the core answers."""
        n = len(self.shape)
        count = 1
        for k in self.shape:
            count *= k
        numbers = ffi.new("int64_t[]", [*self.shape, *self.strides])
        format = ffi.new("char[]", self.format.encode())
        what = ffi.new("pb_export *")
        what.address = _cast("char *", self.address)
        what.bytes = count * self.itemsize
        what.itemsize = self.itemsize
        what.ndim = n
        what.readonly = self.readonly
        what.format = format
        what.shape = numbers
        what.strides = numbers + n
        what.block = _cast("void *", self.block)
        frame = frame_get()
        word: int = lib.pb_export_set(frame.mem, proxy._pybridge_handle, what)
        if word in (NONE, STOP):
            frames.append(frame)
        else:
            take(frame, word)
        return word


def _flat(x: Any, format: str, itemsize: int, guarded: bool = True) -> _Memory:
    """Of an object whose buffer is a row of items."""
    try:
        held = ffi.from_buffer("char[]", x, require_writable=True)
        readonly = False
    except (BufferError, TypeError, ValueError):
        held = ffi.from_buffer("char[]", x)
        readonly = True
    n = len(held)
    address = int(_cast("intptr_t", held)) if n else int(_cast("intptr_t", _NOTHING))
    memory = _Memory(address, (n // itemsize,), (itemsize,), format, itemsize, readonly)
    memory.keep = held
    if guarded and n and _COLLECTED:
        memory.block = address
    return memory


# Holding a buffer keeps nobody from resizing the object.
_COLLECTED = sys.implementation.name == "pypy"


def _of_bytearray(x: bytearray) -> _Memory:
    memory = _flat(x, "B", 1, guarded=False)
    if _COLLECTED:
        memory.keep = memory.keep, _insides(x)
    return memory


def _insides(x: bytearray) -> Any:
    """References to the parts of a bytearray that PyPy's collector knows: the list inside it,
    and the array that has the bytes.  While it is held it is not freed, and since a raw
    address was asked of it, it does not move."""
    try:
        parts = gc.get_rpy_referents(x)  # type: ignore[attr-defined]
        return [parts, [gc.get_rpy_referents(part) for part in parts]]  # type: ignore[attr-defined]
    except AttributeError:
        raise ConversionError(
            "the memory of a bytearray cannot be kept in place on this host: pass bytes(x)",
            code="PB303",
        ) from None


def _of_array(x: Any) -> _Memory:
    return _flat(x, "w" if x.typecode == "u" else x.typecode, x.itemsize)


def _of_memoryview(x: memoryview) -> _Memory:
    memory = _flat(x, "B", 1, guarded=False)
    memory.readonly = x.readonly
    if x.ndim != 1 or x.format != "B":
        memory.shape = tuple(x.shape)  # type: ignore[arg-type]
        memory.format, memory.itemsize = x.format, x.itemsize
        memory.strides = c_strides(memory.shape, x.itemsize)
    if _COLLECTED and memory.address != int(_cast("intptr_t", _NOTHING)):
        owner = x.obj
        if isinstance(owner, bytearray):
            memory.keep = memory.keep, _insides(owner)
        elif type(owner).__name__ in ("array", "mmap"):
            memory.block = int(_cast("intptr_t", ffi.from_buffer(owner)))
    return memory


def _of_plain_buffer(x: Any) -> _Memory:
    return _flat(x, "B", 1, guarded=type(x).__name__ == "mmap")


def _of_cdata(x: Any) -> _Memory:
    ctype = ffi.typeof(x)
    if ctype.kind != "array":
        raise ConversionError(
            f"a cffi {ctype.cname!r} cannot cross: only arrays say how long they are; pass "
            "ffi.buffer(x, size)",
            code="PB303",
        )
    shape = [len(x)]
    item = ctype.item
    while item.kind == "array":
        shape.append(item.length)
        item = item.item
    layout = _ctype_layout(item)
    size = _layout.size_of(layout)
    address = int(_cast("intptr_t", x))
    strides = c_strides(tuple(shape), size)
    memory = _Memory(address, tuple(shape), strides, _layout.text(layout), size, False)
    memory.keep = x
    if _COLLECTED and " owning " in repr(x):
        memory.block = address
    return memory


def _ctype_layout(ctype: Any) -> Any:
    if ctype.kind == "primitive" or ctype.kind == "enum":
        size = ffi.sizeof(ctype)
        if ctype.cname in ("float", "double"):
            return ("f", "<", size, "")
        if ctype.cname == "_Bool":
            return ("b", "<", 1, "")
        if ctype.cname == "char":
            return ("S", "<", 1, "")
        if size <= 8 and "complex" not in ctype.cname and "char" not in ctype.cname[:6]:
            unsigned = int(_cast(ctype, -1)) > 0
            return ("u" if unsigned else "i", "<", size, "")
    elif ctype.kind == "array" and ctype.length is not None:
        return _layout.array((ctype.length,), _ctype_layout(ctype.item))
    elif ctype.kind == "struct" and ctype.fields is not None:
        fields = []
        for name, field in ctype.fields:
            if field.bitsize >= 0:
                break
            fields.append((name, field.offset, _ctype_layout(field.type)))
        else:
            return ("record", tuple(fields), ffi.sizeof(ctype))
    raise ConversionError(
        f"cffi memory of {ctype.cname!r} has no form in the guest", code="PB303"
    )


def _of_numpy(x: Any) -> _Memory:
    facts = x.__array_interface__
    address, readonly = facts["data"]
    shape, strides, text = facts["shape"], facts["strides"], facts["typestr"]
    kind, size = text[1], x.dtype.itemsize
    layout = ("i" if kind in "mM" else kind, ">" if text[0] == ">" else "<", size, "")
    memory = _Memory(
        address, shape, strides or c_strides(shape, size), _layout.text(layout), size, readonly
    )
    memory.keep = x
    return memory


def _put_numpy(frame: Frame, at: int, x: Any) -> int:
    """An array of the host's numpy crosses as one of the guest's, of the same memory; one of
    objects or records as any host object."""
    text = x.dtype.str
    if text[1] not in "biufcSUmM" or text[2:] == "0":
        return put_instance(frame, at, x)
    memory, readonly = _exported(x, _of_numpy), not x.flags.writeable
    return put(frame, at, _guest.call("array_of", memory, text, readonly))


def _of_ctypes(x: Any) -> _Memory:
    address, shape, layout = _hostctypes.place(x)
    size = _layout.size_of(layout)
    memory = _Memory(address, shape, c_strides(shape, size), _layout.text(layout), size, False)
    memory.keep = x
    return memory


def _of_view(x: View) -> _Memory:
    if "[" in x.format:
        raise ConversionError(
            "a view of a part with dates in it cannot cross, for no buffer has such a format: "
            "slice the guest object (v.obj[...])",
            code="PB303",
        )
    memory = _Memory(x._address, x.shape, x.strides, x.format, x.itemsize, x.readonly)
    memory.keep = held_again(x._pin)
    return memory


# ---- crossing ---------------------------------------------------------------------------


def _exported(x: Any, describe: Any) -> Any:
    """A proxy of the guest's object for host memory `x`."""
    seen = _seen(x)
    with locked(_table._lock):
        proxy, fresh = _table.guest_object(x, _table.MEMORY)
        if not _dressed:
            _dressed.append(True)
            _guest.call("dress_memory", proxy, _lender(0), _lender(1), _lender(2))
        number = _table.number_of(x)
        old = _table.companions.get(number)
        if not fresh and old is not None and old.seen == seen:
            return proxy
        collected = False
        while True:
            memory = describe(x)
            memory.seen = seen
            word = memory.tell(proxy)
            if word != STOP:
                _table.companions[number] = memory
                seen = _seen(x)
                if seen == memory.seen:  # nobody has resized it meanwhile
                    return proxy
            elif collected:
                break
            else:
                collected = True  # the guest's buffer may only wait for a collection
                gc.collect()
                _release.sweep()
    raise BufferError(
        f"this {type(x).__name__} was resized by the host while the guest has a buffer of it: "
        "drop what the guest made of it first, or pass a copy"
    )


def _lender(which: int) -> Any:
    frame = frame_get()
    return take(frame, lib.pb_lender(frame.mem, which))


def _seen(x: Any) -> Any:
    """Where the object says that its memory is, and how much: to see when that changes."""
    if isinstance(x, View):
        return None
    if isinstance(x, ffi.CData):
        return int(_cast("intptr_t", x))
    if isinstance(x, memoryview) and not x.c_contiguous:
        raise ConversionError(
            "a memoryview with gaps cannot cross: pass x.tobytes(), or the whole and slice "
            "it in the guest",
            code="PB303",
        )
    if _hostctypes.is_ctypes(x):
        return _hostctypes.extent(x)
    if type(x).__name__ == "ndarray":
        facts = x.__array_interface__
        return facts["data"][0], facts["shape"], facts["strides"], facts["typestr"]
    held = ffi.from_buffer(x)
    return int(_cast("intptr_t", held)), len(held)


_dressed: list[bool] = []


def _encoder(describe: Any) -> Any:
    def encode(frame: Frame, at: int, x: Any) -> int:
        return put_object(frame, at, _exported(x, describe))

    return encode


def _put_view(frame: Frame, at: int, x: View) -> int:
    x._check()
    pin = x._pin
    if x._address == pin.address and x.nbytes == pin.nbytes and x.layout == pin.layout:
        return put(frame, at, pin.guest)
    return put_object(frame, at, _exported(x, _of_view))


def _put_record(frame: Frame, at: int, x: Record) -> int:
    """A record crosses as numpy's, a view of the same memory."""
    layout = x._pybridge_layout
    whole = class_for(layout, 0)(
        x._pybridge_pin, x._pybridge_address, (), (), x._pybridge_readonly
    )
    whole._check()
    return put(frame, at, _guest.call("record_of", _exported(whole, _of_view)))


def encoder_of(x: Any) -> Any:
    """What writes an object that has memory; see `_memory`."""
    if type(x) is memoryview:
        return _put_memoryview
    return _fallback(x)


def _fallback(x: Any) -> Any:
    if isinstance(x, View):
        return _put_view
    if isinstance(x, Record):
        return _put_record
    if isinstance(x, bytearray):
        return _put_bytearray
    if isinstance(x, ffi.CData):
        return _put_cdata
    kind = (type(x).__module__, type(x).__name__)
    if kind in (("mmap", "mmap"), ("_cffi_backend", "buffer")) or isinstance(x, ffi.buffer):
        return _put_plain
    if is_array(x):
        _hostnumpy.notice()
        return _put_numpy
    if _hostctypes.is_ctypes(x):
        return _put_ctypes
    array = sys.modules.get("array")
    return _put_array if array is not None and isinstance(x, array.array) else None


_put_bytearray = _encoder(_of_bytearray)
_put_array = _encoder(_of_array)
_put_memoryview = _encoder(_of_memoryview)
_put_cdata = _encoder(_of_cdata)
_put_ctypes = _encoder(_of_ctypes)
_put_plain = _encoder(_of_plain_buffer)
encoders[bytearray] = _put_bytearray
encoders[memoryview] = _put_memoryview
fallbacks.insert(0, _fallback)  # before the one that takes any object
