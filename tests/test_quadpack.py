# SPDX-License-Identifier: MIT
"""scipy.integrate.quad of a host function.

The plain way, in which scipy calls it as any function, is there to be compared with: `plainly`.
"""

from __future__ import annotations

import contextlib
import fractions
import functools
import math
import threading
import traceback
import warnings

import children
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import pybridge
from pybridge._core import lib

state = lib.pb_quadpack_state()
INFINITY = math.inf


def module(name):
    try:
        return pybridge.import_module(name)
    except ModuleNotFoundError:
        pytest.skip(f"this guest has no {name.partition('.')[0]}")


@pytest.fixture(scope="module")
def integrate():
    found = module("scipy.integrate")
    found.quad(lambda x: x, 0.0, 1.0)
    if state.integrals == 0:
        pytest.fail("scipy's integrators are not as known")
    return found


@pytest.fixture
def quad(integrate):
    return integrate.quad


@contextlib.contextmanager
def plainly():
    state.use = 0
    try:
        yield
    finally:
        state.use = 1


def both_ways(run):
    """What `run` gives by the C function and plainly."""
    before = state.integrals
    here = run()
    assert state.integrals > before, "the C function was not used"
    before = state.integrals
    with plainly():
        plain = run()
    assert state.integrals == before
    return here, plain


class Recorded:
    """A function's calls; it may raise at one of them."""

    def __init__(self, function, fails_at=-1, error=None):
        self.function = function
        self.fails_at = fails_at
        self.error = error
        self.calls = []

    def __call__(self, *args):
        self.calls.append(args)
        if len(self.calls) - 1 == self.fails_at:
            raise self.error
        return self.function(*args)


def outcome(call, f, *args, fails_at=-1, **options):
    """What comes of `call` with `f` as an integrand: the calls, the result or error, the
    warnings."""
    recorded = Recorded(f, fails_at, ArithmeticError("enough"))

    def integrand(*xs):
        return recorded(*xs)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = call(integrand, *args, **options)
        except Exception as error:
            result = (type(error).__name__, str(error))
        else:
            result = spelled(pybridge.to_host(result))
    said = [(type(w.message).__name__, str(w.message)) for w in caught]
    return [spelled(xs) for xs in recorded.calls], result, said


def spelled(x):
    """Floats by their bits, arrays by their items."""
    if isinstance(x, (tuple, list)):
        return [spelled(item) for item in x]
    if isinstance(x, dict):
        return {
            key: spelled(value[: _used(x, key)] if isinstance(value, list) else value)
            for key, value in x.items()
            if key != "chebmo"
        }
    if isinstance(x, float):
        return float.hex(float(x))
    if hasattr(x, "tolist"):
        return spelled(x.tolist())
    return x


def _used(output, key):
    """How much of an array of quadpack's there is: behind it is what the memory was before."""
    last = output.get("last", output.get("lst", 0))
    room = len(output[key])
    if key == "ndin":  # of the intervals between break points
        return room - 1
    return room + 1 - last if key == "iord" and last > room // 2 + 2 else last


# ---- the same points, values and warnings -----------------------------------------------


NATIVE = """
import math, warnings
def run(quad, source, args, options):
    calls = []
    f = eval(source)
    def integrand(*xs):
        calls.append(xs)
        return f(*xs)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = quad(integrand, *args, **options)
    return calls, result
"""

INTEGRANDS = (
    "lambda x: x * x",
    "lambda x: 1.0 if x < 0.3 else 2.0",
    "lambda x: 1.0 / (1.0 + x * x)",
    "lambda x: 1.0 / math.sqrt(abs(x) + 1e-12)",
    "lambda x: 1 if x > 0 else 0",
    "lambda x: abs(x - 0.7) ** 0.5",
    "lambda x: 1.0 / x if x else 0.0",
    "lambda x: float('nan') if x > 0.5 else 1.0",
    "lambda x: float('inf') if x > 0.5 else x",
    "lambda x: x > 0.5",
)
LIMITS = st.one_of(
    st.floats(-1e3, 1e3),
    st.integers(-5, 5),
    st.floats(allow_nan=False),
    st.sampled_from([INFINITY, -INFINITY]),
)
EXTRA = st.fixed_dictionaries(
    {},
    optional={
        "limit": st.integers(1, 80),
        "epsabs": st.sampled_from([0.0, 1e-10, 1.0]),
        "epsrel": st.sampled_from([1e-13, 1e-8, 1e-2]),
        "full_output": st.integers(0, 1),
    },
)


def no_crash_of_scipys(source, a, b, options):
    """The options without many intervals where there may be NaN among the values: see below."""
    tame = all(abs(x) < 1e6 or abs(x) == INFINITY for x in (a, b))
    if not tame or source not in INTEGRANDS[:3]:
        options = {**options, "limit": min(options.get("limit", 50), 50)}
    return options


def check_against_native(integrate, source, a, b, options):
    """The points and the result of quad here, here without the C function, and natively."""
    f = eval(source, {"math": math})
    options = no_crash_of_scipys(source, a, b, options)
    before = state.surprises
    here = outcome(integrate.quad, f, a, b, **options)
    with plainly():
        assert here == outcome(integrate.quad, f, a, b, **options)
    assert state.surprises == before
    if isinstance(here[1], tuple):
        return  # the error's text was compared
    space = pybridge.eval("{}")
    pybridge.exec(NATIVE, space)
    calls, result = space["run"](integrate.quad, source, (a, b), options)
    assert here[0] == spelled(pybridge.to_host(calls))
    assert repr(here[1]) == repr(spelled(pybridge.to_host(result)))


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(INTEGRANDS), LIMITS, LIMITS, EXTRA)
@example(
    "lambda x: 1.0 / (1.0 + x * x)",
    1e13,
    INFINITY,
    {"limit": 60, "epsrel": 1e-13, "epsabs": 0.0},
)
@example(
    "lambda x: 1.0 if x < 0.3 else 2.0", 1.0, 1.0 + 2e-15, {"epsrel": 1e-13, "epsabs": 0.0}
)
@example("lambda x: abs(x - 0.7) ** 0.5", -1.7e308, 1.7e308, {"full_output": 1})
def test_points_and_results_are_those_of_native_cpython(integrate, source, a, b, options):
    check_against_native(integrate, source, a, b, options)


WEIGHTS = st.one_of(
    st.builds(
        lambda weight, wvar: {"weight": weight, "wvar": wvar},
        st.sampled_from(["cos", "sin"]),
        st.one_of(st.floats(-50.0, 50.0), st.sampled_from([0.0, 1e-9, 1e5, 1e12])),
    ),
    st.builds(
        lambda weight, *wvar: {"weight": weight, "wvar": wvar},
        st.sampled_from(["alg", "alg-loga", "alg-logb", "alg-log"]),
        st.floats(-0.9, 3.0),
        st.sampled_from([0.0, 0.5, -0.5]),
    ),
    st.builds(lambda wvar: {"weight": "cauchy", "wvar": wvar}, st.floats(-3.0, 3.0)),
    st.builds(lambda points: {"points": points}, st.lists(st.floats(-3.0, 3.0), max_size=5)),
)


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(INTEGRANDS), st.floats(-2.0, 2.0), LIMITS, WEIGHTS, EXTRA)
@example("lambda x: x * x", 0.1, INFINITY, {"weight": "cos", "wvar": 1e10}, {})
@example("lambda x: x * x", 0.0, 2.0, {"weight": "cauchy", "wvar": 1.0}, {"limit": 80})
def test_points_with_weights_are_those_of_native_cpython(
    integrate, source, a, b, weight, options
):
    check_against_native(integrate, source, a, b, {**weight, **options})


WAYS = {
    "finite": ((0.0, 2.0), {}),
    "reversed": ((2.0, 0.0), {}),
    "halved": ((0.0, 1.0), {"epsabs": 0.0, "epsrel": 2e-14}),
    "to infinity": ((0.5, INFINITY), {}),
    "many intervals": ((0.0, 1.0), {"limit": 200, "epsabs": 0.0, "epsrel": 2e-14}),
    "many, infinite": ((0.5, INFINITY), {"limit": 51, "full_output": 1}),
    "from infinity": ((-INFINITY, 0.5), {}),
    "both": ((-INFINITY, INFINITY), {}),
    "points": ((0.0, 2.0), {"points": [0.3, 0.9], "epsabs": 0.0, "epsrel": 2e-14}),
    "cos": ((0.0, 2.0), {"weight": "cos", "wvar": 7.5}),
    "sin, infinite": ((0.5, INFINITY), {"weight": "sin", "wvar": 2.5}),
    "alg": ((0.0, 2.0), {"weight": "alg", "wvar": (-0.5, 0.5)}),
    "cauchy": ((0.0, 2.0), {"weight": "cauchy", "wvar": 0.7}),
}
way = pytest.mark.parametrize(("limits", "options"), WAYS.values(), ids=WAYS)


def rough(x, *more):
    return (1.0 if x < 0.3 else 2.0) * math.exp(-x * x) * (1.0 + sum(more))


@way
def test_every_integrator_calls_the_c_function(quad, limits, options):
    for more in ((), (2.0,), (1.0, 3), (1, 2.0, 3.0, 4)):
        before = state.points, state.asked
        here, plain = both_ways(
            lambda more=more: outcome(
                quad, rough, *limits, args=more, **{"full_output": 1, **options}
            )
        )
        assert here == plain
        points, asked = state.points - before[0], state.asked - before[1]
        assert points == len(here[0]) and points >= 12 * asked


@way
def test_after_an_exception_nothing_is_called(quad, limits, options):
    for at in (0, 1, 20, 21, 24):
        here, plain = both_ways(
            lambda at=at: outcome(quad, rough, *limits, fails_at=at, **options)
        )
        assert here == plain
        assert here[1] == ("ArithmeticError", "enough") and len(here[0]) == at + 1


def test_the_host_is_asked_for_many_points_at_once(quad):
    before = state.points, state.asked
    quad(rough, 0.0, 1.0, (), 1, 0.0, 2e-14)
    points, asked = state.points - before[0], state.asked - before[1]
    assert points >= 105 and asked == (points - 21) // 42 + 1


def test_a_lowlevel_function_is_asked_in_the_same_way(quad, leakfree):
    def f(x):
        if x < failing:
            raise ValueError(f"at {x}")
        return 1 if x < 0.3 else 2.0

    failing = -1.0
    low = pybridge.lowlevel(f, "double(double, void *)")
    before = state.points, state.asked
    here, plain = both_ways(lambda: quad(low, 0.0, 1.0, args=(5,)))
    assert here == plain == quad(f, 0.0, 1.0)
    assert state.points - before[0] >= 20 * (state.asked - before[1])
    failing = 0.01
    with pytest.raises(ValueError, match=r"at 0\.00"):
        quad(low, 0.0, 1.0)
    many = pybridge.lowlevel(lambda n, x: x[0] * n, "double(int, double *, void *)")
    asked = state.asked
    assert quad(many, 0.0, 2.0) == (2.0, 2.220446049250313e-14)
    assert state.asked == asked


def test_nested_integrators(integrate):
    def run():
        found = []
        for integral in (
            lambda f: integrate.dblquad(f, 0.0, 2.0, lambda x: 0.0, lambda x: x),
            lambda f: integrate.tplquad(f, 0, 1, 0, 2, 0, 0.5, epsrel=1e-3),
            lambda f: integrate.nquad(f, [[0, 1], [0, 2.0]], args=(), full_output=True),
            lambda f: integrate.nquad(
                f, [[0, 0.3], [0, 0.2], [0.1, 0.4], [0, 0.1]], opts={"epsrel": 0.1}
            ),
        ):
            found.append(outcome(integral, lambda *xs: sum(x * x for x in xs)))
        return found

    here, plain = both_ways(run)
    assert here == plain
    assert [len(calls[0]) for calls, _, _ in here] == [2, 3, 2, 4]


# ---- what the function gives ------------------------------------------------------------


class Floaty:
    def __init__(self, x):
        self.x = x

    def __float__(self):
        if isinstance(self.x, Exception):
            raise self.x
        return self.x


def values():
    np = module("numpy")
    guest_class = "type('F', (), {'__float__': lambda self: 0.25})()"
    return [
        3, True, False, -0.0, 10**400, 1 << 60, (1 << 60) + 1, -(1 << 53) - 1, None, "1.5",
        b"1", 1j, [1.0], (), object(), fractions.Fraction(1, 3), Floaty(0.5), Floaty(3),
        Floaty(ValueError("no")), np.float64(0.1), np.float32(0.1), np.int64(7), np.bool_(True),
        np.array(0.75), np.array([0.75]), np.array([1.0, 2.0]), np.float64("nan"),
        pybridge.eval(guest_class), pybridge.eval("object()"), pybridge.eval("1j"), math.nan,
        INFINITY, lambda: 1.0, float, NotImplemented, type("F", (float,), {})(0.5),
    ]  # fmt: skip


def test_results_are_what_cpython_takes_for_a_float(quad):
    for index, value in enumerate(values()):
        for f in (lambda x, value=value: value, lambda x, value=value: value if x > 0.5 else 1):
            here, plain = both_ways(
                lambda f=f: outcome(quad, f, 0.0, 1.0, epsabs=1e-3, limit=5)
            )
            assert here == plain, (index, value)


def test_further_arguments_are_as_plainly(quad):
    np = module("numpy")
    items = [
        "text",
        None,
        1j,
        (1, "a"),
        np.float64(2.5),
        np.array([1.0, 2.0]),
        1 << 70,
        {"a": 1},
    ]
    for item in items:
        seen = []

        def f(x, y, seen=seen):
            seen.append((type(y), repr(y)))
            return x

        here, plain = both_ways(lambda f=f, item=item: quad(f, 0.0, 1.0, args=(item,)))
        assert here == plain
        assert len(seen) == 42 and len(set(seen)) == 1
    history = []
    quad(lambda x, kept: kept.append(x) or x, 0.0, 1.0, args=(history,))
    assert len(history) == 21


def test_wrong_numbers_of_arguments(quad):
    for f, args in (
        (lambda: 1.0, ()), (lambda x, y: 1.0, ()), (lambda x: 1.0, (1.0,)),
        (lambda x, *, y: 1.0, ()),
    ):  # fmt: skip
        texts = []
        for ways in (contextlib.nullcontext(), plainly()):
            with ways, pytest.raises(TypeError) as caught:
                quad(f, 0.0, 1.0, args=args)
            texts.append(str(caught.value))
        assert texts[0] == texts[1]
    assert quad(lambda x, y=3.0, *more, k=1.0: x * y * k + len(more), 0.0, 2.0) == (
        6.0,
        6.661338147750939e-14,
    )


def test_callables_of_every_kind(quad):
    class Line:
        def __init__(self, slope):
            self.slope = slope

        def at(self, x):
            return self.slope * x

        def __call__(self, x):
            return self.slope * x

    import operator

    for f in (
        Line(2.0).at, Line(2.0), functools.partial(lambda a, x: a * x, 2.0), abs, math.sqrt,
        operator.neg, float, functools.lru_cache(maxsize=None)(lambda x: x), Line(3.0).at,
        pybridge.eval("lambda x: 2 * x"), pybridge.eval("abs"),
    ):  # fmt: skip
        here = quad(f, 0.0, 1.0)
        with plainly():
            assert here == quad(f, 0.0, 1.0)


def test_a_function_that_changes_during_the_integration(quad):
    def f(x, power=1):
        f.__defaults__ = (f.__defaults__[0] + 1,)
        return x**power

    def run():
        f.__defaults__ = (1,)
        return quad(f, 0.0, 1.0, limit=3), f.__defaults__

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        here, plain = both_ways(run)
    assert here == plain


# ---- exceptions -------------------------------------------------------------------------


def traced(quad, f, *args, **options):
    """The exception of an integration, and its traceback: (file, line, function)s."""
    try:
        quad(f, *args, **options)
    except BaseException as error:
        found = [
            (s.filename, s.lineno, s.name) for s in traceback.extract_tb(error.__traceback__)
        ]
        return error, found, error.__context__, error.__cause__
    raise AssertionError("nothing was raised")


@way
def test_the_traceback_is_the_same(quad, limits, options):
    error = KeyError("here")

    def inner(x):
        if x != 0.1:
            raise error.with_traceback(None)
        return x

    def f(x):
        return inner(x)

    here, plain = both_ways(lambda: traced(quad, f, *limits, **options))
    assert here[0] is error and plain[0] is error
    assert here[1:] == plain[1:]
    names = [name for _, _, name in here[1]]
    assert names[0] == "traced" and names[-2:] == ["f", "inner"] and "quad" in names


def test_links_of_exceptions(quad):
    def f(x):
        raise OSError("second")

    def g(x):
        raise OSError("third") from ArithmeticError("cause")

    for function in (f, g):

        def run(function=function):
            try:
                raise LookupError("first")
            except LookupError:
                error, _, context, cause = traced(quad, function, 0.0, 1.0)
                return repr(error), repr(context), repr(cause), error.__suppress_context__

        here, plain = both_ways(run)
        assert here == plain


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit, StopIteration])
def test_other_exceptions(quad, kind):
    calls = []

    def f(x):
        calls.append(x)
        raise kind("now")

    with pytest.raises(kind):
        quad(f, 0.0, 1.0)
    assert len(calls) == 1
    assert quad(lambda x: 2.0 * x, 0.0, 1.0)[0] == 1.0


def test_an_exception_of_the_guest_goes_through(quad):
    log = pybridge.import_module("math").log

    here, plain = both_ways(lambda: outcome(quad, lambda x: log(0.5 - x), 0.0, 1.0))
    assert here == plain and here[1][0] == "ValueError"


def test_a_failed_integration_with_many_intervals_ends_soon(quad):
    calls = []

    def f(x):
        calls.append(x)
        if len(calls) > 5000:
            raise ValueError("at last")
        return math.sin(1.0 / x) if x else 0.0

    with pytest.raises(ValueError, match="at last"):
        quad(f, 0.0, 1.0, epsabs=0.0, epsrel=1e-13, limit=1_000_000)
    assert len(calls) == 5001


def test_an_exception_after_nan_is_no_crash(quad):
    """scipy 1.18 crashes with NaN and many intervals, without the bridge as well."""

    def f(x, *more):
        if len(calls) > 40:
            raise ValueError("enough")
        calls.append(x)
        return float("nan") if x > 0.5 else 1.0

    def g(n, x):
        return f(x[0])

    many = pybridge.lowlevel(g, "double(int, double *, void *)")
    for limit in (50, 68, 80):
        for limits in ((-INFINITY, 1), (1, -INFINITY), (0.717, -INFINITY), (0.0, 1.0)):
            for function in (f, pybridge.lowlevel(f, "double(double, void *)"), many):
                calls = []
                with pytest.raises(ValueError, match="enough"):
                    quad(function, *limits, limit=limit, epsabs=0.0, epsrel=1e-13)
                assert len(calls) == 41


def test_ctrl_c_ends_the_integration(integrate):
    out = children.run("""
        import os, signal, threading, time
        import pybridge
        integrate = pybridge.import_module("scipy.integrate")
        calls = []

        def f(x):
            calls.append(x)
            if len(calls) == 30:
                os.kill(os.getpid(), signal.SIGINT)
                while True:
                    time.sleep(0.01)
            return 1.0 if x < 0.3 else 2.0

        try:
            integrate.quad(f, 0.0, 1.0)
        except KeyboardInterrupt:
            print("interrupted", len(calls))
        print(integrate.quad(lambda x: 2.0 * x, 0.0, 1.0)[0])
    """)
    assert out.out == "interrupted 30\n1.0\n"


# ---- nesting, threads, lifetimes --------------------------------------------------------


def test_a_function_that_integrates(quad):
    def deep(level):
        def f(x):
            return x if level == 0 else x * quad(deep(level - 1), 0.0, 1.0)[0]

        return f

    here, plain = both_ways(lambda: quad(deep(3), 0.0, 1.0))
    assert here == plain and abs(here[0] - 0.0625) < 1e-12


def test_an_inner_failure_is_the_inner_integrations(quad):
    def inner(x):
        raise ValueError("inner")

    def f(x):
        with pytest.raises(ValueError, match="inner"):
            quad(inner, 0.0, 1.0)
        return x

    here, plain = both_ways(lambda: quad(f, 0.0, 1.0))
    assert here == plain


def test_a_recursion_without_end_is_a_recursion_error(integrate):
    out = children.run("""
        import pybridge
        quad = pybridge.import_module("scipy.integrate").quad
        quad(lambda x: x, 0.0, 1.0)

        def f(x):
            return quad(f, 0.0, 1.0)[0]

        for _ in range(2):
            try:
                quad(f, 0.0, 1.0)
            except RecursionError:
                print("ended", pybridge.eval("1 + 1"))
    """)
    assert out.out == "ended 2\nended 2\n"


def test_threads_integrate_at_the_same_time(quad):
    expected = [quad(lambda x, k=k: k * x if x > 0.3 else 1.0, 0.0, 2.0) for k in range(4)]
    found = {}
    barrier = threading.Barrier(4)

    def work(k):
        barrier.wait()
        found[k] = {quad(lambda x: k * x if x > 0.3 else 1.0, 0.0, 2.0) for _ in range(25)}

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {k: {expected[k]} for k in range(4)}


def test_a_thread_of_the_guest_integrates_a_host_function(quad):
    space = pybridge.eval("{}")
    pybridge.exec(
        """
import threading
def run(quad, f):
    found = []
    threads = [threading.Thread(target=lambda: found.append(quad(f, 0, 1))) for _ in range(3)]
    for t in threads: t.start()
    for t in threads: t.join()
    return found
""",
        space,
    )
    before = state.integrals
    assert space["run"](quad, lambda x: 2.0 * x) == [quad(lambda x: 2.0 * x, 0, 1)] * 3
    assert state.integrals == before + 4


def test_nothing_is_kept(quad, leakfree):
    class Big:
        pass

    def once():
        big = Big()

        def f(x, other=None):
            return x if x < 0.3 else len([big])

        assert quad(f, 0.0, 1.0)[0] > 0.0
        quad(f, 0.0, 1.0, args=(big,))
        with pytest.raises(ZeroDivisionError):
            quad(lambda x: len([big]) / 0.0, 0.0, 1.0)

    for _ in range(40):
        once()


# ---- scipy's module ---------------------------------------------------------------------


def test_scipys_names_are_what_they_were(integrate):
    quadpack = pybridge.import_module("scipy.integrate._quadpack")
    for name in ("_qagse", "_qawce"):
        function = getattr(quadpack, name)
        assert function.__name__ == name
        assert function.__doc__ == function.__self__.__doc__
        assert function.__module__ == function.__self__.__module__
    with pytest.raises(TypeError):
        quadpack._qagse()
    with pytest.raises(TypeError):
        quadpack._qagse(lambda x: x, "a", 1.0, ())


def test_scipy_is_left_alone_until_it_is_used(integrate):
    out = children.run("""
        import sys
        import pybridge
        assert "pybridge._callback" not in sys.modules
        pybridge.import_module("functools").reduce(lambda a, b: a, [1, 2])
        integrate = pybridge.import_module("scipy.integrate")
        assert "pybridge._quadpack" not in sys.modules
        own = pybridge.import_module("scipy.integrate._quadpack")
        before = own._qagse.__self__.__name__
        integrate.quad(lambda x: x, 0.0, 1.0)
        assert "pybridge._quadpack" in sys.modules
        print(before, own._qagse.__self__.__name__)
    """)
    assert out.out == "scipy.integrate._quadpack _qagse\n"


def test_scipy_imported_again(integrate):
    out = children.run("""
        import pybridge
        from pybridge._core import lib
        state = lib.pb_quadpack_state()
        print(pybridge.import_module("scipy.integrate").quad(lambda x: 2.0 * x, 0, 1)[0])
        pybridge.exec(
            "import importlib, sys; import scipy.integrate._quadpack_py as module\\n"
            "importlib.reload(module)\\n"
            "for name in [n for n in sys.modules if n.startswith('scipy.integrate')]:\\n"
            "    del sys.modules[name]",
            {},
        )
        again = pybridge.import_module("scipy.integrate")
        for _ in range(2):
            print(again.quad(lambda x: 2.0 * x, 0, 1)[0], state.integrals)
    """)
    assert out.out == "1.0\n1.0 2\n1.0 3\n"


@pytest.mark.parametrize(
    "change",
    [
        "module._qagse = lambda *args: (own(*args))",
        "del module._qawce",
        "module._qagie = len",
        "sys.modules['scipy.integrate._quadpack'] = None; held = module",
    ],
)
def test_an_unknown_scipy_is_left_alone(integrate, change):
    out = children.run(f"""
        import pybridge
        from pybridge._core import lib
        integrate = pybridge.import_module("scipy.integrate")
        pybridge.exec(
            "import sys; module = sys.modules['scipy.integrate._quadpack']\\n"
            "own = module._qagse; {change}",
            {{}},
        )
        print(integrate.quad(lambda x: 2.0 * x, 0, 1)[0], lib.pb_quadpack_state().integrals)
    """)
    assert out.out == "1.0 0\n"


UNFORESEEN = """
import ctypes, sys
import scipy.integrate

module = sys.modules["scipy.integrate._quadpack"]
own, points = module._qagse, []
api = ctypes.pythonapi

class Method(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("function", ctypes.c_void_p),
                ("flags", ctypes.c_int), ("doc", ctypes.c_char_p)]

def ask(function, *args):
    function.restype, function.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return function(*args)

def integrate(self, args):
    # As scipy's, until it is told for which points to ask.
    if not points:
        return own(*args)
    capsule = tuple.__getitem__(args[0], 0)
    address = ask(api.PyCapsule_GetPointer, capsule, b"double (double, void *)")
    api.PyCapsule_GetContext.restype = ctypes.c_void_p
    api.PyCapsule_GetContext.argtypes = [ctypes.py_object]
    point = ctypes.PYFUNCTYPE(ctypes.c_double, ctypes.c_double, ctypes.c_void_p)(address)
    data = api.PyCapsule_GetContext(capsule)
    return tuple(point(x, data) for x in points), 0.0, 0

callback = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.py_object)(integrate)
method = Method(b"_qagse", ctypes.cast(callback, ctypes.c_void_p).value, 1, b"")
api.PyCFunction_NewEx.restype = ctypes.py_object
api.PyCFunction_NewEx.argtypes = [ctypes.c_void_p] * 3
module._qagse = api.PyCFunction_NewEx(ctypes.addressof(method), None, None)
"""


def test_points_that_were_not_foreseen_are_asked_for_by_themselves(integrate):
    out = children.run(f"""
        import pybridge
        from pybridge._core import lib
        state = lib.pb_quadpack_state()
        space = pybridge.eval("{{}}")
        pybridge.exec({UNFORESEEN!r}, space)
        quad = pybridge.import_module("scipy.integrate").quad
        calls = []

        def f(x):
            calls.append(x)
            return 3.0 * x

        quad(f, 0.0, 1.0)
        asked = calls[:]
        assert state.asked == 1 and len(asked) == 21
        for points in (asked[:2] + [0.125, 0.75], asked[:1], [0.125, 0.5]):
            space["points"][:] = points
            calls.clear()
            values, error = quad(f, 0.0, 1.0)
            assert list(values) == [3.0 * x for x in points]
            print(len(calls), calls[-2:], state.surprises)
    """)
    # The first time the 21 that were foreseen are asked for as well; after that none ahead.
    assert out.out == "23 [0.125, 0.75] 1\n1 [0.5] 1\n2 [0.125, 0.5] 1\n"


@pytest.mark.parametrize("limits", [(0.0, 1.0), (0.0, 1e120), (0.5, INFINITY)], ids=repr)
def test_many_intervals_and_values_that_are_no_everyday_numbers(quad, limits):
    """They are asked for once, though the integration is begun anew."""
    for odd in (1e200, -INFINITY, math.nan):

        def f(x, more=1.0, odd=odd):
            return odd if 0.8 < x < 0.85 else more / (1.0 + x)

        for options in ({}, {"fails_at": 20}, {"fails_at": 40}, {"fails_at": 130}):
            for limit in (51, 55):
                here, plain = both_ways(
                    lambda f=f, options=options, limit=limit: outcome(
                        quad, f, *limits, limit=limit, epsrel=1e-13, args=(2.0,), **options
                    )
                )
                assert here == plain
