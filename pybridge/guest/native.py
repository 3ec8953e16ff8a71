# SPDX-License-Identifier: MIT
"""The guest's half of native calls: what C function is behind an object.

Loaded by support.py when it is first asked for.  Nothing here imports what the program has not
imported: an object of ctypes, cffi, numpy or numba can only be there if its module is.  For
function pointers of its own ctypes and cffi the host loads this file too (_native.py).
"""

import sys

# Cython modules all of whose functions run without the GIL and raise nothing: scipy says so.
NOGIL = (
    "scipy.special.cython_special",
    "scipy.linalg.cython_blas",
    "scipy.linalg.cython_lapack",
)


def native_describe(f):
    """("ufunc", name, nin, nout, types, core signature, scipy's capsules for the same function)
    ("capsules", ((name, capsule), ...), do they need the GIL)
    ("pointer", address, signature or None, does it need the GIL)
    ("lowlevel", capsule, does it need the GIL)
    ("", why it is none of these)
    """
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(f, getattr(numpy, "ufunc", ())):
        return _ufunc(f)
    ccallback = sys.modules.get("scipy._lib._ccallback")
    if ccallback is not None and isinstance(f, ccallback.LowLevelCallable):
        inner = tuple.__getitem__(f, 0)
        return "lowlevel", inner, type(f.function).__name__ == "PyCapsule"
    ctypes = sys.modules.get("ctypes")
    if ctypes is not None and isinstance(f, ctypes._CFuncPtr):
        return ctypes_pointer(f, ctypes)
    cffi = sys.modules.get("_cffi_backend")
    if cffi is not None and isinstance(f, cffi._CDataBase):
        return cffi_pointer(f, cffi)
    kind = type(f)
    if kind.__name__ == "PyCapsule" and kind.__module__ == "builtins":
        nogil = any(
            f is known
            for name in NOGIL
            for known in getattr(sys.modules.get(name), "__pyx_capi__", {}).values()
        )
        return "capsules", (("", f),), not nogil
    if kind.__name__ == "CFunc" and kind.__module__.startswith("numba."):
        return "pointer", f.address, _numba_signature(f._sig), False
    return _cython_function(f)


def _ufunc(f):
    special = ()
    module = sys.modules.get("scipy.special")
    if module is not None and getattr(module, f.__name__, None) is f:
        actions = module.geterr()
        if all(actions[what] == "ignore" for what in actions if what != "memory"):
            try:
                import scipy.special.cython_special as cython_special
            except ImportError:
                pass
            else:
                special = _exported(cython_special, f.__name__)
    return "ufunc", f.__name__, f.nin, f.nout, tuple(f.types), f.signature, special


def native_numbers(types):
    """numpy's numbers for a text of type codes."""
    import numpy

    return bytes(numpy.dtype(code).num for code in types)


def native_item(f, types, *args):
    """Call a ufunc and give its result as a plain number.  `types`: with this loop, or ""."""
    if types:
        for x, code in zip(args, types):
            # numpy would cut a Python number to the type it is told.
            if (
                isinstance(x, (float, complex))
                and code not in "fdFD"[2 * isinstance(x, complex) :]
            ):
                raise TypeError(
                    "%r is no argument of the loop %s of %s" % (x, types, f.__name__)
                )
        result = f(*args, signature=types)
    else:
        result = f(*args)
    return result.item() if hasattr(result, "item") else result


def _exported(module, name):
    """What a Cython module exports under a name: one function, or those of a fused one."""
    exports = getattr(module, "__pyx_capi__", {})
    if name in exports:
        return ((name, exports[name]),)
    return tuple(
        (key, capsule)
        for key, capsule in sorted(exports.items())
        if key.startswith("__pyx_fuse_") and _without_fuse(key) == name
    )


def _without_fuse(key):
    """`jv` of `__pyx_fuse_1jv`, `f` of `__pyx_fuse_0_1f`."""
    rest = key[len("__pyx_fuse_") :]
    i = 0
    while i < len(rest) and (
        rest[i].isdigit() or (rest[i] == "_" and rest[i + 1 : i + 2].isdigit())
    ):
        i += 1
    return rest[i:]


def _cython_function(f):
    module_name, name = getattr(f, "__module__", None), getattr(f, "__name__", None)
    module = sys.modules.get(module_name) if isinstance(module_name, str) else None
    if module is not None and isinstance(name, str) and getattr(module, name, None) is f:
        found = _exported(module, name)
        if found:
            return "capsules", found, module_name not in NOGIL
        if hasattr(module, "__pyx_capi__"):
            return "", "its module %s exports no C function of that name" % module_name
    return "", (
        "it has no C function that can be found: it is no ufunc, Cython function that its "
        "module exports (cpdef), ctypes or cffi function, numba cfunc, or capsule"
    )


_CTYPES = {
    "c": "char", "b": "signed char", "B": "unsigned char", "?": "_Bool",
    "h": "short", "H": "unsigned short", "i": "int", "I": "unsigned int",
    "l": "long", "L": "unsigned long", "q": "long long", "Q": "unsigned long long",
    "f": "float", "d": "double", "g": "long double",
    "P": "void *", "z": "char *", "Z": "void *",
}  # fmt: skip


def ctypes_pointer(f, ctypes):
    address = ctypes.cast(f, ctypes.c_void_p).value
    needs_gil = bool(f._flags_ & 4)  # FUNCFLAG_PYTHONAPI
    if not address:
        return "", "it is a NULL pointer"
    if getattr(f, "errcheck", None) is not None:
        return "", "its errcheck function would not be called"
    if f.argtypes is None:
        return "pointer", address, None, needs_gil
    try:
        texts = [_ctypes_type(t, ctypes) for t in f.argtypes]
        result = "void" if f.restype is None else _ctypes_type(f.restype, ctypes)
    except ValueError as error:
        return "", str(error)
    return "pointer", address, "%s(%s)" % (result, ", ".join(texts)), needs_gil


def _ctypes_type(t, ctypes):
    if isinstance(t, type):
        if issubclass(t, ctypes._SimpleCData):
            if t._type_ in _CTYPES:
                return _CTYPES[t._type_]
        elif issubclass(t, ctypes._Pointer):
            inner = t._type_
            if issubclass(inner, (ctypes._SimpleCData, ctypes._Pointer)):
                text = _ctypes_type(inner, ctypes)
                return text + ("*" if text.endswith("*") else " *")
            return "void *"
        elif issubclass(t, ctypes._CFuncPtr) or hasattr(t, "_ndim_"):  # numpy's ndpointer
            return "void *"
    raise ValueError("ctypes type %r is not passed here" % (getattr(t, "__name__", t),))


def cffi_pointer(f, cffi):
    ctype = cffi.typeof(f)
    if ctype.kind != "function":
        return "", "%s is no function" % ctype.cname
    if ctype.ellipsis:
        return "", "it takes a variable number of arguments"
    address = int(cffi.cast(cffi.new_primitive_type("intptr_t"), f))
    if not address:
        return "", "it is a NULL pointer"
    texts = []
    for t in (ctype.result, *ctype.args):
        if t.kind in ("struct", "union"):
            return "", "it takes or gives a struct"
        known = t.kind in ("primitive", "void") or (
            t.kind == "pointer" and t.item.kind in ("primitive", "void")
        )
        texts.append(t.cname if known else "int" if t.kind == "enum" else "void *")
    return "pointer", address, "%s(%s)" % (texts[0], ", ".join(texts[1:])), False


_NUMBA = {
    "float64": "double", "float32": "float", "none": "void", "bool": "uint8_t",
    "boolean": "uint8_t", "complex64": "float complex", "complex128": "double complex",
}  # fmt: skip


def _numba_signature(signature):
    def text(t):
        name = str(t)
        if name.endswith("*"):
            inner = text(name[:-1])
            return inner + ("*" if inner.endswith("*") else " *")
        if name in _NUMBA:
            return _NUMBA[name]
        return name + "_t" if name.lstrip("u").startswith("int") else name

    return "%s(%s)" % (text(signature.return_type), ", ".join(map(text, signature.args)))


def native_lowlevel(address, number, signature, keep, host):
    """A scipy.LowLevelCallable of a C function of the host's.  It keeps `keep` alive.

    `host`: the function behind it, for csrc/quadpack.c, or None.
    """
    import ctypes

    from scipy import LowLevelCallable

    function = ctypes.CFUNCTYPE(None)(address)
    function.keep = keep
    function.host = host
    data = ctypes.c_void_p(number) if signature.endswith("void *)") else None
    return LowLevelCallable(function, data, signature)


_INTEGERS = ("int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8")
_NUMBERS = ("float64", "float32", *_INTEGERS)
_OTHERS = ("complex128", "complex64", "float16", "str_", "datetime64", "timedelta64")


def numpy_classes():
    """ndarray, ufunc, void, bytes_, bool, the classes of `_NUMBERS` and `_OTHERS`; None while
    numpy is being imported; () if what is in its place has no such classes."""
    numpy = sys.modules.get("numpy")
    if numpy is None or getattr(getattr(numpy, "__spec__", None), "_initializing", False):
        return None
    try:
        classes = (
            numpy.ndarray, numpy.ufunc, numpy.void, numpy.bytes_, numpy.bool_,
            *(getattr(numpy, name) for name in (*_NUMBERS, *_OTHERS)),
        )  # fmt: skip
    except AttributeError:
        return ()
    return classes if all(type(cls) is type for cls in classes) else ()


def numpy_facts():
    """The addresses of the dtypes by name; an array, and what the fields of its C struct should
    be; scalars of value 77; whether a host's float takes part as a float32; and of which class
    a sum of two integers is, as ("int32", "int", "int32")."""
    import numpy

    a = numpy.arange(6.0).reshape(2, 3)[:, ::2]
    fields = (
        a.__array_interface__["data"][0], a.ndim, a.shape, a.strides, id(a.dtype), a.flags.num,
    )  # fmt: skip
    dtypes = tuple((name, id(numpy.dtype(name))) for name in _NUMBERS)
    dtypes += (("truth", id(numpy.dtype("bool"))),)
    samples = tuple(getattr(numpy, name)(77) for name in _NUMBERS[1:])
    weak = type(numpy.float32(1.0) + 1.0) is numpy.float32
    results = []
    for name in _INTEGERS:
        one = getattr(numpy, name)(1)
        if weak or name == "int64":
            results.append((name, "int", type(one + 1).__name__))
        for other in _INTEGERS:
            result = type(one + getattr(numpy, other)(1)).__name__
            results.append((name, other, result))
    return dtypes, a, fields, samples, weak, tuple(results)


def numpy_dtype(a):
    """The dtype of an array, to be kept alive, and what it is to the host: a name, with ">" in
    front in the other byte order, or with a size or unit behind a colon; how many bytes there
    are of them; the fields of a record; or None."""
    return a.dtype, _described(a.dtype)


def _described(dtype):
    import numpy

    if dtype.subdtype is not None:
        return None
    if dtype.names is not None:
        if dtype.type is not numpy.void:
            return None
        return tuple(
            (name, dtype.fields[name][1], _described(dtype.fields[name][0]))
            for name in dtype.names
        )
    if dtype.type is numpy.bytes_:
        return dtype.itemsize
    if dtype.name == "bool":
        return "truth"
    name = dtype.type.__name__
    if getattr(numpy, name, None) is not dtype.type:
        return None
    if name in _NUMBERS and dtype.num == numpy.dtype(name).num:
        return name if dtype.isnative else ">" + name
    if name not in _OTHERS or not dtype.isnative:
        return None
    if name == "str_":
        return "str_:%d" % (dtype.itemsize // 4) if dtype.itemsize else None
    return name + ":" + dtype.str[1:] if dtype.kind in "mM" else name


def numpy_date_parts(x):
    """The integer of a datetime64 or timedelta64, and its unit as `numpy_dtype` tells it."""
    return int(x.view("i8")), x.dtype.str[1:]


def numpy_date(value, dtype):
    """The datetime64 or timedelta64 of an integer."""
    import numpy

    return numpy.int64(value).view(dtype)
