# SPDX-License-Identifier: MIT
"""Arrays, in the guest: what the host must know of a numpy array before it views its memory.

Loaded by support.py when the first of these functions is asked for.  Imports nothing: an
array can only be there when numpy is.
"""

import sys


def lend_array(x):
    """A numpy array or scalar as raw bytes, with the layout of its elements; else None.

    The layout is in the tuples of the host's _layout.py.
    """
    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(x, (numpy.ndarray, numpy.void)):
        return None
    described = layout_of(x.dtype)
    if described is None or x.dtype.hasobject:
        return x, ("O", "<", x.dtype.itemsize, "")
    raw = numpy.dtype((numpy.void, x.dtype.itemsize))
    if isinstance(x, numpy.void):
        return x.view(raw), described
    return numpy.ndarray.view(x, raw, numpy.ndarray), described


def layout_of(dtype):
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return "array", shape, layout_of(base), dtype.itemsize
    if dtype.names is not None:
        fields = tuple(
            (name, dtype.fields[name][1], layout_of(dtype.fields[name][0]))
            for name in dtype.names
        )
        return "record", fields, dtype.itemsize
    order = ">" if dtype.str[:1] == ">" else "<"
    unit = dtype.str.partition("[")[2].rstrip("]") if dtype.kind in "Mm" else ""
    return dtype.kind, order, dtype.itemsize, unit
