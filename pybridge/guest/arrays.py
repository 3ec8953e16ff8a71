# SPDX-License-Identifier: MIT
"""Arrays, in the guest: what the host must know of a numpy array before it views its memory,
and what objects for the host's memory can do besides having a buffer.

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


def lend_capsules(x):
    """What an object without a buffer offers: (kind, is it a table, capsules), or None."""
    cls = type(x)
    table = hasattr(cls, "column_names") or hasattr(cls, "columns")
    if hasattr(cls, "__arrow_c_array__"):
        return ("array", table, *x.__arrow_c_array__())
    if hasattr(cls, "__arrow_c_stream__"):
        return "stream", table, x.__arrow_c_stream__()
    if hasattr(cls, "__dlpack__"):
        return "dlpack", False, _tensor_of(x)
    return None


def _tensor_of(x):
    """A capsule of DLPack 1.0, which can say that nobody may write, where there are such."""
    if getattr(x, "is_neg", bool)():  # torch itself forgets to ask, as `x.numpy()` does not
        raise BufferError(
            "the tensor's memory has its numbers negated (the imaginary part of a conjugate): "
            "use x.resolve_neg()"
        )
    try:
        return x.__dlpack__(max_version=(1, 0))
    except TypeError:
        return x.__dlpack__()  # of before, as the standard says


def dress_memory(x, lend_tensor, lend_versioned, lend_arrow):
    """Give the type of `x`, which stands for host memory, what a memoryview has, and DLPack's
    and Arrow's methods through functions of the core."""
    cls = type(x)

    def get_attribute(self, name):
        if name in _OF_VIEWS:
            return getattr(memoryview(self), name)
        if name in _OF_BYTES:
            return getattr(bytes(self), name)
        raise AttributeError("host memory has no attribute %r" % name)

    def set_item(self, key, value):
        memoryview(self)[key] = value

    def equal(self, other):
        try:
            return memoryview(self) == memoryview(other)
        except TypeError:
            return NotImplemented

    def dlpack(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        if stream is not None or dl_device not in (None, (1, 0)) or copy:
            raise BufferError("host memory is lent where it is, without a copy")
        versioned = max_version is not None and max_version[0] >= 1
        return lend_versioned(self) if versioned else lend_tensor(self)

    cls.__dlpack__ = dlpack
    cls.__dlpack_device__ = lambda self: (1, 0)
    cls.__arrow_c_array__ = lambda self, requested_schema=None: lend_arrow(self)
    cls.__len__ = lambda self: len(memoryview(self))
    cls.__getitem__ = lambda self, key: memoryview(self)[key]
    cls.__setitem__ = set_item
    cls.__iter__ = lambda self: iter(memoryview(self))
    cls.__eq__ = equal
    cls.__hash__ = None
    cls.__bytes__ = lambda self: memoryview(self).tobytes()
    cls.__getattr__ = get_attribute
    cls.__repr__ = lambda self: "<host memory, %d bytes at %#x>" % (self.nbytes, id(self))


_OF_VIEWS = frozenset(
    n for n in dir(memoryview) if n[:1] != "_" and n not in ("release", "obj")
)
_OF_BYTES = frozenset(n for n in dir(bytes) if n[:1] != "_")


def record_of(x):
    """numpy's record in host memory of no dimensions; without numpy the memory itself."""
    numpy = sys.modules.get("numpy")
    return x if numpy is None else numpy.asarray(x)[()]


def array_of(x, dtype, readonly):
    """numpy's array of host memory; without numpy the memory itself."""
    try:
        import numpy
    except ImportError:
        return x
    a = numpy.asarray(x)
    if dtype[1] in "mM":
        a = a.view(dtype)
    if readonly:  # as the host's is now
        a.flags.writeable = False
    return a


def array_facts(a):
    """What a numpy array says of its memory, without dict and list."""
    facts = a.__array_interface__
    shape, strides = facts["shape"], facts["strides"]
    return facts["data"], shape, strides, facts["typestr"], _without_lists(facts["descr"])


def _without_lists(x):
    return tuple(map(_without_lists, x)) if isinstance(x, (list, tuple)) else x


def numpy_makes(f):
    """Is `f` numpy's function that makes an array of a list?  0, or of how many dimensions: 1
    for one, 2 for any, as the array it makes is in Fortran's order."""
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return 0
    for name in ("array", "asarray", "asanyarray", "ascontiguousarray"):
        if f is getattr(numpy, name, None):
            return 2
    return 1 if f is getattr(numpy, "asfortranarray", None) else 0


def numpy_block(shape, doubles, dtype):
    """A new array for a host's numbers of 8 bytes, floats (`doubles`) or ints: it, the address
    of its memory, and whether its elements are doubles; None if the dtype is not theirs."""
    numpy = sys.modules["numpy"]
    if dtype is None:
        wanted = numpy.dtype(float if doubles else "int64")
    else:
        try:
            wanted = numpy.dtype(dtype)
        except Exception:
            return None  # numpy will say so again
        kinds = "f" if doubles else "fi"
        if not wanted.isnative or wanted.itemsize != 8 or wanted.kind not in kinds:
            return None
    a = numpy.empty(shape, wanted)
    return a, a.__array_interface__["data"][0], wanted.kind == "f"


def numpy_copy(a):
    """A copy whose elements lie in C order."""
    return a.copy("C")
