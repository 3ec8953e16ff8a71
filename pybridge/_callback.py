# SPDX-License-Identifier: MIT
"""Host functions that the guest calls.

A callable of the host becomes a guest object of type `host_function` (csrc/hostobj.c), which
says its name, doc, module and signature when asked.  `_host_call` is the one entry point of
all calls back: it runs without the guest GIL, on whatever thread the guest calls from (PyPy
attaches threads that the guest made).  Whatever it raises goes to the guest as that
exception; the same object comes back if nobody catches it.
"""

from __future__ import annotations

import _thread
import sys

from pybridge import _guest
from pybridge._core import ffi, lib
from pybridge._errors import ConversionError
from pybridge._frame import BASE, Frame, frame_of_callback
from pybridge._host import hidden, module_dict
from pybridge._keywords import caller
from pybridge._keywords import note as note_names
from pybridge._linked import settle_answer
from pybridge._put import encoders, fallbacks, keep, put
from pybridge._raised import guest_exception
from pybridge._release import shared
from pybridge._table import FUNCTION, Weak, guest_object, host_object, objects, put_object
from pybridge._take import check_read, decoders, get, late

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any, Callable

    from pybridge._put import Encoder

_FLOAT: int = lib.PB_FLOAT


_failed: dict[int, Any] = {}  # by thread
_AGAIN = (1 << 63) - 1  # csrc/callback.h: HOST_FAILED, HOST_LIMIT, HOST_SETTLE...
_LIMIT = _AGAIN - 1
_SETTLE = _AGAIN - 2
_HOT = _AGAIN - 3
_NAMES_TOLD = _AGAIN - 4


def entry_failed(_: Any, error: Any, __: Any) -> None:
    """An exception outside of `_host_call`'s own `try`: an interrupt, no stack or memory.

    The core calls a second time, with a number that no object has, to hear which; if that
    fails too it reports a RecursionError to the guest.  Nothing is printed.
    """
    _failed[_thread.get_ident()] = error


@ffi.def_extern(name="pb_host_call", error=-1, onerror=entry_failed)  # type: ignore[untyped-decorator]
@hidden
def _host_call(mem: Any, number: int, nargs: int, nkeywords: int) -> int:
    frame = frame_of_callback(mem)
    if number >= _NAMES_TOLD:
        if number == _SETTLE:
            settle_answer(frame)
            return 0
        if number == _HOT:
            entry_makers[nargs](nargs, nkeywords)
            return 0
    if frame.keep is not None:
        frame.reset()
    if number == _NAMES_TOLD:
        note_names(nargs, _arguments(frame, mem.cells, 1, 0)[0][0])
        return 0
    ints = mem.cells
    try:
        function = objects[number]
        if type(function) is Weak:
            function = host_object(number, 0)
        if nkeywords == 0 and nargs == 1 and ints[0] == _FLOAT:
            result = function(frame.doubles[1])
        elif nkeywords == 0 and nargs <= 3:
            doubles = ffi.cast("double *", ints)
            if nargs == 0:
                result = function()
            else:
                a, at = get(frame, ints, doubles, 0)
                if nargs >= 2:
                    b, at = get(frame, ints, doubles, at)
                    if nargs == 3:
                        c, at = get(frame, ints, doubles, at)
                if frame.keep is not None:
                    check_read(frame)
                mem.given = 0
                if nargs == 1:
                    result = function(a)
                elif nargs == 2:
                    result = function(a, b)
                else:
                    result = function(a, b, c)
        elif nkeywords < 0:  # names that the host was told
            result = caller(-1 - nkeywords, nargs)(function, frame, mem)
        else:
            args, kwargs = _arguments(frame, ints, nargs, nkeywords)
            mem.given = 0
            result = function(*args, **kwargs)
        _put_result(frame, mem, result)
    except BaseException as error:  # everything belongs to the guest's caller
        if number == _LIMIT:
            note_limit()
            return 0
        if number == _AGAIN:
            error = _failed.pop(_thread.get_ident(), error)
        if mem.given != 0:  # one of the arguments could not be read
            lib.pb_frame_ungive(mem)
        _put_exception(frame, error)
    return 0


def _is_late(x: Any) -> bool:
    """Has this numpy.float64 no object in the guest?  As a result it needs none on the host:
    its value goes there."""
    try:
        _get(x, "_pybridge_chunk")
    except AttributeError:
        return True
    return False


_get = object.__getattribute__


def _put_result(frame: Frame, mem: Any, result: Any) -> None:
    if mem.capacity != BASE:
        lib.pb_frame_shrink(mem)
    kind = type(result)
    if kind is late.float_class and _is_late(result):
        frame.ints[0] = lib.PB_LATE
        frame.doubles[1] = float.__float__(result)
        return
    put(frame, 0, result)
    if kind is not float and kind is not int and kind is not str and result is not None:
        keep(frame, result)  # the handles in it, until the core has its own references


def _arguments(
    frame: Frame, ints: Any, nargs: int, nkeywords: int
) -> tuple[list[Any], dict[str, Any]]:
    doubles = ffi.cast("double *", ints)
    at = 0
    args = []
    for _ in range(nargs):
        x, at = get(frame, ints, doubles, at)
        args.append(x)
    kwargs = {}
    for _ in range(nkeywords):
        name, at = get(frame, ints, doubles, at)
        kwargs[name], at = get(frame, ints, doubles, at)
    check_read(frame)
    return args, kwargs


# ---- hot functions: see csrc/hot.h -------------------------------------------------------

# ORDER HOT
_HOT_KINDS = (
    ("d", "x"), ("dd", "x, y"), ("i", "x"), ("ii", "x, y"), ("di", "x, y"), ("ddd", "x, y, z"),
)  # fmt: skip
ENTRY_FILE = "<pybridge entry point>"
_ENTRY = """
def entry({0}, number, address):
    try:
        function = objects[number]
        if type(function) is Weak:
            function = host_object(number, 0)
        result = function({0})
        kind = type(result)
        if kind is float:
            cast(DOUBLES, cast(FRAME, address).base)[1] = result
            return FLOAT
        if kind is int:
            try:
                cast(FRAME, address).base[1] = result
            except OverflowError:
                return answer(address, result)
            return INT
        if result is True:
            return TRUE
        if result is False:
            return FALSE
        if result is None:
            return NONE
        return answer(address, result)
    except BaseException as error:
        return raised(address, error)
"""


def _hot_entry(kind: int, i: int) -> None:
    """Make entry point `i` of a kind, with code of its own, and so a trace."""
    letters, parameters = _HOT_KINDS[kind]
    space: Any = module_dict()
    space.update(
        __name__=__name__,  # its frames are the bridge's: _frames
        objects=objects,
        Weak=Weak,
        host_object=host_object,
        cast=ffi.cast,
        DOUBLES=ffi.typeof("double *"),
        FRAME=ffi.typeof("pb_frame *"),
        FLOAT=_FLOAT,
        INT=lib.PB_INT,
        TRUE=lib.PB_TRUE,
        FALSE=lib.PB_FALSE,
        NONE=lib.PB_NONE,
        answer=hot_answer,
        raised=hot_raised,
    )
    exec(compile(_ENTRY.format(parameters), ENTRY_FILE, "exec"), space)
    name = f"pb_hot_{letters}{i}"
    ffi.def_extern(name=name, error=-1, onerror=entry_failed)(hidden(space["entry"]))


# By the kind's number: (kind, i) makes its entry point `i`.  `_quadpack` has some at the end.
entry_makers: list[Callable[[int, int], None]] = [_hot_entry] * 32


@hidden
def hot_answer(address: int, result: Any) -> int:
    """Any other result, in the frame at `address`."""
    mem = ffi.cast("pb_frame *", address)
    if type(result) is late.float_class and _is_late(result):
        ffi.cast("double *", mem.base)[1] = float.__float__(result)
        return lib.PB_LATE  # type: ignore[no-any-return]
    frame = frame_of_callback(mem)
    if frame.keep is not None:
        frame.reset()
    _put_result(frame, mem, result)
    return 0


@hidden
def hot_raised(address: int, error: BaseException) -> int:
    frame = frame_of_callback(ffi.cast("pb_frame *", address))
    if frame.keep is not None:
        frame.reset()
    _put_exception(frame, error)
    return 0


def note_limit() -> None:
    """How much stack PyPy allows: 768 KB at its default recursion limit of 1000."""
    if sys.implementation.name == "pypy":
        shared.host_stack = (768 << 10) * sys.getrecursionlimit() // 1000


def _put_exception(frame: Frame, error: BaseException) -> None:
    before = lib.pb_stack_reserve(1)
    try:
        handle = guest_exception(_without_entry(error), True)
    finally:
        lib.pb_stack_reserve(before)
    if frame.mem.capacity != BASE:
        lib.pb_frame_shrink(frame.mem)
    frame.reset()
    frame.ints[0] = lib.PB_RAISE
    frame.ints[1] = handle


def _without_entry(error: BaseException) -> BaseException:
    """Take the entry point off the traceback: it is no frame of the program's."""
    entry = error.__traceback__
    if entry is not None and entry.tb_next is not None:
        code = entry.tb_frame.f_code
        if code is _entry_code or code.co_filename == ENTRY_FILE:
            return error.with_traceback(entry.tb_next)
    return error


def put_function(frame: Frame, at: int, x: Any) -> int:
    """Write the guest's object for a host callable."""
    proxy, fresh = guest_object(x, FUNCTION)
    if fresh and _dressing:
        names = {}
        for name in _NAMES:
            value = getattr(x, name, None)
            if type(value) is str or name == "__doc__":
                names[name] = value if type(value) is str else None
        if _guest.call("dress", proxy, names):
            for integrate in integrating:
                integrate()
    return put_object(frame, at, proxy)


# Called when scipy's integrators have been loaded: upper layers' functions.
integrating: list[Callable[[], None]] = []
_NAMES = ("__name__", "__qualname__", "__module__", "__doc__")
_dressing = False
_COROUTINE = 0x80  # inspect.CO_COROUTINE


# Where the classes of callables are that are called as they are; others are host objects.
_OF_FUNCTIONS = frozenset(("builtins", "functools", "_functools", "operator", "_operator"))


def _function_encoder(x: Any) -> Encoder | None:
    kind = type(x)
    if kind.__module__ not in _OF_FUNCTIONS or isinstance(x, type) or not callable(x):
        return None
    if (
        kind.__name__ == "KeyWrapper"
    ):  # what CPython's cmp_to_key gives for a value: it compares
        return None
    return put_function


def _ask(function: Any, attribute: str) -> Any:
    """What a guest reads from the object of a host function: asked for when needed.

    In a tuple; None when there is no such attribute.  A module's names are not a function's
    to give away.
    """
    if attribute == "__signature__":
        return _signature(function)
    if attribute.startswith("_is_coroutine"):
        code = getattr(function, "__code__", None)
        return code is not None and code.co_flags & _COROUTINE != 0
    if attribute in ("__globals__", "__builtins__"):
        return None
    try:
        return (getattr(function, attribute),)
    except AttributeError:
        return None


def _signature(function: Any) -> tuple[Any, ...]:
    """((name, kind, (default,) or (), (annotation,) or ()), ...), (annotation back,) or ()."""
    import inspect

    signature = inspect.signature(function)
    empty = inspect.Parameter.empty
    parameters = tuple(
        (
            p.name,
            p.kind.name,
            () if p.default is empty else (_passable(p.default),),
            () if p.annotation is empty else (_passable(p.annotation),),
        )
        for p in signature.parameters.values()
    )
    back = signature.return_annotation
    return parameters, () if back is inspect.Signature.empty else (_passable(back),)


def _passable(x: Any) -> Any:
    """A default or annotation as it crosses; its repr where it cannot."""
    from pybridge._frame import frame_get, frames

    frame = frame_get()
    try:
        put(frame, 0, x)
    except ConversionError:
        return repr(x)
    frame.reset()
    frames.append(frame)
    return x


def set_up() -> None:
    """Right after the start: tell the core the entry point, the guest how to ask."""
    global _dressing
    lib.pb_callback_set(lib.pb_host_call)
    note_limit()
    _guest.call("dress_functions", _ask)
    _dressing = True


def _method_made(parts: tuple[Any, Any]) -> Any:
    return _METHOD(*parts)


_METHOD = type(Frame.renew.__get__(object()))  # types.MethodType
_entry_code = _host_call.__code__ if hasattr(_host_call, "__code__") else None
decoders[lib.PB_METHOD] = _method_made
fallbacks.append(_function_encoder)
encoders[type(_function_encoder)] = put_function
