# SPDX-License-Identifier: MIT
"""pybridge: CPython's packages on PyPy, in one process.

    import pybridge
    np = pybridge.import_module("numpy")

A real CPython, the guest, is embedded in this process, the host's; its objects are used
through proxies.  Importing pybridge starts nothing, and loads little: a public name that not
every program uses is loaded when it is first asked for, and what the guest's objects need
when the guest starts.
"""

from pybridge import _memory as _memory  # for host memory as an argument
from pybridge._api import (
    Statistics,
    eval,
    exec,
    import_module,
    start,
    statistics,
)
from pybridge._errors import (
    BridgeError,
    ClosedHandle,
    ConversionError,
    GuestClosed,
    GuestNotFound,
    StartError,
)
from pybridge._handle import release, scope

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from pybridge._attached import attached
    from pybridge._buffer import view
    from pybridge._bulk import array
    from pybridge._columns import Column
    from pybridge._containers import copy, ref, same, to_host
    from pybridge._converters import converter, converters
    from pybridge._finder import install
    from pybridge._future import submit
    from pybridge._lowlevel import LowLevel, lowlevel
    from pybridge._native import native
    from pybridge._proxy import Proxy
    from pybridge._records import Record
    from pybridge._require import require
    from pybridge._source import guest
    from pybridge._view import View

__version__ = "0.1.0"

__all__ = [
    "BridgeError",
    "ClosedHandle",
    "Column",
    "ConversionError",
    "GuestClosed",
    "GuestNotFound",
    "LowLevel",
    "Proxy",
    "Record",
    "StartError",
    "Statistics",
    "View",
    "array",
    "attached",
    "converter",
    "converters",
    "copy",
    "eval",
    "exec",
    "guest",
    "import_module",
    "install",
    "lowlevel",
    "native",
    "ref",
    "release",
    "require",
    "same",
    "scope",
    "start",
    "statistics",
    "submit",
    "to_host",
    "view",
]

for _name in __all__:
    if _name in globals():
        globals()[_name].__module__ = "pybridge"
del _name

# Where the other names come from.
_LAZY = {
    "Column": "_columns",
    "LowLevel": "_lowlevel",
    "Proxy": "_proxy",
    "Record": "_records",
    "View": "_view",
    "array": "_bulk",
    "attached": "_attached",
    "converter": "_converters",
    "converters": "_converters",
    "copy": "_containers",
    "guest": "_source",
    "install": "_finder",
    "lowlevel": "_lowlevel",
    "native": "_native",
    "ref": "_containers",
    "require": "_require",
    "same": "_containers",
    "submit": "_future",
    "to_host": "_containers",
    "view": "_interchange",  # _buffer's, with all that it takes
}

if not TYPE_CHECKING:

    def __getattr__(name):
        module = _LAZY.get(name)
        if module is None:
            raise AttributeError(f"module 'pybridge' has no attribute {name!r}")
        from importlib import import_module

        x = getattr(import_module(f"pybridge.{module}"), name)
        if name != "Proxy":  # its __module__ is the guest's, on instances; see _proxy
            x.__module__ = "pybridge"
        globals()[name] = x
        return x


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


del TYPE_CHECKING  # no public name
