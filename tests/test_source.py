# SPDX-License-Identifier: MIT
"""Guest code from the host's source: `@pybridge.guest`."""

from __future__ import annotations

import functools
import math
import os
import traceback
from dataclasses import dataclass, field
from math import sqrt

import children
import pytest

import pybridge
from pybridge import ConversionError, Proxy

FACTOR = 3


def is_guest(x) -> bool:
    return type(x) is not type(is_guest) and "function" in repr(x)


@pybridge.guest
def norms(rows, /, scale: int = 2, *, shift: Unknown = 1) -> list:  # noqa: F821
    """The norms."""
    return [sqrt(sum(v * v for v in row)) * scale * FACTOR + shift for row in rows]


@pybridge.guest
def even(n):
    return True if n == 0 else odd(n - 1)


@pybridge.guest
def odd(n):
    return False if n == 0 else even(n - 1)


@pybridge.guest
@functools.lru_cache(None)
def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


@pybridge.guest
@dataclass
class Point:
    x: float
    y: float = 0.0
    tags: list = field(default_factory=list)

    def length(self):
        return math.hypot(self.x, self.y) * FACTOR

    def __repr__(self):
        return "<" + super().__repr__()[1:6] + ">"


def test_a_function_is_the_guests_and_has_all_that_the_hosts_had():
    assert is_guest(norms)
    assert list(norms([[3, 4]], shift=0)) == [30.0]
    assert norms.__name__ == "norms" and norms.__qualname__ == "norms"
    assert norms.__module__ == __name__
    assert norms.__doc__ == "The norms."
    assert norms.__defaults__ == (2,) and norms.__kwdefaults__ == {"shift": 1}
    assert norms.__annotations__ == {"scale": "int", "shift": "Unknown", "return": "list"}
    assert norms.__code__.co_name == "norms"
    assert pybridge.eval("lambda f: str(__import__('inspect').signature(f))")(norms) == (
        "(rows, /, scale: 'int' = 2, *, shift: 'Unknown' = 1) -> 'list'"
    )


def test_what_the_library_has_is_the_guests_own():
    before = pybridge.statistics().callbacks
    assert list(norms([[3, 4]] * 50, shift=0)) == [30.0] * 50
    assert pybridge.statistics().callbacks == before
    assert norms.__globals__["sqrt"] == pybridge.import_module("math").sqrt


def test_functions_of_a_module_know_each_other_and_themselves():
    assert even(10) is True and odd(10) is False
    assert fibonacci(60) == 1548008755920
    assert fibonacci.cache_info().misses == 61


def test_closures_are_given_as_they_are_now():
    def make(y, helper):
        values = [y, y + 1]

        @pybridge.guest
        def down(n):
            return helper(values[0]) if n == 0 else down(n - 1) + 1

        values.append(0)
        return down

    f = make(5, lambda v: v * 100)
    assert f(3) == 503
    assert f.__qualname__.endswith("make.<locals>.down")


def test_modules_are_the_guests():
    @pybridge.guest
    def of_modules():
        return math, os.getpid()

    module, pid = of_modules()
    assert pid == os.getpid()
    assert module is not math and module.pi == math.pi


def test_other_guest_functions_and_proxies_are_themselves():
    array = pybridge.eval("[1, 2]")

    @pybridge.guest
    def both():
        array.append(3)
        return norms, array

    f, same = both()
    assert f == norms
    assert list(array) == [1, 2, 3] and list(same) == [1, 2, 3]


def test_host_functions_are_called_back():
    seen = []

    def note(x):
        seen.append(x)

    @pybridge.guest
    def calls():
        for i in range(3):
            note(i)

    calls()
    assert seen == [0, 1, 2]


def test_generators_and_coroutines():
    @pybridge.guest
    def count(n):
        got = yield 1
        yield from range(n)
        return got

    generator = count(2)
    assert next(generator) == 1
    assert list(generator) == [0, 1]

    @pybridge.guest
    async def later(x):
        import asyncio

        await asyncio.sleep(0)
        return x + FACTOR

    assert pybridge.import_module("asyncio").run(later(1)) == 4


def test_lambdas():
    f = pybridge.guest(lambda x, y=FACTOR: x + y * FACTOR)
    assert is_guest(f) and f(1) == 10
    two = [
        pybridge.guest(g) for g in (lambda x: x + 1, lambda x: x * 7)
    ]  # fmt: skip
    assert [g(2) for g in two] == [3, 14]
    k = 1
    one, _ = pybridge.guest(lambda a: a + k), (lambda a: a + FACTOR)
    assert one(1) == 2


def test_lambdas_that_look_alike_on_a_line_are_refused():
    pair = (lambda x: x + 1), (lambda x: (x) + 1)
    with pytest.raises(ConversionError, match=r"more than one.*line of its own"):
        pybridge.guest(pair[0])


def test_a_class():
    assert Point(3.0, 4.0).length() == 15.0
    assert Point(1.0) == Point(1.0) and Point(1.0) != Point(2.0)
    assert repr(Point(1.0)) == "<test_>"
    assert Point.__module__ == __name__ and Point.__qualname__ == "Point"
    assert Point.length.__qualname__ == "Point.length"


def test_a_class_in_a_function_sees_its_variables():
    scale = 4

    @pybridge.guest
    class Scaled(dict):
        size = scale

        def get_scaled(self, key):
            return self[key] * scale

    x = Scaled()
    x["a"] = 2
    assert x.get_scaled("a") == 8 and Scaled.size == 4


def test_tracebacks_have_the_hosts_lines():
    @pybridge.guest
    def divide(x):
        y = 0

        return x / y  # the line

    with pytest.raises(ZeroDivisionError) as caught:
        divide(1)
    last = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert (last.name, os.path.basename(last.filename)) == ("divide", "test_source.py")
    assert last.line == "return x / y  # the line"


def test_text_that_is_in_no_file_is_shown_all_the_same():
    import linecache

    source = "import pybridge\n\n@pybridge.guest\ndef f(x):\n    return 1 / x  # here\n"
    name = "<cell 1>"
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    space = {"__name__": "somewhere"}
    exec(compile(source, name, "exec"), space)
    del linecache.cache[name]
    with pytest.raises(ZeroDivisionError) as caught:
        space["f"](0)
    last = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert (last.lineno, last.line) == (5, "return 1 / x  # here")


def test_nonlocal_is_refused():
    n = 0

    def count():
        nonlocal n
        n += 1

    with pytest.raises(ConversionError, match=r"count cannot become.*rebinds n .*nonlocal"):
        pybridge.guest(count)
    own = pybridge.guest(lambda: n)
    assert own() == 0

    @pybridge.guest
    def inner():
        m = 0

        def step():
            nonlocal m
            m += 1
            return m

        return step() + step()

    assert inner() == 3


def test_what_has_no_source_is_refused():
    space = {}
    exec("def f(): pass", space)
    with pytest.raises(ConversionError, match="f cannot become guest code: its source is not"):
        pybridge.guest(space["f"])
    for x in (len, 3, "text", functools.partial(max)):
        with pytest.raises(TypeError, match="wants a host function or class"):
            pybridge.guest(x)
    assert pybridge.guest(norms) is norms


def test_super_and_late_variables_are_refused():
    class A:
        def f(self):
            return super().f()

    with pytest.raises(ConversionError, match="whole class"):
        pybridge.guest(A.f)

    def late():
        return afterwards

    with pytest.raises(ConversionError, match="afterwards has no value yet"):
        pybridge.guest(late)
    afterwards = 1
    assert pybridge.guest(late)() == 1


def test_a_global_that_does_not_exist_is_a_name_error():
    @pybridge.guest
    def missing():
        return no_such_name  # noqa: F821

    with pytest.raises(NameError, match="no_such_name"):
        missing()


def test_pickled_by_name():
    pickle = pybridge.import_module("pickle")
    assert pickle.loads(pickle.dumps(norms)) == norms
    assert pickle.loads(pickle.dumps(Point(1.0, 2.0))) == Point(1.0, 2.0)


def test_functions_go_to_the_guests_process_pool():
    children.run(
        """
        import math, pybridge

        @pybridge.guest
        def area(r):
            return math.pi * r * r

        pybridge.exec(
            "import multiprocessing\\n"
            "with multiprocessing.get_context('fork').Pool(2) as pool:\\n"
            "    answer = pool.map(f, range(10))\\n", space := {"f": area})
        assert list(space["answer"]) == [math.pi * r * r for r in range(10)]
        """,
        timeout=60,
    )


def guest_has(name):
    return (
        pybridge.eval("lambda n: __import__('importlib').util.find_spec(n)")(name) is not None
    )


def test_cloudpickle_takes_them_by_value():
    if not guest_has("cloudpickle"):
        pytest.skip("no cloudpickle in this guest")
    data = pybridge.import_module("cloudpickle").dumps(norms)
    assert b"The norms." in bytes(data)  # the code itself, not its name


def test_joblibs_processes_take_them():
    if not guest_has("joblib"):
        pytest.skip("no joblib in this guest")
    children.run(
        """
        import pybridge

        @pybridge.guest
        def square(x):
            return x * x

        joblib = pybridge.import_module("joblib")
        space = {"f": square}
        pybridge.exec("import joblib\\n"
                      "y = joblib.Parallel(2)(joblib.delayed(f)(i) for i in range(6))", space)
        assert list(space["y"]) == [i * i for i in range(6)]
        """,
        timeout=100,
    )


def test_numba_compiles_them():
    if not guest_has("numba"):
        pytest.skip("no numba in this guest")

    def total(n):
        s = 0.0
        for i in range(n):
            s += sqrt(i) * FACTOR
        return s

    fast = pybridge.import_module("numba").njit(pybridge.guest(total))
    assert fast(1000) == pytest.approx(total(1000))
    assert len(fast.signatures) == 1


def test_proxies_alone_are_made(leakfree):
    f = pybridge.guest(lambda x: x)
    assert isinstance(f, Proxy) and f(1) == 1
