# SPDX-License-Identifier: MIT
"""Cells become host objects: the result of a crossing (`take`), or one cell (`get`).

What is not settled here comes from upper layers:

    decoders[number]    -> function(value) -> host object      (PB_VALUE)
    late                -> what needs proxies and exceptions

Threads: a frame has one user.
"""

from __future__ import annotations

from pybridge import _release
from pybridge._core import ffi, lib
from pybridge._errors import BridgeError, ConversionError, GuestClosed, StartError
from pybridge._frame import BASE, Failed, Frame, frame_get, frames
from pybridge._handle import adopt, adopt_alone, adopt_heavy, adopt_nothing, closed
from pybridge._host import hidden
from pybridge._tags import (
    BIGINT,
    BYTES,
    CLASS,
    COMPLEX,
    ELLIPSIS,
    ERROR,
    FALSE,
    FLOAT,
    FROZENSET,
    HEAVY,
    HOST,
    INT,
    LINK,
    NONE,
    NOTIMPLEMENTED,
    OBJECT,
    RANGE,
    REFUSED,
    SLICE,
    STR,
    SUBVALUE,
    TRUE,
    TUPLE,
    TWIN,
    UNKNOWN,
    VALUE,
)
from pybridge._texts import text_of_twin

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any, Callable

_cast = ffi.cast
_INTS = ffi.typeof("int64_t *")
_DOUBLES = ffi.typeof("double *")

_HANDLES = (HOST, HEAVY, UNKNOWN, CLASS, SUBVALUE)
_LONG = 4096

decoders: dict[int, Callable[[Any], Any]] = {}


class _Late:
    """What upper layers provide: see `_raised`, `_mirror` and `_table`."""

    float_word = -1  # the word of a late numpy.float64: give.c; a double follows
    float_made: Callable[[float], Any]  # (double) -> the numpy.float64
    float_class: Any = None  # numpy.float64
    int_class: Any = None  # numpy.int64
    raise_guest: Callable[[Any], Any]  # (proxy of an exception) -> raises
    raise_plain: Callable[[Frame, int], Any]  # one that the core described -> raises
    unknown: Callable[[Any], Any]  # (proxy of an unclassified type's object) -> the object
    class_object: Callable[[int, Any], Any]  # (number, proxy of a class) -> the class
    subvalue: Callable[[int, Any, Any], Any]  # (number, value, proxy) -> a subclass's value
    host_object: Callable[[int, int], Any]  # (number, handle) -> the object
    settle: Callable[[Frame], None]  # (frame after a crossing whose containers are kept)
    linked: Callable[[int, int, int, int], Any]  # (index, frame, serial, handle) -> container


late = _Late()


@hidden
def take(frame: Frame, word: int) -> Any:
    """The result of a crossing, whose first word is `word`; puts the frame back."""
    if frame.keep is not None:
        if frame.links is not None:
            return _take_linked(frame, word)
        frame.reset()
    if word == FLOAT:
        x: Any = _cast(_DOUBLES, frame.cells)[1]
    elif word == INT:
        x = _cast(_INTS, frame.cells)[1]
    elif word == NONE:
        x = None
    elif word == TRUE:
        x = True
    elif word == FALSE:
        x = False
    elif word & 255 == OBJECT:
        x = adopt(frame, _cast(_INTS, frame.cells)[1], word >> 8)
        if frame.keep is not None:
            end(frame)
            return x
    elif word & 255 == STR:
        x = _text(frame, 0, word >> 8)
    else:
        return _take_other(frame, word)
    frames.append(frame)
    return x


@hidden
def _take_linked(frame: Frame, word: int) -> Any:
    """`take` after a crossing that passed containers."""
    if frame.mem.links_used:
        late.settle(frame)
    links = frame.links
    frame.reset()
    tag = word & 255
    if tag != LINK and tag != TUPLE and tag != FROZENSET and tag != SLICE and tag != VALUE:
        return take(frame, word)
    frame.links = links  # the result may be one of them, or hold it
    return read(frame, 0)


@hidden
def _take_other(frame: Frame, word: int) -> Any:
    if word == late.float_word:
        x = frame.doubles[3]
        frames.append(frame)
        return late.float_made(x)
    tag = word & 255
    if tag == ERROR:
        if word != ERROR:
            return late.raise_plain(frame, word >> 8)
        proxy = adopt(frame, frame.ints[1])
        frames.append(frame)
        try:
            return late.raise_guest(proxy)
        finally:
            del proxy  # on a CPython host the traceback would hold the guest's exception
    if tag == REFUSED:
        frames.append(frame)
        raise refusal(word >> 8)
    if tag == TWIN:
        return _take_twin(frame)
    return read(frame, 0)


@hidden
def _take_twin(frame: Frame) -> str:
    handle = frame.ints[1]  # new
    frames.append(frame)
    text = text_of_twin(handle)
    if text is None:
        return value_of(adopt_alone(handle))  # type: ignore[no-any-return]
    if lib.pb_release_second(handle) != 0:
        adopt_nothing(handle)
    return text


@hidden
def read(frame: Frame, at: int) -> Any:
    """The value of a result that begins at cell `at`; puts the frame back."""
    ints = frame.mem.cells
    try:
        x, _ = get(frame, ints, ffi.cast("double *", ints), at)
    except BaseException:
        end(frame, failed=True)
        raise
    end(frame)
    try:
        return x
    finally:
        del x  # this frame may be old, and its variables with it: see _release.py


@hidden
def end(frame: Frame, failed: bool = False) -> None:
    """Put the frame back after a result of any number of cells has been read.  `failed`: not
    all of it; otherwise, what a converter raised is raised now."""
    mem = frame.mem
    frame.links = None
    if failed:
        frame.reset()
        lib.pb_frame_ungive(mem)
    if mem.capacity != BASE:
        lib.pb_frame_shrink(mem)
    try:
        if frame.keep is not None:
            check_read(frame)
    finally:
        frames.append(frame)


def _text(frame: Frame, offset: int, n: int) -> str:
    data = ffi.unpack(frame.mem.text + offset, n)
    if n > _LONG and not data[0] & 128:
        try:
            return data.decode("ascii")  # type: ignore[no-any-return]  # in half the time
        except UnicodeDecodeError:
            pass
    try:
        return data.decode()  # type: ignore[no-any-return]
    except UnicodeDecodeError:  # lone surrogates
        if n >> 31:
            return data.decode("utf-8", "surrogatepass")  # type: ignore[no-any-return]
        # PyPy's error handler needs quadratic time, 60 s for 10**5 of them; marshal does not.
        import marshal

        return marshal.loads(b"u" + n.to_bytes(4, "little") + data)  # type: ignore[no-any-return]


def get(frame: Frame, ints: Any, doubles: Any, at: int) -> tuple[Any, int]:
    """The value that begins at cell `at`, and the position after it."""
    word = ints[2 * at]
    if word == FLOAT:
        return doubles[2 * at + 1], at + 1
    if word == INT:
        return ints[2 * at + 1], at + 1
    if word == NONE:
        return None, at + 1
    if word == TRUE:
        return True, at + 1
    if word == FALSE:
        return False, at + 1
    tag = word & 255
    if tag == OBJECT:
        ints[2 * at] = NONE  # it is ours from here on: see pb_frame_ungive
        return adopt(frame, ints[2 * at + 1], word >> 8), at + 1
    if tag == STR:
        return _text(frame, ints[2 * at + 1], word >> 8), at + 1
    return _get_other(frame, ints, doubles, at, tag, word >> 8)  # type: ignore[no-any-return]


def _get_other(frame: Frame, ints: Any, doubles: Any, at: int, tag: int, n: int) -> Any:
    payload = ints[2 * at + 1]
    if tag == TUPLE:
        items, at = _get_items(frame, ints, doubles, at + 1, n)
        return tuple(items), at
    if tag in _HANDLES:
        ints[2 * at] = NONE  # it is ours from here on: see pb_frame_ungive
    if tag == HOST:
        return late.host_object(n, payload), at + 1
    if tag == SUBVALUE:
        value, at = get(frame, ints, doubles, at + 1)
        return late.subvalue(n, value, adopt(frame, payload)), at
    if tag == CLASS:
        return late.class_object(n, adopt(frame, payload)), at + 1
    if tag == HEAVY:
        return adopt_heavy(frame, payload, n), at + 1
    if tag == UNKNOWN:
        return late.unknown(adopt(frame, payload)), at + 1
    if tag == LINK:
        if payload == 0:
            return frame.links[n], at + 1
        serial, handle = ints[2 * at + 3], ints[2 * at + 5]
        x = late.linked(n, payload, serial, handle)
        ints[2 * at + 4] = NONE  # the handle in the third cell is ours from here on
        return x, at + 3
    if tag == BYTES:
        return ffi.unpack(frame.mem.text + payload, n), at + 1
    if tag == BIGINT:
        data = ffi.unpack(frame.mem.text + payload, n)
        return int.from_bytes(data, "little", signed=True), at + 1
    if tag == COMPLEX:
        return complex(doubles[2 * at + 1], doubles[2 * at + 3]), at + 2
    if tag == VALUE:
        fields, at = get(frame, ints, doubles, at + 1)
        return decoders[n](fields), at
    if tag == FROZENSET:
        items, at = _get_items(frame, ints, doubles, at + 1, n)
        return frozenset(items), at
    if tag == SLICE:
        items, at = _get_items(frame, ints, doubles, at + 1, 3)
        return slice(*items), at
    if tag == RANGE:
        items, at = _get_items(frame, ints, doubles, at + 1, 3)
        return range(*items), at
    if tag == ELLIPSIS:
        return Ellipsis, at + 1
    if tag == NOTIMPLEMENTED:
        return NotImplemented, at + 1
    raise BridgeError(f"the core answered with tag {tag}, which this host does not know")


def _get_items(frame: Frame, ints: Any, doubles: Any, at: int, n: int) -> tuple[list[Any], int]:
    items = []
    for _ in range(n):
        item, at = get(frame, ints, doubles, at)
        items.append(item)
    return items, at


@hidden
def check_read(frame: Frame) -> None:
    """After reading cells: raise what a converter raised."""
    kept, frame.keep = frame.keep, None
    if kept and type(kept[0]) is Failed:
        try:
            raise kept[0].error
        finally:
            del kept  # on a CPython host its traceback would keep it


def value_of(proxy: Any) -> Any:
    """The object behind a proxy, as it crosses now that its type is classified."""
    frame = frame_get()
    return take(frame, lib.pb_value_of(frame.mem, proxy._pybridge_handle))


# ---- refusals ---------------------------------------------------------------------------


def refusal(reason: int) -> BaseException:
    """The host error for a PB_REFUSED.  ORDER REASONS"""
    if reason == lib.PB_RELEASED:
        return closed(None)
    if reason == lib.PB_STACK:
        return RecursionError(
            "too little stack is left on this thread to call the guest, which needs 640 KB: "
            "recurse less deeply, or make threads with threading.stack_size(8 << 20)"
        )
    if reason == lib.PB_CLOSED:
        return GuestClosed(
            "the guest was closed at exit: call it before the host's atexit functions run"
        )
    if reason == lib.PB_NOT_STARTED:
        return StartError("the guest is not running: call pybridge.start() first", code="PB205")
    if reason == lib.PB_NO_GUARD:
        return ConversionError(
            "this host does not let its memory be kept in place while the guest uses it: pass "
            "a copy (bytes(x))",
            code="PB303",
        )
    return MemoryError("the bridge could not get memory")


assert _release.CHUNK == 8
