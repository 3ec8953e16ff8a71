# SPDX-License-Identifier: MIT
"""Host functions as C functions."""

from __future__ import annotations

import gc
import math
import threading

import children
import pytest

import pybridge
from pybridge._core import ffi


def module(name):
    try:
        return pybridge.import_module(name)
    except ModuleNotFoundError:
        pytest.skip(f"this guest has no {name.partition('.')[0]}")


@pytest.fixture
def quad():
    return module("scipy.integrate").quad


ONE = "double(double, void *)"
MANY = "double(int, double *, void *)"
FILTER = "int(double *, npy_intp, double *, void *)"


def called(f, signature, guest_types, *args):
    """Call the C function as guest C code does, by ctypes."""
    low = pybridge.lowlevel(f, signature)
    call = pybridge.eval(
        "lambda a, types, args: (lambda c: c.CFUNCTYPE("
        "*[getattr(c, t) if t else None for t in types])(a)(*args))(__import__('ctypes'))"
    )
    user = (low._holder.number,) if signature.endswith("void *)") else ()
    return call(low.address, guest_types, (*args, *user))


def test_quad_integrates_a_host_function(quad):
    seen = []

    def f(x):
        seen.append(x)
        return x * x

    value, error = quad(pybridge.lowlevel(f, ONE), 0.0, 3.0)
    assert abs(value - 9.0) < 1e-9 and error < 1e-9
    assert {type(x) for x in seen} == {float}
    assert quad(pybridge.lowlevel(lambda x: 1, ONE), 0, 2)[0] == 2.0
    value, _ = quad(pybridge.lowlevel(lambda x: math.exp(-x * x), ONE), -math.inf, math.inf)
    assert abs(value - math.sqrt(math.pi)) < 1e-8


def test_the_same_object_is_passed_again_and_again(quad):
    f = pybridge.lowlevel(lambda x: 2.0 * x, ONE)
    assert [quad(f, 0.0, b)[0] for b in (1.0, 2.0, 4.0)] == [1.0, 4.0, 16.0]


def test_nquad_gives_all_variables():
    nquad = module("scipy.integrate").nquad
    f = pybridge.lowlevel(lambda n, x: x[0] * x[1] * n, MANY)
    value, _ = nquad(f, [[0.0, 1.0], [0.0, 2.0]])
    assert abs(value - 2 * 0.5 * 2.0) < 1e-9


def test_filters_of_ndimage():
    np, ndimage = module("numpy"), module("scipy.ndimage")
    a = np.arange(12.0).reshape(3, 4)

    def spread(values, n, result):
        window = [values[i] for i in range(n)]
        result[0] = max(window) - min(window)

    got = ndimage.generic_filter(a, pybridge.lowlevel(spread, FILTER), size=3)
    expected = ndimage.maximum_filter(a, size=3) - ndimage.minimum_filter(a, size=3)
    assert got.tolist() == expected.tolist()

    def running(line, n, out, m):
        for i in range(m):
            out[i] = line[i] + line[i + 1] + line[i + 2]
        return 1

    got = ndimage.generic_filter1d(
        a,
        pybridge.lowlevel(running, "int(double *, npy_intp, double *, npy_intp, void *)"),
        filter_size=3,
    )
    assert got.tolist() == ndimage.convolve1d(a, [1.0, 1.0, 1.0]).tolist()

    def shift(output, source, output_rank, input_rank):
        for i in range(input_rank):
            source[i] = output[i] - 1.0
        return 1

    got = ndimage.geometric_transform(
        a, pybridge.lowlevel(shift, "int(npy_intp *, double *, int, int, void *)"), order=0
    )
    assert got.tolist() == ndimage.shift(a, 1, order=0).tolist()


# ---- exceptions -------------------------------------------------------------------------


def test_an_exception_ends_the_integration_and_is_that_very_object(quad):
    error = ValueError("not at one half")
    calls = []

    def f(x):
        calls.append(x)
        raise error

    with pytest.raises(ValueError, match="not at one half") as caught:
        quad(pybridge.lowlevel(f, ONE), 0.0, 1.0)
    assert caught.value is error
    assert len(calls) == 1
    frames = [entry.name for entry in caught.traceback]
    assert frames[-1] == "f" and "entry" not in frames
    assert abs(quad(pybridge.lowlevel(lambda x: x, ONE), 0.0, 1.0)[0] - 0.5) < 1e-12


@pytest.mark.parametrize("wrong", [None, "x", 1j, [1.0]], ids=repr)
def test_what_is_no_number_is_a_type_error(quad, wrong):
    with pytest.raises(TypeError):
        quad(pybridge.lowlevel(lambda x: wrong, ONE), 0.0, 1.0)


def test_an_exception_in_a_filter_is_raised_where_it_happened():
    np, ndimage = module("numpy"), module("scipy.ndimage")

    def bad(values, n, result):
        raise KeyError("in the filter")

    with pytest.raises(KeyError, match="in the filter"):
        ndimage.generic_filter(np.ones((3, 3)), pybridge.lowlevel(bad, FILTER), size=3)
    with pytest.raises(ZeroDivisionError):
        ndimage.generic_filter1d(
            np.ones((3, 3)),
            pybridge.lowlevel(
                lambda *args: 1 // 0, "int(double *, npy_intp, double *, npy_intp, void *)"
            ),
            filter_size=3,
        )


def test_an_exception_without_the_guests_lock_ends_the_call():
    """ctypes lets the GIL go around a foreign function."""

    def bad(x):
        raise LookupError("without the lock")

    with pytest.raises(LookupError, match="without the lock"):
        called(bad, ONE, ("c_double", "c_double", "c_void_p"), 1.0)
    assert called(lambda x: x + 1, ONE, ("c_double", "c_double", "c_void_p"), 1.0) == 2.0


def test_an_exception_without_the_guests_lock_ends_any_crossing():
    """Also of one whose result is no object."""

    def bad(x):
        raise LookupError("without the lock")

    low = pybridge.lowlevel(bad, ONE)
    names = {"address": low.address, "number": low._holder.number}
    pybridge.exec(
        "import ctypes\n"
        "bad = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double, ctypes.c_void_p)(address)\n"
        "class Asked:\n"
        "    def asked(self, *args):\n"
        "        bad(1.0, number)\n"
        "        return 1\n"
        "    __len__ = __bool__ = __hash__ = __contains__ = asked\n"
        "    __setattr__ = __delattr__ = __setitem__ = __delitem__ = asked\n"
        "class Falsy(Asked):\n"
        "    def __bool__(self): return self.asked() == 2\n"
        "class Ended:\n"
        "    def __iter__(self): return self\n"
        "    def __next__(self):\n"
        "        bad(1.0, number)\n"
        "        raise StopIteration\n",
        names,
    )
    x = names["Asked"]()
    for use in (
        len, hash, bool, lambda x: 1 in x, lambda x: setattr(x, "a", 1),
        lambda x: delattr(x, "a"), lambda x: x.__setitem__(1, 2), lambda x: x.__delitem__(1),
        lambda x: bool(names["Falsy"]()), lambda x: next(names["Ended"]()),
    ):  # fmt: skip
        with pytest.raises(LookupError, match="without the lock"):
            use(x)
        assert pybridge.eval("1 + 1") == 2


def test_an_exception_on_a_thread_that_is_nobodys_is_reported():
    out = children.run(
        """
        import pybridge

        def work(data):
            raise ValueError("on a thread of C")

        low = pybridge.lowlevel(work, "intptr_t(void *, void *)")
        names = {"address": low.address}
        pybridge.exec('''
        import ctypes
        c = ctypes.CDLL(None)
        thread = ctypes.c_ulong()
        assert c.pthread_create(ctypes.byref(thread), None, ctypes.c_void_p(address), None) == 0
        c.pthread_join(thread, None)
        '''.replace("        ", ""), names)
        print("ended", pybridge.eval("1 + 1"))
    """.replace('"intptr_t(void *, void *)"', '"intptr_t(void *)"').replace(
            "work(data)", "work()"
        )
    )
    assert out.out == "ended 2\n"
    assert "ValueError: on a thread of C" in out.err


def test_an_interrupt_in_the_function_ends_the_integration(quad):
    def f(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quad(pybridge.lowlevel(f, ONE), 0.0, 1.0)


def test_a_guest_exception_goes_through(quad):
    log = pybridge.import_module("math").log
    with pytest.raises(ValueError, match=r"math domain error|expected a positive"):
        quad(pybridge.lowlevel(lambda x: log(-1.0 - x), ONE), 0.0, 1.0)


# ---- calls back, threads, lifetimes -----------------------------------------------------


def test_the_function_may_call_the_guest_and_integrate_itself(quad):
    sqrt = pybridge.import_module("math").sqrt

    def outer(y):
        return quad(pybridge.lowlevel(lambda x: sqrt(x) * y, ONE), 0.0, 1.0)[0]

    assert abs(quad(pybridge.lowlevel(outer, ONE), 0.0, 2.0)[0] - 4.0 / 3.0) < 1e-7


def test_a_recursion_without_end_is_a_recursion_error(quad):
    out = children.run("""
        import pybridge
        quad = pybridge.import_module("scipy.integrate").quad

        def f(x):
            return quad(g, 0.0, 1.0)[0]

        g = pybridge.lowlevel(f, "double(double, void *)")
        try:
            quad(g, 0.0, 1.0)
        except RecursionError:
            print("ended", pybridge.eval("1 + 1"))
    """)
    assert out.out == "ended 2\n"


def test_any_other_signature_has_a_closure():
    assert called(lambda x: x / 2, "double(double)", ("c_double", "c_double"), 3.0) == 1.5
    assert (
        called(lambda a, b: a + b, "long(int, long)", ("c_long", "c_int", "c_long"), 1, 2) == 3
    )
    got = []
    assert called(got.append, "void(double)", (None, "c_double"), 2.5) is None
    assert got == [2.5]
    with pytest.raises(TypeError):
        called(lambda x: "no", "int(double)", ("c_int", "c_double"), 3.0)


def test_many_threads_integrate(quad):
    results = {}

    def work(k):
        f = pybridge.lowlevel(lambda x: k * x, ONE)
        results[k] = [round(quad(f, 0.0, 2.0)[0], 9) for _ in range(30)]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {k: [2.0 * k] * 30 for k in range(5)}


def test_a_function_lives_as_long_as_the_guest_has_it(quad):
    names = {"f": pybridge.lowlevel(lambda x: x + 1.0, ONE)}
    space = pybridge.eval("{}")
    pybridge.exec("from scipy.integrate import quad", space)
    space["f"] = names.pop("f")
    for _ in range(3):
        gc.collect()
    more = [pybridge.lowlevel(lambda x: -1.0, ONE) for _ in range(20)]
    assert pybridge.eval("quad(f, 0.0, 1.0)[0]", space) == 1.5
    del more


def test_numbers_are_used_again(quad, leakfree):
    from pybridge import _lowlevel

    sizes = []
    for _ in range(10):
        for _ in range(40):
            quad(pybridge.lowlevel(lambda x: x, ONE), 0.0, 1.0)
        for _ in range(3):
            gc.collect()
            pybridge.eval("__import__('gc').collect()")
            pybridge.statistics()
        sizes.append(len(_lowlevel._functions))
    assert sizes[-1] - sizes[2] < 40, sizes  # 280 were made meanwhile


def test_what_cannot_be_a_c_function_is_refused():
    with pytest.raises(TypeError, match="a host function can be a C function, not int"):
        pybridge.lowlevel(3, ONE)
    with pytest.raises(TypeError, match="a host function"):
        pybridge.lowlevel(pybridge.eval("len"), ONE)
    for wrong in ("double(", "object(double)", "double complex(double)", "void *(double)"):
        with pytest.raises(pybridge.ConversionError):
            pybridge.lowlevel(abs, wrong)


def test_a_lowlevel_object_is_callable_and_says_what_it_is():
    low = pybridge.lowlevel(abs, "double(double,void*)")
    assert low(-2.0) == 2.0
    assert (low.function, low.signature) == (abs, ONE)
    assert repr(low) == f"<{abs!r} as {ONE}>"
    assert ffi.cast("double(*)(double, void *)", low.address) != ffi.NULL


def test_scipy_refuses_a_signature_that_it_does_not_know(quad):
    with pytest.raises(ValueError, match=r"scipy.LowLevelCallable signature"):
        quad(
            pybridge.lowlevel(lambda a, b, c: 0.0, "double(double, double, double, void *)"),
            0,
            1,
        )
