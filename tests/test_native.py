# SPDX-License-Identifier: MIT
"""Native calls: C functions behind guest callables."""

from __future__ import annotations

import gc
import math
import random
import struct
import threading

import cffi
import children
import pytest

import pybridge
from pybridge import _native
from pybridge._core import ffi, lib


def module(name):
    try:
        return pybridge.import_module(name)
    except ModuleNotFoundError:
        pytest.skip(f"this guest has no {name.partition('.')[0]}")


@pytest.fixture
def np():
    return module("numpy")


@pytest.fixture
def special():
    return module("scipy.special")


@pytest.fixture
def cython_special():
    return module("scipy.special.cython_special")


def same(a, b):
    return struct.pack("d", a) == struct.pack("d", b) or (a != a and b != b)


def evaluate(text, **names):
    return pybridge.eval(text, dict(names))


# ---- ufuncs -----------------------------------------------------------------------------


def test_a_ufunc_of_doubles_gives_a_plain_float(np):
    sqrt = pybridge.native(np.sqrt)
    assert sqrt(2.0) == math.sqrt(2.0)
    assert type(sqrt(2)) is float
    assert pybridge.native(np.hypot)(3.0, 4) == 5.0
    assert sqrt.__doc__ == "The ufunc sqrt, d->d, of numbers."


NUMBERS = [
    0.0,
    -0.0,
    1.0,
    -1.5,
    1e300,
    1e-300,
    5e-324,
    math.inf,
    -math.inf,
    math.nan,
    0.3,
    709.9,
]


@pytest.mark.parametrize(
    "name",
    ["sqrt", "exp", "log", "sin", "arctanh", "expm1", "square", "reciprocal", "cbrt", "floor"],
)
def test_a_ufunc_gives_what_numpy_gives(np, name):
    f = pybridge.native(getattr(np, name))
    expected = evaluate(
        "[float(f(x)) for x in xs]",
        f=evaluate("lambda f: __import__('numpy').errstate(all='ignore')(f)")(
            getattr(np, name)
        ),
        xs=NUMBERS,
    )
    with np.errstate(all="ignore"):
        got = [f(x) for x in NUMBERS]
    assert all(map(same, got, list(expected))), (got, list(expected))


def test_numpys_errstate_decides_what_a_flag_does(np):
    log, multiply = pybridge.native(np.log), pybridge.native(np.multiply)
    with np.errstate(all="raise"):
        with pytest.raises(FloatingPointError, match="divide by zero encountered in log"):
            log(0.0)
        with pytest.raises(FloatingPointError, match="overflow"):
            multiply(1e300, 1e300)
        with pytest.raises(FloatingPointError, match="underflow"):
            multiply(1e-300, 1e-300)
        assert log(1.0) == 0.0
    with np.errstate(all="ignore"):
        assert log(0.0) == -math.inf
        assert math.isnan(log(-1.0))


def test_a_flag_warns_once_as_numpy_does(np):
    warned = evaluate(
        "(w := __import__('warnings').catch_warnings(record=True), w.__enter__(),"
        " __import__('warnings').simplefilter('always'))"
    )
    try:
        assert pybridge.native(np.log)(0.0) == -math.inf
        assert [str(w.message) for w in warned[1]] == ["divide by zero encountered in log"]
    finally:
        warned[0].__exit__(None, None, None)


def test_a_flag_of_the_hosts_own_arithmetic_is_not_a_ufuncs(np):
    multiply = pybridge.native(np.multiply)
    with np.errstate(all="raise"):
        for _ in range(3):
            assert 1e200 * float("1e200") == math.inf
            assert multiply(2.0, 3.0) == 6.0


def test_a_ufunc_without_a_loop_of_doubles_uses_another(np, special):
    assert pybridge.native(np.gcd)(12, 18) == 6
    assert pybridge.native(np.isnan)(math.nan) is True
    assert pybridge.native(np.isnan)(1) is False
    assert pybridge.native(np.left_shift)(1, 40) == 1 << 40
    assert pybridge.native(np.less)(1.0, 2.0) is True


def test_a_signature_chooses_the_loop(np, special):
    legendre = pybridge.native(special.eval_legendre, "double(long, double)")
    assert legendre(3, 0.5) == special.eval_legendre(3, 0.5)
    single = pybridge.native(np.sqrt, "float(float)")
    assert single(2.0) == struct.unpack("f", struct.pack("f", math.sqrt(2.0)))[0]
    root = pybridge.native(np.sqrt, "double complex(double complex)")
    assert root(-4.0) == root(-4) == root(-4 + 0j) == 2j
    assert pybridge.native(np.add, "int8_t(int8_t, int8_t)")(100, 27) == 127
    assert (
        pybridge.native(np.add, "uint64_t(uint64_t, uint64_t)")(2**63 - 1, 2**63 - 1)
        == 2**64 - 2
    )
    with pytest.raises(_error(), match=r"ufunc 'sqrt' has no loop int\(int\): it has .*d->d"):
        pybridge.native(np.sqrt, "int(int)")
    with pytest.raises(_error(), match="has no loop"):
        pybridge.native(np.sqrt, "double(double, double)")


def test_an_argument_that_does_not_fit_its_type_is_numpys_to_judge(np):
    with pytest.raises(OverflowError):
        pybridge.native(np.add, "int8_t(int8_t, int8_t)")(1000, 1)
    with pytest.raises(OverflowError):
        pybridge.native(np.gcd)(2**62, 2**64)
    with pytest.raises(TypeError):
        pybridge.native(np.gcd)(1.5, 2)
    for x, signature in [(1.5, "long(long, long)"), (1j, "float(float, float)")]:
        with pytest.raises(TypeError, match="is no argument of the loop"):
            pybridge.native(np.multiply, signature)(x, 1)
    with pytest.raises(TypeError):
        pybridge.native(np.sqrt)("2")
    with pytest.raises(TypeError):
        pybridge.native(np.sqrt)(1.0, 2.0)


def _error():
    return pybridge.ConversionError


def test_what_cannot_be_called_with_numbers_is_refused(np):
    with pytest.raises(
        _error(), match="ufunc 'modf' cannot be called natively: it gives 2 results"
    ):
        pybridge.native(np.modf)
    with pytest.raises(_error(), match="works on arrays"):
        pybridge.native(np.matmul)
    objects = np.frompyfunc(pybridge.eval("lambda x: x"), 1, 1)
    with pytest.raises(_error(), match=r"no loop of numbers: it has O->O"):
        pybridge.native(objects)
    with pytest.raises(_error(), match="it has no C function that can be found"):
        pybridge.native(pybridge.eval("lambda x: x"))
    with pytest.raises(_error(), match="it has no C function"):
        pybridge.native(pybridge.import_module("math").sqrt)
    for wrong in (3.5, "sqrt", math.sqrt, None, True):
        with pytest.raises(TypeError, match="not a host's"):
            pybridge.native(wrong)


# ---- scipy.special ----------------------------------------------------------------------


def test_scipys_own_c_functions_are_used(special, cython_special):
    for f in (special.expit, cython_special.expit, cython_special.jv, special.jv):
        assert isinstance(pybridge.native(f), ffi.CData)
    jv = pybridge.native(special.jv)
    assert jv(1.0, 0.7) == special.jv(1.0, 0.7) == pybridge.native(cython_special.jv)(1, 0.7)
    assert pybridge.native(special.ndtri)(0.975) == special.ndtri(0.975)


def test_fused_functions_by_their_exported_name_and_by_signature(cython_special):
    capsule = cython_special.__pyx_capi__["__pyx_fuse_1jv"]
    assert pybridge.native(capsule)(1.0, 0.5) == pybridge.native(cython_special.jv)(1.0, 0.5)
    jv = pybridge.native(cython_special.jv, "double complex(double, double complex)")
    assert jv(1.0, 0.5j) == evaluate("jv(1.0, 0.5j)", jv=cython_special.jv)
    with pytest.raises(_error(), match=r"is one of: .*double\(double, double\)"):
        pybridge.native(cython_special.jv, "float(float)")


def test_optional_arguments_have_their_defaults(cython_special):
    f = pybridge.native(cython_special.spherical_jn, "double(Py_ssize_t, double)")
    assert f(2, 0.5) == cython_special.spherical_jn(2, 0.5)


@pytest.mark.filterwarnings("ignore")  # scipy warns of what it lets go, numpy of flags
def test_scipys_c_functions_compute_what_the_ufuncs_compute(special):
    """Why `native` may use one for the other: the same bits, for each that it uses."""
    random.seed(5)
    names = [name for name in dir(special) if not name.startswith("_")]
    is_ufunc = evaluate("lambda f: type(f).__name__ == 'ufunc'")
    compared = 0
    for name in names:
        f = getattr(special, name)
        if not is_ufunc(f):
            continue
        try:
            native = pybridge.native(f)
        except _error():
            continue
        if not isinstance(native, ffi.CData):
            continue
        n = f.nin
        points = [[random.uniform(0.05, 3.0) for _ in range(n)] for _ in range(6)]
        points += [[random.uniform(-2.0, 40.0) for _ in range(n)] for _ in range(4)]
        expected = evaluate("[float(f(*p)) for p in points]", f=f, points=points)
        for point, value in zip(points, list(expected)):
            assert same(native(*point), value), (name, point)
        compared += 1
    assert compared > 100


def test_errors_that_scipy_reports_are_raised(special):
    """With special.seterr, scipy's loops set an exception by themselves, without the GIL."""
    special.seterr(all="raise")
    try:
        f = pybridge.native(special.gammainc)
        with pytest.raises(Exception, match="special/gammainc: domain error") as caught:
            f(-1.0, 1.0)
        assert type(caught.value).__name__ == "SpecialFunctionError"
        assert f(1.0, 0.0) == 0.0
        assert pybridge.eval("1 + 1") == 2
    finally:
        special.seterr(all="ignore", memory="raise")


def test_an_exception_that_nobody_can_raise_is_reported():
    """A function taken while errors were ignored, called when they are not."""
    module("scipy.special")
    out = children.run("""
        import pybridge
        special = pybridge.import_module("scipy.special")
        f = pybridge.native(special.betainc)
        special.seterr(all="raise")
        print(f(-1.0, 1.0, 0.5))
        print(pybridge.eval("1 + 1"), special.betainc(1.0, 1.0, 0.5))
    """)
    assert out.out.splitlines() == ["nan", "2 0.5"]
    assert "SpecialFunctionError" in out.err


# ---- pointers ---------------------------------------------------------------------------


def test_blas_on_views(np):
    blas = module("scipy.linalg.cython_blas")
    capi = blas.__pyx_capi__
    x, y = np.arange(4.0), np.ones(4)
    ddot = pybridge.native(capi["ddot"])
    with pybridge.view(x) as vx, pybridge.view(y) as vy:
        assert ddot([4], vx, [1], vy, [1]) == 6.0
        axpy = pybridge.native(capi["daxpy"])
        assert axpy([4], [10.0], vx, [1], vy, [1]) is None
        assert list(vy) == [1.0, 11.0, 21.0, 31.0]
        n = ffi.new("int *", 4)
        assert ddot(n, ffi.cast("double *", vx._address), [1], vy, ffi.new("int *", 1)) == 146.0
    z = np.array([1 + 2j, 3 - 1j])
    zdotc = pybridge.native(capi["zdotc"])
    with pybridge.view(z) as vz:
        assert zdotc([2], vz, [1], vz, [1]) == 15 + 0j


def test_lapack_solves_in_place(np):
    lapack = module("scipy.linalg.cython_lapack")
    dgesv = pybridge.native(lapack.__pyx_capi__["dgesv"])
    a = np.array([[4.0, 1.0], [2.0, 3.0]]).T.copy()
    b = np.array([1.0, 2.0])
    pivots, info = ffi.new("int[2]"), ffi.new("int *")
    with pybridge.view(a) as va, pybridge.view(b) as vb:
        dgesv([2], [1], va, [2], pivots, vb, [2], info)
        assert info[0] == 0
        assert [round(x, 12) for x in vb] == [0.1, 0.6]


def test_a_pointer_of_another_type_is_refused(np):
    capi = module("scipy.linalg.cython_blas").__pyx_capi__
    ddot = pybridge.native(capi["ddot"])
    good, single = pybridge.view(np.ones(2)), pybridge.view(np.ones(2, "f"))
    for wrong, message in [
        (single, "a view of 'f' elements is no double"),
        (1234, r"int is no double \*: pass a pybridge.view"),
        (np.ones(2), r"is no double \*"),
        ("x", r"str is no double \*"),
        (ffi.new("float[2]"), "must be|initializer"),
    ]:
        with pytest.raises(TypeError, match=message):
            ddot([2], wrong, [1], good, [1])
    with pytest.raises(ValueError, match="a read-only view"):
        ddot([2], good.toreadonly(), [1], good, [1])
    constant = pybridge.native(
        capi["ddot"], "double(int *, const double *, int *, const double *, int *)"
    )
    assert constant([2], good.toreadonly(), [1], good, [1]) == 2.0
    good.release()
    with pytest.raises(ValueError, match="released view"):
        ddot([2], good, [1], good, [1])


# ---- ctypes, addresses, others ----------------------------------------------------------


@pytest.fixture
def ctypes():
    return pybridge.import_module("ctypes")


def test_a_lowlevel_callable_gets_its_user_data(ctypes):
    scipy = module("scipy")
    frexp = ctypes.CDLL("libm.so.6").cos
    frexp.argtypes, frexp.restype = [ctypes.c_double], ctypes.c_double
    assert pybridge.native(scipy.LowLevelCallable(frexp))(0.0) == 1.0
    names = {}
    pybridge.exec(
        """
import ctypes, scipy
@ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double, ctypes.c_void_p)
def f(x, data):
    return x * ctypes.cast(data, ctypes.POINTER(ctypes.c_double))[0]
factor = ctypes.c_double(3.0)
callable = scipy.LowLevelCallable(f, ctypes.cast(ctypes.pointer(factor), ctypes.c_void_p))
""",
        names,
    )
    assert pybridge.native(names["callable"])(2.0) == 6.0


def test_a_function_of_cffi_in_the_guest():
    cffi = module("cffi")
    guest_ffi = cffi.FFI()
    guest_ffi.cdef(
        "double fabs(double); int printf(char *, ...); double *f(double *, int, int);"
    )
    libm = guest_ffi.dlopen("libm.so.6")
    assert pybridge.native(guest_ffi.addressof(libm, "fabs"))(-27.0) == 27.0
    with pytest.raises(_error(), match="variable number"):
        pybridge.native(guest_ffi.cast("int(*)(char *, ...)", 4096))
    with pytest.raises(_error(), match="is no function"):
        pybridge.native(guest_ffi.new("int *"))


def test_function_pointers_of_the_hosts_own_ctypes():
    import ctypes

    libm = ctypes.CDLL("libm.so.6")
    cos, frexp = libm.cos, libm.frexp
    with pytest.raises(_error(), match="set its argtypes"):
        pybridge.native(cos)
    assert pybridge.native(cos, "double(double)")(0.0) == 1.0
    cos.argtypes, cos.restype = [ctypes.c_double], ctypes.c_double
    assert pybridge.native(cos)(0.0) == 1.0
    with pytest.raises(_error(), match=r"is double\(double\), not"):
        pybridge.native(cos, "int(int)")
    frexp.argtypes = [ctypes.c_double, ctypes.POINTER(ctypes.c_int)]
    frexp.restype = ctypes.c_double
    exponent = pybridge.view(pybridge.eval("__import__('array').array('i', [0])"))
    assert pybridge.native(frexp)(8.0, exponent) == 0.5 and exponent[0] == 4
    twice = pybridge.native(ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(lambda x: 2 * x))
    gc.collect()  # the callback is kept
    assert [twice(float(i)) for i in range(3)] == [0.0, 2.0, 4.0]
    for refused, why in (
        (ctypes.CFUNCTYPE(ctypes.c_int)(), "NULL"),
        (ctypes.PYFUNCTYPE(ctypes.c_int)(lambda: 1), "the host's lock"),
    ):
        with pytest.raises(_error(), match=why):
            pybridge.native(refused)


def test_function_pointers_of_the_hosts_own_cffi():
    own = cffi.FFI()
    own.cdef("double fabs(double); int printf(char *, ...);")
    libm = own.dlopen("libm.so.6")
    assert pybridge.native(own.addressof(libm, "fabs"))(-27.0) == 27.0
    assert pybridge.native(ffi.addressof(lib, "pb_pow"))(2.0, 5.0) == 32.0
    with pytest.raises(_error(), match="variable number"):
        pybridge.native(own.cast("int(*)(char *, ...)", 4096))
    with pytest.raises(_error(), match="is no function"):
        pybridge.native(own.new("int *"))
    for other in (math.sin, len, None, "sin", lambda x: x):
        with pytest.raises(TypeError, match="not a host's"):
            pybridge.native(other)


def test_a_cfunc_of_numba():
    numba = module("numba")
    f = numba.cfunc("float64(float64, int64)")(pybridge.eval("lambda x, n: x * n"))
    assert pybridge.native(f)(1.5, 4) == 6.0


def test_native_calls_from_many_threads(np):
    sqrt, ldexp = pybridge.native(np.sqrt), pybridge.native(np.ldexp)
    wrong = []

    def work(n):
        for i in range(3000):
            if sqrt(float(i)) != math.sqrt(i) or ldexp(1.5, n) != math.ldexp(1.5, n):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_what_a_proxy_of_a_ufunc_may_use(np, special):
    loop, n = _native.loop_of_doubles(np.sqrt)
    assert (n, lib.pb_loop_d1(loop, 2.0)) == (1, math.sqrt(2.0))
    assert math.isnan(lib.pb_loop_d1(loop, -1.0))
    loop, n = _native.loop_of_doubles(special.jv)
    assert (n, lib.pb_loop_d2(loop, 1.0, 0.7)) == (2, special.jv(1.0, 0.7))
    for f in (np.modf, np.matmul, np.isnan, pybridge.eval("len")):
        assert _native.loop_of_doubles(f) is None


def test_a_ufuncs_object_that_is_not_as_described_is_refused(np):
    loop = ffi.new("pb_loop *")
    types = bytes([12, 12])
    handle = np.sqrt._pybridge_handle
    assert lib.pb_loop_find(handle, 1, 1, 1, types, 0, loop) == -1
    assert lib.pb_loop_find(handle, 2, 1, 10, types * 10, 0, loop) == -1
    assert lib.pb_loop_find(handle, 1, 1, 10, types * 10, 10, loop) == -1
