# SPDX-License-Identifier: MIT
"""Values: host objects to cells (`put`), cells to host objects (`get`, `take`).

Dispatch is on the exact type, `type(x) is float`: the JIT turns it into a guard, and a
subclass keeps its class instead of losing it on the way.  What is not settled here comes
from three tables that upper layers fill, each keyed by a type or a number:

    encoders[host type] -> function(frame, position, x) -> next position
    fallbacks           -> for other types: function(x) -> an encoder, or None
    decoders[number]    -> function(value) -> host object      (PB_VALUE)
    late                -> the functions below that need proxies and exceptions

Lists, dicts and sets are linked to guest ones: see `_linked`.  Nested deeper than 400 levels
they are refused, as tuples are.

Threads: a frame has one user.  A container changed by another thread while it is encoded
raises RuntimeError, or crosses as it was at some moment of the encoding.
"""

from __future__ import annotations

from pybridge import _release
from pybridge._core import ffi, lib
from pybridge._errors import BridgeError, ConversionError, GuestClosed, StartError
from pybridge._frame import BASE, Failed, Frame, frame_get, frames
from pybridge._handle import (
    Handle,
    adopt,
    adopt_alone,
    adopt_heavy,
    adopt_nothing,
    closed,
)
from pybridge._host import hidden, utf8
from pybridge._identity import enter
from pybridge._texts import SHORT, known_text, text_of_twin, twin_of

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any, Callable

    Encoder = Callable[[Frame, int, Any], int]

_cast = ffi.cast
_INTS = ffi.typeof("int64_t *")
_DOUBLES = ffi.typeof("double *")

# ORDER TAGS: the names of csrc/host.h, as plain ints that the JIT folds.
ERROR: int = lib.PB_ERROR
NONE: int = lib.PB_NONE
FALSE: int = lib.PB_FALSE
TRUE: int = lib.PB_TRUE
INT: int = lib.PB_INT
FLOAT: int = lib.PB_FLOAT
OBJECT: int = lib.PB_OBJECT
HEAVY: int = lib.PB_HEAVY
UNKNOWN: int = lib.PB_UNKNOWN
CLASS: int = lib.PB_CLASS
HOST: int = lib.PB_HOST
STR: int = lib.PB_STR
BYTES: int = lib.PB_BYTES
BIGINT: int = lib.PB_BIGINT
COMPLEX: int = lib.PB_COMPLEX
ELLIPSIS: int = lib.PB_ELLIPSIS
NOTIMPLEMENTED: int = lib.PB_NOTIMPLEMENTED
TUPLE: int = lib.PB_TUPLE
FROZENSET: int = lib.PB_FROZENSET
LIST: int = lib.PB_LIST
DICT: int = lib.PB_DICT
SET: int = lib.PB_SET
FLOATS: int = lib.PB_FLOATS
INTS: int = lib.PB_INTS
SLICE: int = lib.PB_SLICE
RANGE: int = lib.PB_RANGE
BUILD: int = lib.PB_BUILD
VALUE: int = lib.PB_VALUE
SUBVALUE: int = lib.PB_SUBVALUE
STOP: int = lib.PB_STOP
REFUSED: int = lib.PB_REFUSED
RAISE: int = lib.PB_RAISE
LINK: int = lib.PB_LINK
SAME: int = lib.PB_SAME
TEXTS: int = lib.PB_TEXTS
TWIN: int = lib.PB_TWIN

_HANDLES = (HOST, HEAVY, UNKNOWN, CLASS, SUBVALUE)

_SMALL = 2048  # bytes: longer text is passed where it lies
_SCRATCH = 4096
_LONG = 4096
_DEEPEST = 400  # as DEEPEST_TAKEN in csrc/take.c

encoders: dict[type, Encoder] = {}
fallbacks: list[Callable[[Any], Encoder | None]] = []
decoders: dict[int, Callable[[Any], Any]] = {}


class _Late:
    """What upper layers provide: see `_raised`, `_mirror` and `_table`."""

    float_word = -1  # the word of a late numpy.float64: value.c; a double follows
    float_made: Callable[[float], Any]  # (double) -> the numpy.float64
    float_class: Any = None  # numpy.float64
    raise_guest: Callable[[Any], Any]  # (proxy of an exception) -> raises
    raise_plain: Callable[[Frame, int], Any]  # one that the core described -> raises
    unknown: Callable[[Any], Any]  # (proxy of an unclassified type's object) -> the object
    class_object: Callable[[int, Any], Any]  # (number, proxy of a class) -> the class
    subvalue: Callable[[int, Any, Any], Any]  # (number, value, proxy) -> a subclass's value
    host_object: Callable[[int, int], Any]  # (number, handle) -> the object
    # (frame, position, container, its type, depth) -> next position
    container: Callable[[Frame, int, Any, type, int], int]
    settle: Callable[[Frame], None]  # (frame after a crossing whose containers are kept)
    linked: Callable[[int, int, int, int], Any]  # (index, frame, serial, handle) -> container


late = _Late()


# ---- host to guest ----------------------------------------------------------------------


# `put`, `lend` and `take` are in the loop of nearly every program: they do without the
# properties `frame.ints` and `frame.doubles`, each of which is fifty operations more in what
# PyPy records.  A loop of more than `trace_limit` operations is compiled in pieces.


def put(frame: Frame, at: int, x: Any) -> int:
    """Write `x` as cells from `at` on; give the next free position."""
    if at > BASE - 2 and at + 2 > frame.capacity:  # the first part folds in traces
        frame.grow(2 * at + 8, at)
    kind = type(x)
    if kind is float:
        _cast(_INTS, frame.cells)[2 * at] = FLOAT
        _cast(_DOUBLES, frame.cells)[2 * at + 1] = x
    elif kind is int:
        try:
            _cast(_INTS, frame.cells)[2 * at + 1] = x
        except OverflowError:
            data = x.to_bytes(x.bit_length() // 8 + 1, "little", signed=True)
            return _put_bytes(frame, at, BIGINT, data)
        _cast(_INTS, frame.cells)[2 * at] = INT
    elif x is None:
        _cast(_INTS, frame.cells)[2 * at] = NONE
    elif x is True:
        _cast(_INTS, frame.cells)[2 * at] = TRUE
    elif x is False:
        _cast(_INTS, frame.cells)[2 * at] = FALSE
    elif isinstance(x, Handle):
        handle = x._pybridge_handle
        if handle == 0:
            frame.abandon()
            raise closed(x)
        if not x._pybridge_identity:
            enter(x, handle)  # the guest may keep it
        _cast(_INTS, frame.cells)[2 * at] = OBJECT
        _cast(_INTS, frame.cells)[2 * at + 1] = handle
    elif kind is str:
        if len(x) <= SHORT:
            handle = known_text(x)
        else:
            twin = twin_of(x)
            handle = 0
            if twin is not None:
                keep(frame, twin)
                handle = twin.handle
        if handle == 0:
            return _put_bytes(frame, at, STR, utf8(x))
        _cast(_INTS, frame.cells)[2 * at] = OBJECT
        _cast(_INTS, frame.cells)[2 * at + 1] = handle
    else:
        return _put_other(frame, at, x, kind)
    return at + 1


def lend(frame: Frame, at: int, x: Any) -> int:
    """`put` for an operation that keeps it seldom: the caller asks afterwards if it did."""
    if isinstance(x, Handle) and x._pybridge_handle != 0:
        _cast(_INTS, frame.cells)[2 * at] = OBJECT
        _cast(_INTS, frame.cells)[2 * at + 1] = x._pybridge_handle
        return at + 1
    return put(frame, at, x)


def _put_bytes(frame: Frame, at: int, tag: int, data: bytes) -> int:
    n = len(data)
    frame.ints[2 * at] = tag | n << 8
    if n <= _SMALL:
        # Positions grow within one crossing, so a position not beyond the last text's
        # means that a new crossing has begun and the scratch memory is free again.
        fill = frame.fill if at > frame.last else 0
        if fill + n <= _SCRATCH:
            frame.buffer[fill : fill + n] = data
            frame.ints[2 * at + 1] = frame.scratch_at + fill
            frame.fill = fill + n
            frame.last = at
            return at + 1
    pinned = ffi.from_buffer(data)
    frame.ints[2 * at + 1] = int(ffi.cast("intptr_t", pinned))
    keep(frame, pinned)
    return at + 1


def keep(frame: Frame, x: Any) -> None:
    """Keep `x` alive until the core has read the cells."""
    if frame.keep is None:
        frame.keep = [x]
    else:
        frame.keep.append(x)


def _put_other(frame: Frame, at: int, x: Any, kind: type) -> int:
    if kind is tuple:
        return put_items(frame, at, TUPLE, x, 0)
    return put_at_depth(frame, at, x, kind, 0)


def put_at_depth(frame: Frame, at: int, x: Any, kind: type, depth: int) -> int:
    """`put` for what is not a scalar, at a known depth of nesting."""
    if kind is tuple:
        return put_items(frame, at, TUPLE, x, depth)
    if kind is list or kind is dict or kind is set:
        return late.container(frame, at, x, kind, depth)
    if kind is bytes:
        return _put_bytes(frame, at, BYTES, x)
    if kind is complex:
        frame.ints[2 * at] = COMPLEX
        frame.doubles[2 * at + 1] = x.real
        frame.ints[2 * at + 2] = COMPLEX
        frame.doubles[2 * at + 3] = x.imag
        return at + 2
    if kind is slice:
        return put_items(frame, at, SLICE, (x.start, x.stop, x.step), depth)
    if kind is frozenset:
        return put_items(frame, at, FROZENSET, list(x), depth)
    if kind is range:
        return put_items(frame, at, RANGE, (x.start, x.stop, x.step), depth)
    if x is Ellipsis:
        frame.ints[2 * at] = ELLIPSIS
        return at + 1
    if x is NotImplemented:
        frame.ints[2 * at] = NOTIMPLEMENTED
        return at + 1
    try:
        encoder = encoders.get(kind)
        if encoder is None:
            encoder = encoder_of(x)
        return encoder(frame, at, x)
    except BaseException:
        frame.abandon()
        raise


def encoder_of(x: Any) -> Encoder:
    """What writes an object of a type that has no encoder of its own."""
    for fallback in fallbacks:
        encoder = fallback(x)
        if encoder is not None:
            return encoder
    raise unconvertible(x)


def unconvertible(x: Any) -> ConversionError:
    """The refusal of a host object that has no form in the guest."""
    kind = type(x)
    return ConversionError(
        f"{kind.__module__}.{kind.__qualname__} object cannot cross to the guest, where it has "
        "no form: pass a value that is made of it"
    )


def put_items(frame: Frame, at: int, tag: int, items: Any, depth: int) -> int:
    if depth >= _DEEPEST:
        frame.abandon()
        raise ConversionError(
            f"a container nested deeper than {_DEEPEST} levels cannot cross to the guest: "
            "pass a flatter one",
            code="PB302",
        )
    n = len(items)
    if at + 2 * n + 4 > frame.capacity:
        frame.grow(at + 2 * n + 8, at)
    count = n // 2 if tag == DICT else n
    frame.ints[2 * at] = tag | count << 8
    at += 1
    done = 0
    for item in items:
        kind = type(item)
        # What may hold itself, or be deep, keeps count of its depth.
        if kind is list or kind is dict or kind is set:
            at = late.container(frame, at, item, kind, depth + 1)
        elif kind is tuple or kind is frozenset or kind is slice:
            at = put_at_depth(frame, at, item, kind, depth + 1)
        else:
            at = put(frame, at, item)
        done += 1
    if done != n:
        frame.abandon()
        raise RuntimeError("a container changed its size while it crossed to the guest")
    return at


def put_build(frame: Frame, at: int, factory: Handle, fields: tuple[Any, ...]) -> int:
    """The guest object that the guest callable `factory` makes of `fields`."""
    frame.ints[2 * at] = BUILD | len(fields) << 8
    frame.ints[2 * at + 1] = factory._pybridge_handle
    at += 1
    for field in fields:
        at = put(frame, at, field)
    return at


# ---- guest to host ----------------------------------------------------------------------


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
    return x


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
        return adopt_heavy(payload, n), at + 1
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
