# SPDX-License-Identifier: MIT
"""Host functions as C functions, for C code of the guest.

`lowlevel` gives an object that crosses to the guest as a `scipy.LowLevelCallable`.  scipy calls
its C function with plain numbers: no guest object is made for a point, and none of the
callback's cells are used.  For the usual signatures there are entry points in the core
(csrc/lowlevel.c tells about the GIL and about exceptions), each with a trace of its own; any
other gets a libffi closure, half as fast.

The C function finds its host function by a number, the user data.  The guest's object keeps
a `_Holder` alive, whose end frees the number; the holder knows nothing of the guest, so the
two halves are no ring.
"""

from __future__ import annotations

from pybridge import _guest, _runtime
from pybridge._callback import note_limit
from pybridge._core import ffi, lib
from pybridge._errors import ConversionError
from pybridge._frame import Frame
from pybridge._handle import Handle
from pybridge._host import module_dict
from pybridge._places import Places
from pybridge._put import encoders, put
from pybridge._raised import FROM_C, guest_exception

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any, Callable

    from pybridge._signature import Signature

_OF_QUAD = "double(double, void *)"
# ORDER ENTRIES: signature -> (letter, how many, what the host's entry takes)
_ENTRIES = {
    _OF_QUAD: ("d", 4, "x"),
    "double(int, double *, void *)": ("n", 2, "n, x"),
    "int(double *, intptr_t, double *, void *)": ("f", 2, "values, n, result"),
}
_functions: list[Any] = []  # by number; None where the number is free
_free: list[int] = []
_places = Places(_functions)


class LowLevel:
    """A host function as a C function; made by `pybridge.lowlevel`.

    `function`: the host function; `signature`: the C function's, as text; `address`: where the
    C function is.  Passed to the guest it is a scipy.LowLevelCallable.
    """

    __module__ = "pybridge"
    __slots__ = ("_guest", "_holder", "address", "function", "signature")

    def __init__(self, function: Callable[..., Any], signature: Signature) -> None:
        self.function = function
        self.signature = str(signature)
        self._guest: Any = None
        self._holder = _Holder(function, signature)
        self.address = self._holder.address

    def __call__(self, *args: Any) -> Any:
        """Call the host function."""
        return self.function(*args)

    def __repr__(self) -> str:
        return f"<{self.function!r} as {self.signature}>"


class _Holder:
    """The number of a function, and the C function that passes it on."""

    __slots__ = ("address", "closure", "number")

    def __init__(self, function: Callable[..., Any], signature: Signature) -> None:
        try:
            self.number = _free.pop()
        except IndexError:
            self.number = _places.new()
        _functions[self.number] = function
        self.closure: Any = None
        if str(signature) in _ENTRIES:
            kind = list(_ENTRIES).index(str(signature))
            self.address = lib.pb_low_entry(kind, self.number)
        else:
            self.closure = _closure(function, signature)
            self.address = int(ffi.cast("intptr_t", self.closure))

    # By defaults: at the exit of a CPython host the module's names may be gone.
    def __del__(self, functions: list[Any] = _functions, free: list[int] = _free) -> None:
        number = getattr(self, "number", None)
        if number is not None:  # it was not interrupted before it had one
            functions[number] = None
            free.append(number)


def lowlevel(f: Callable[..., Any], signature: str) -> LowLevel:
    """Make a host function a C function, for guest functions that take a LowLevelCallable.

        scipy.integrate.quad(pybridge.lowlevel(f, "double(double, void *)"), 0, 1)

    `signature`: what the guest's function asks for: "double(double, void *)" for quad,
    "double(int, double *, void *)" for quad and nquad,
    "int(double *, npy_intp, double *, void *)" for ndimage.generic_filter,
    "int(npy_intp *, double *, int, int, void *)" for geometric_transform,
    "int(double *, npy_intp, double *, npy_intp, void *)" for generic_filter1d.

    `f` takes these arguments without the last `void *`, which is the bridge's; pointers are
    cffi pointers, which are valid during the call only.  It gives a number; where the C
    function gives an int, which 0 makes a failure, None is 1.

    An exception that `f` raises ends the guest's call and is raised from it; C code that cannot
    be told gets 0 until then.  `f` may call the guest.  Called by threads that no Python
    knows it works as well; there exceptions are only reported.  Any thread.

    Raises ConversionError for a signature that is not understood, or has other than numbers
    and pointers.
    """
    _runtime.running()
    from pybridge import _signature

    if not callable(f) or isinstance(f, Handle):
        raise TypeError(f"a host function can be a C function, not {type(f).__name__}")
    parsed = _signature.parse(signature)
    for t in (parsed.result, *parsed.parameters):
        if not t.stars and t.base in ("long double", *_signature.COMPLEX):
            raise ConversionError(
                f"a C function of the host takes and gives no {t}: {signature}", code="PB305"
            )
    if parsed.result.stars:
        raise ConversionError(
            f"a C function of the host gives no pointer: {signature}", code="PB305"
        )
    _prepare()
    return LowLevel(f, parsed)


# ---- entry points -----------------------------------------------------------------------


def _failed(_: Any, error: BaseException, __: Any) -> None:
    """The host function raised, or gave what is no number."""
    if isinstance(error, RecursionError):
        note_limit()
    before = lib.pb_stack_reserve(1)
    try:
        error = error.with_traceback(_without_entry(error.__traceback__))
        setattr(error, FROM_C, True)
        lib.pb_low_fail(guest_exception(error, True))
    finally:
        lib.pb_stack_reserve(before)


def _without_entry(traceback: Any) -> Any:
    if traceback is not None and traceback.tb_frame.f_code.co_filename == _ENTRY_FILE:
        return traceback.tb_next
    return traceback


_ENTRY_FILE = "<pybridge entry point>"
_ENTRY = """
def entry({parameters}, number):
    return {result}
"""
_prepared = False


def _prepare() -> None:
    """Give the core its entry points: each its own code, and so its own traces."""
    global _prepared
    if _prepared:
        return
    bits = ffi.new("int64_t *", lib.PB_LOW_NAN)
    failure = ffi.cast("double *", bits)[0]
    for letter, many, parameters in _ENTRIES.values():
        for i in range(many):
            space: Any = module_dict()
            space["__name__"] = __name__  # its frames are the bridge's: _frames
            space["functions"] = _functions
            space["success"] = _success
            call = f"functions[number]({parameters})"
            result = f"success({call})" if letter == "f" else call
            source = _ENTRY.format(parameters=parameters, result=result)
            exec(compile(source, _ENTRY_FILE, "exec"), space)
            error = -(1 << 31) if letter == "f" else failure
            ffi.def_extern(name=f"pb_host_{letter}{i}", error=error, onerror=_failed)(
                space["entry"]
            )
    _prepared = True


def _success(x: Any) -> Any:
    return 1 if x is None else x


def _closure(function: Callable[..., Any], s: Signature) -> Any:
    """A C function for any other signature."""
    from pybridge._cfunction import spelled

    parameters = s.parameters
    own = bool(parameters) and str(parameters[-1]) == "void *"
    whole = s.result.base not in ("double", "float", "void")
    types = ", ".join([spelled(t) for t in parameters])
    result = spelled(s.result)

    def entry(*args: Any) -> Any:
        call = ffi.new("pb_low_call *")
        if lib.pb_low_enter(call) != 0:
            return failure
        try:
            answer = function(*(args[:-1] if own else args))
            return None if void else _number(answer, whole)
        except BaseException as error:
            _failed(None, error, None)
            return failure
        finally:
            lib.pb_low_leave(call)

    void = s.result.base == "void"
    failure = None if void else 0
    return ffi.callback(f"{result}(*)({types})", entry)


def _number(x: Any, whole: bool) -> Any:
    if not whole:
        return float(x)
    if x is None:
        return 1
    from operator import index

    return index(x)


# ---- crossing ---------------------------------------------------------------------------


def _put_lowlevel(frame: Frame, at: int, x: LowLevel) -> int:
    if x._guest is None:
        head, _, tail = x.signature.partition("(")
        x._guest = _guest.call(
            "native_lowlevel",
            x.address,
            x._holder.number,
            f"{head} ({tail}",
            _kept(x._holder),
            x.function if x.signature == _OF_QUAD else None,
        )
    return put(frame, at, x._guest)


def _kept(holder: _Holder) -> Callable[[], None]:
    """A host function that the guest holds on to, and the holder with it."""

    def keep(of: _Holder = holder) -> None:
        pass

    return keep


encoders[LowLevel] = _put_lowlevel
