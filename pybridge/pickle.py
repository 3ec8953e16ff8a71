# SPDX-License-Identifier: MIT
"""Pickles with guest objects in them.

    data = pickle.dumps({"a": array})           # the standard module, or the one here
    pybridge.pickle.loads(data)["a"]            # loads need this one

A proxy is pickled by the guest's own pickle, whose bytes become part of the host's; what the
guest refuses to pickle is refused here with its reason.  Each proxy has a pickle of its own:
objects that several of them share are copied once for each.

With protocol 5 and a `buffer_callback`, `dumps` here leaves the guest's large buffers (the
memory of numpy arrays) where they are and passes them on as `pickle.PickleBuffer` objects of
the host's, which hold the guest's object as long as they live; `pickle.dumps` of the standard
library puts them into the bytes.

Loading runs whatever the pickle names, in the guest as well, with all rights of the process:
load only what you trust.  So it is asked for by name: `loads`, `load` and `Unpickler` here;
or `install()`, after which the standard `pickle.loads` does the same in this process (give it
to a pool as its initializer).  Otherwise the standard module raises UnpicklingError, and,
where there is no pybridge, ModuleNotFoundError: nothing starts a guest by itself.
"""

from __future__ import annotations

import io
import pickle as _pickle
from typing import IO, TYPE_CHECKING, Any, Callable

from pybridge import _pickled, _runtime
from pybridge._buffer import view
from pybridge._core import ffi
from pybridge._handle import Handle
from pybridge._pickled import guest_object

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Pickler", "Unpickler", "dump", "dumps", "install", "load", "loads"]


class Pickler(_pickle.Pickler):
    """The standard one, which passes guest buffers to `buffer_callback` too."""

    def __init__(
        self,
        file: IO[bytes],
        protocol: int | None = None,
        *,
        fix_imports: bool = True,
        buffer_callback: Callable[[_pickle.PickleBuffer], Any] | None = None,
    ) -> None:
        super().__init__(
            file, protocol, fix_imports=fix_imports, buffer_callback=buffer_callback
        )
        asked = _pickle.DEFAULT_PROTOCOL if protocol is None else protocol
        self._number = _pickle.HIGHEST_PROTOCOL if asked < 0 else asked
        self._apart = buffer_callback is not None

    def reducer_override(self, obj: Any) -> Any:
        """A proxy, when its buffers are wanted apart."""
        if not self._apart or not isinstance(obj, Handle):
            return NotImplemented
        data, buffers = _pickled.dumped("dumps_apart", obj, self._number)
        return guest_object, (data, tuple([_host_buffer(b) for b in buffers]))


def _host_buffer(flat: Any) -> _pickle.PickleBuffer:
    """A host buffer of a guest memoryview's memory, which stays as long as it."""
    v = view(flat)
    address, size = v._address, v.nbytes
    # What ffi.gc gives keeps its destructor, and that the view, which holds the memory.
    memory = ffi.gc(ffi.cast("char *", address), lambda _, view=v: None)
    buffer = ffi.buffer(memory, size)
    if v.readonly:
        buffer = memoryview(buffer).toreadonly()
    return _pickle.PickleBuffer(buffer)


class Unpickler(_pickle.Unpickler):
    """The standard one, which loads guest objects."""

    def find_class(self, module: str, name: str, /) -> Any:
        """As the standard one's; `guest_object` does not refuse here."""
        if module == "pybridge.pickle" and name == "guest_object":
            _runtime.running()
            return _pickled.load
        return super().find_class(module, name)


def dumps(
    x: Any,
    protocol: int | None = None,
    *,
    fix_imports: bool = True,
    buffer_callback: Callable[[_pickle.PickleBuffer], Any] | None = None,
) -> bytes:
    """As pickle.dumps; guest buffers are passed to `buffer_callback`, without a copy."""
    file = io.BytesIO()
    dump(x, file, protocol, fix_imports=fix_imports, buffer_callback=buffer_callback)
    return file.getvalue()


def dump(
    x: Any,
    file: IO[bytes],
    protocol: int | None = None,
    *,
    fix_imports: bool = True,
    buffer_callback: Callable[[_pickle.PickleBuffer], Any] | None = None,
) -> None:
    """As pickle.dump."""
    Pickler(file, protocol, fix_imports=fix_imports, buffer_callback=buffer_callback).dump(x)


def loads(data: Any, /, *, buffers: Iterable[Any] | None = None, **options: Any) -> Any:
    """As pickle.loads, guest objects included: runs what `data` says, so trust it."""
    return load(io.BytesIO(data), buffers=buffers, **options)


def load(file: IO[bytes], *, buffers: Iterable[Any] | None = None, **options: Any) -> Any:
    """As pickle.load, guest objects included: runs what the file says, so trust it."""
    return Unpickler(file, buffers=buffers, **options).load()


def install() -> None:
    """Let the standard pickle.loads load guest objects in this process, from now on.

    Starts the guest.  For `multiprocessing.Pool(initializer=pybridge.pickle.install)` and
    the like.
    """
    _runtime.running()
    _pickled.allowed = True
