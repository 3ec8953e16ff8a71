# SPDX-License-Identifier: MIT
"""pybridge: CPython's packages on PyPy, in one process.

    import pybridge
    np = pybridge.import_module("numpy")

A real CPython, the guest, is embedded in this process, the host's; its objects are used
through proxies.  Importing pybridge starts nothing.
"""

from pybridge import _exporter  # noqa: F401  (host memory as an argument)
from pybridge import _interchange as _interchange  # more that `view` takes
from pybridge import _numpy as _numpy  # faster ways for numpy's objects
from pybridge import _pickled as _pickled  # for what it adds to proxies
from pybridge._api import (
    Statistics,
    eval,
    exec,
    import_module,
    start,
    statistics,
)
from pybridge._attached import attached
from pybridge._buffer import view
from pybridge._bulk import array
from pybridge._columns import Column
from pybridge._containers import copy, ref, same, to_host
from pybridge._converters import converter, converters
from pybridge._errors import (
    BridgeError,
    ClosedHandle,
    ConversionError,
    GuestClosed,
    GuestNotFound,
    StartError,
)
from pybridge._finder import install
from pybridge._future import submit
from pybridge._handle import release, scope
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
    if _name != "Proxy":  # its __module__ is the guest's, on instances; see _proxy
        globals()[_name].__module__ = "pybridge"
del _name
