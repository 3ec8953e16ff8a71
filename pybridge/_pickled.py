# SPDX-License-Identifier: MIT
"""What becomes of a proxy in a pickle: the guest's pickle of its object, as bytes.

The host's pickle names `guest_object`, which refuses when it is called by an ordinary
unpickler: loading runs guest code that the pickle chooses, so somebody has to want it
(`pybridge.pickle`).  This module is imported with the package; it imports pickle only when a
proxy is pickled.
"""

from __future__ import annotations

from pybridge import _guest
from pybridge._proxy import Proxy

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

allowed = False  # see pybridge.pickle.install


def guest_object(data: bytes, buffers: tuple[Any, ...] = ()) -> Any:
    """What an ordinary unpickler calls for a guest object: refuses, until `install`."""
    if allowed:
        return load(data, buffers)
    import pickle

    raise pickle.UnpicklingError(
        "this pickle has an object of a pybridge guest in it, which pickle.loads does not "
        "load: use pybridge.pickle.loads, or call pybridge.pickle.install() first, if you "
        "trust whoever made it"
    )


guest_object.__module__ = "pybridge.pickle"


def load(data: bytes, buffers: tuple[Any, ...] = ()) -> Any:
    """The guest object of a guest pickle."""
    # As memoryviews the buffers are the guest's too, without a copy, read-only ones as such.
    return _guest.call("pickled.loads", bytes(data), tuple([memoryview(b) for b in buffers]))


def _reduce_ex(self: Any, protocol: Any) -> Any:
    """For the host's pickle.  Raises what the guest's pickle raises."""
    return guest_object, (dumped("dumps", self, protocol),)


def dumped(function: str, x: Any, protocol: int) -> Any:
    """What a function of guest/pickled.py gives.  Its PicklingError is the host's."""
    try:
        return _guest.call(f"pickled.{function}", x, protocol)
    except Exception as error:
        import pickle

        if type(error).__name__ != "PicklingError" or isinstance(error, pickle.PicklingError):
            raise
        raise pickle.PicklingError(*error.args) from error


Proxy.__reduce_ex__ = _reduce_ex  # type: ignore[method-assign]
