# SPDX-License-Identifier: MIT
"""C functions at addresses as host callables."""

from __future__ import annotations

import gc
import math
import threading

import pytest

import pybridge
from pybridge import _cfunction, _runtime, _signature
from pybridge._core import ffi


def module(name):
    try:
        return pybridge.import_module(name)
    except ModuleNotFoundError:
        pytest.skip(f"this guest has no {name.partition('.')[0]}")


def evaluate(text, **names):
    return pybridge.eval(text, dict(names))


def _error():
    return pybridge.ConversionError


@pytest.fixture
def ctypes():
    return pybridge.import_module("ctypes")


def test_a_function_of_ctypes(ctypes):
    pow_ = ctypes.CDLL("libm.so.6").pow
    with pytest.raises(
        _error(), match="does not say what it takes and gives: set its argtypes"
    ):
        pybridge.native(pow_)
    assert pybridge.native(pow_, "double(double, double)")(2.0, 10.0) == 1024.0
    pow_.argtypes, pow_.restype = [ctypes.c_double, ctypes.c_double], ctypes.c_double
    f = pybridge.native(pow_)
    assert isinstance(f, ffi.CData)
    assert f(2, 0.5) == math.sqrt(2.0)
    with pytest.raises(_error(), match=r"is double\(double, double\), not double\(double\)"):
        pybridge.native(pow_, "double(double)")
    with pytest.raises(pybridge.BridgeError, match="not a C signature"):
        pybridge.native(pow_, "doble(double)")
    frexp = ctypes.CDLL("libm.so.6").frexp
    frexp.argtypes, frexp.restype = (
        [ctypes.c_double, ctypes.POINTER(ctypes.c_int)],
        ctypes.c_double,
    )
    exponent = ffi.new("int *")
    assert (pybridge.native(frexp)(12.0, exponent), exponent[0]) == (0.75, 4)
    strlen = ctypes.CDLL("libc.so.6").strlen
    strlen.argtypes, strlen.restype = [ctypes.c_char_p], ctypes.c_size_t
    assert pybridge.native(strlen)(b"hello") == 5


def test_ctypes_functions_that_cannot_be_called_say_why(ctypes):
    f = ctypes.CDLL("libm.so.6").pow
    f.argtypes = [ctypes.py_object, ctypes.c_double]
    with pytest.raises(_error(), match="ctypes type 'py_object' is not passed here"):
        pybridge.native(f)
    f.argtypes = [ctypes.c_longdouble]
    with pytest.raises(_error(), match="long double is not passed here"):
        pybridge.native(f)
    f.errcheck = pybridge.eval("lambda result, f, args: result")
    with pytest.raises(_error(), match="errcheck"):
        pybridge.native(f)


def test_a_python_callback_of_ctypes_is_called_and_keeps_its_function(ctypes):
    make = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)
    f = pybridge.native(make(pybridge.eval("lambda x: 2 * x")))
    gc.collect()
    pybridge.eval("__import__('gc').collect()")
    assert [f(x) for x in (1.0, 2.5)] == [2.0, 5.0]


def test_a_function_that_needs_the_gil_has_it_and_raises(ctypes):
    double = ctypes.PYFUNCTYPE(ctypes.c_double, ctypes.c_double)
    good = pybridge.native(double(pybridge.eval("lambda x: x + 1")))
    assert not isinstance(good, ffi.CData)
    assert good(1.0) == 2.0
    python = ctypes.PyDLL(_runtime.guest.library)
    python.PyErr_BadArgument.argtypes = python.Py_GetRecursionLimit.argtypes = []
    assert pybridge.native(python.Py_GetRecursionLimit)() >= 1000
    bad = pybridge.native(python.PyErr_BadArgument)
    for _ in range(3):
        with pytest.raises(TypeError, match="bad argument type for built-in operation"):
            bad()
    assert pybridge.eval("1 + 1") == 2
    with pytest.raises(TypeError):
        good("x")
    results = []
    thread = threading.Thread(target=lambda: results.append(good(5.0)))
    thread.start()
    thread.join()
    assert results == [6.0]


def test_addresses_need_a_signature_and_code(ctypes):
    address = ctypes.cast(ctypes.CDLL("libm.so.6").cos, ctypes.c_void_p).value
    assert pybridge.native(address, "double(double)")(0.0) == 1.0
    with pytest.raises(TypeError, match="an address needs a signature"):
        pybridge.native(address)
    for wrong in (0, -1, 1, 12345, 1 << 70, int(ffi.cast("intptr_t", ffi.new("int *")))):
        with pytest.raises(_error(), match="no code is at address"):
            pybridge.native(wrong, "double(double)")


def test_the_guest_object_lives_as_long_as_its_function(ctypes, leakfree):
    functions = []
    for i in range(5):
        make = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)
        functions.append(pybridge.native(make(evaluate("lambda x: x + i", i=i))))
    gc.collect()
    assert [f(1.0) for f in functions] == [1.0, 2.0, 3.0, 4.0, 5.0]
    del functions, make


def host_callback(ctype, f):
    """The address of a C function that calls `f`; keep the first."""
    pointer = ffi.callback(ctype, f)
    return pointer, int(ffi.cast("intptr_t", pointer))


@pytest.mark.parametrize("needs_gil", [False, True])
def test_pointers_take_lists_bytes_views_and_none(needs_gil):
    seen = []

    def total(x, n):
        seen.append(x == ffi.NULL)
        return 0.0 if x == ffi.NULL else sum(x[i] for i in range(n))

    keep, address = host_callback("double(double *, int)", total)
    s = _signature.parse("double(const double *, int)")
    f = _cfunction.c_function(address, s, keep, needs_gil)
    there = pybridge.import_module("array").array("d", [1.0, 2.0, 4.0])
    for x in ([1.0, 2.0, 4.0], (1.0, 2.0, 4.0), pybridge.view(there), ffi.new("double[]", 3)):
        assert f(x, 3) == (0.0 if isinstance(x, ffi.CData) else 7.0)
    assert f(pybridge.view(there).toreadonly(), 2) == 3.0  # const: may be read
    assert f(None, 3) == 0.0 and seen[-1] is True
    with pytest.raises(TypeError, match=r"str is no const double \*: pass a pybridge.view"):
        f("text", 1)
    with pytest.raises(TypeError, match="elements is no const double"):
        f(pybridge.view(pybridge.import_module("array").array("i", [1])), 1)
    v = pybridge.view(there)
    v.release()
    with pytest.raises(ValueError, match="released"):
        f(v, 1)
    assert "double(const double *, int)" in f.__doc__


def test_memory_that_may_be_written_must_be_writable():
    keep, address = host_callback("int(int *)", lambda x: x[0])
    f = _cfunction.c_function(address, _signature.parse("int(int *)"), keep, False)
    v = pybridge.view(pybridge.import_module("array").array("i", [7]))
    assert f(v) == 7
    with pytest.raises(ValueError, match="read-only view where the function may write"):
        f(v.toreadonly())


def test_how_types_are_spelled_for_cffi():
    s = _signature.parse("void(double complex, float complex *, const char **, long double *)")
    assert [_cfunction.spelled(t) for t in s.parameters] == [
        "pb_complex128", "void *", "char **", "void *",
    ]  # fmt: skip
    with pytest.raises(pybridge.ConversionError, match="long double is not passed here"):
        _cfunction.spelled(_signature.parse("long double(int)").result)
