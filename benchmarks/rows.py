# SPDX-License-Identifier: MIT
"""The measured loops.  The same text runs on native CPython and on the host.

`make(side)` gives {row: function(n)}; each function does its operation n times in a plain
`for` loop, which is part of the figure on all sides; there is an empty one to compare with.
"""

from __future__ import annotations

from array import array
from typing import Any, Callable

from goals import EMPTY
from sides import Side

GUEST = """
def f(x): return x

def g(x, y=1): return x

def call_with_name(h, n):
    for _ in range(n): h(2.5, y=1)

class Point:
    def __init__(self): self.x = 5

    def m(self, i): return i

class Empty: pass

def fail(): raise ValueError("no")

def generate(n):
    for i in range(n): yield i

def same(s): return s

point = Point()
table = {"a": 1}
hundred = list(range(100))
numbers = list(range(1000))
doubles = __import__("array").array("d", range(1000))
"""


def make(side: Side) -> dict[str, Callable[[int], None]]:
    """The rows, on one side: this interpreter alone, the bridge, or another process."""
    if side.name == "cpyext":  # the host's own objects are no comparison
        return number_rows(side)
    names = side.run(GUEST)
    math, functools = side.load("math"), side.load("functools")
    sqrt, f, point, Empty = math.sqrt, names["f"], names["point"], names["Empty"]
    reduce, numbers = functools.reduce, names["numbers"]
    elements = side.view(names["doubles"])

    def call_sqrt(n: int) -> None:
        x = 2.5
        for _ in range(n):
            sqrt(x)

    def do_nothing(n: int) -> None:
        for _ in range(n):
            pass

    def call_module_sqrt(n: int) -> None:
        x = 2.5
        for _ in range(n):
            math.sqrt(x)

    def call_function(n: int) -> None:
        x = 2.5
        for _ in range(n):
            f(x)

    g, call_with_name = names["g"], names["call_with_name"]

    def call_with_keyword(n: int) -> None:
        x = 2.5
        for _ in range(n):
            g(x, y=1)

    def plain(x: float, y: int = 0) -> float:
        return x

    def call_back_with_keyword(n: int) -> None:
        for _ in range(n // 1000 or 1):
            call_with_name(plain, 1000)

    def read_attribute(n: int) -> None:
        total = 0
        for _ in range(n):
            total += point.x

    def create_and_drop(n: int) -> None:
        for _ in range(n):
            Empty()

    def add(x: int, y: int) -> int:
        return x + y

    def call_back(n: int) -> None:
        for _ in range(n // 1000 or 1):
            reduce(add, numbers)

    def read_elements(n: int) -> None:
        for _ in range(n // 1000 or 1):
            total = 0.0
            for i in range(1000):
                total += elements[i]

    return {
        **number_rows(side),
        **_object_rows(names),
        EMPTY: do_nothing,
        "sqrt(x)": call_sqrt,
        "math.sqrt(x)": call_module_sqrt,
        "f(x), a guest function": call_function,
        "f(x, y=1), a guest function": call_with_keyword,
        "callback with a keyword": call_back_with_keyword,
        "point.x, an int": read_attribute,
        "Empty(), created and dropped": create_and_drop,
        "callback from reduce": call_back,
        "v[i], a double of a view": read_elements,
    }


def _object_rows(names: dict[str, Any]) -> dict[str, Callable[[int], None]]:
    """What programs do with objects of the guest."""
    point, table, hundred, fail = (
        names["point"],
        names["table"],
        names["hundred"],
        names["fail"],
    )
    numbers, generate, same = names["numbers"], names["generate"], names["same"]

    def call_method(n: int) -> None:
        for _ in range(n):
            point.m(1)

    def dict_get(n: int) -> None:
        for _ in range(n):
            table["a"]

    def dict_set(n: int) -> None:
        for i in range(n):
            table["a"] = i

    def list_get(n: int) -> None:
        for _ in range(n):
            hundred[50]

    def iterate_list(n: int) -> None:
        for _ in range(n // 1000 or 1):
            total = 0
            for x in numbers:
                total += x

    def iterate_generator(n: int) -> None:
        for _ in range(n // 1000 or 1):
            total = 0
            for x in generate(1000):
                total += x

    def catch(n: int) -> None:
        for _ in range(n):
            try:
                fail()
            except ValueError:
                pass

    def hand_over_lists(n: int) -> None:
        for i in range(n):
            same([i, i + 1, i + 2, i + 3, i + 4, i + 5, i + 6, i + 7, i + 8, i + 9])

    def text(characters: str) -> Callable[[int], None]:
        def round_trip(n: int) -> None:
            for _ in range(n):
                same(characters)

        return round_trip

    return {
        "o.m(1)": call_method,
        "dict get": dict_get,
        "dict set": dict_set,
        "list get": list_get,
        "for x in a list": iterate_list,
        "for x in a generator": iterate_generator,
        "exception caught": catch,
        "a list of 10 ints as an argument": hand_over_lists,
        "text, 10 there and back": text("abcdefghij"),
        "text, 1000 there and back": text("abcdefghij" * 100),
        "text, 1M there and back": text("abcdefghij" * 100_000),
        "text, 1M Cyrillic there and back": text("абвгдежзий" * 100_000),
    }


def _array_rows(side: Side, np: Any) -> dict[str, Callable[[int], None]]:
    """Elements of arrays and scalar calls as programs write them: the same on both sides."""
    a = np.arange(1000.0)

    def read_elements(n: int) -> None:
        for _ in range(n // 1000 or 1):
            total = 0.0
            for i in range(1000):
                total += a[i]

    def iterate(n: int) -> None:
        for _ in range(n // 1000 or 1):
            total = 0.0
            for x in a:
                total += x

    def scale_elements(n: int) -> None:
        c = 1.0000001
        for _ in range(n // 1000 or 1):
            for i in range(1000):
                a[i] = a[i] * c

    ints, ten, many = np.arange(1000), np.arange(10.0), np.ones(100_000)
    matrix = np.ones((1000, 4))
    records = np.zeros(1000, side.sent([("kind", "u1"), ("count", "i4"), ("price", "f8")]))
    floats = [float(i) for i in range(100_000)]
    large = np.zeros(100_000)

    def read_ints(n: int) -> None:
        for _ in range(n // 1000 or 1):
            total = 0
            for i in range(1000):
                total += ints[i]

    def read_matrix(n: int) -> None:
        for _ in range(n // 1000 or 1):
            total = 0.0
            for i in range(1000):
                total += matrix[i, 2]

    def read_rows(n: int) -> None:
        for _ in range(n // 1000 or 1):
            total = 0.0
            for row in matrix:
                total += row[2]

    def read_fields(n: int) -> None:
        for _ in range(n // 1000 or 1):
            total = 0.0
            for record in records:
                total += record["price"] * record["count"]

    def add(x: Any) -> Callable[[int], None]:
        def add_arrays(n: int) -> None:
            for _ in range(n):
                x + x

        return add_arrays

    def add_scaled(n: int) -> None:
        y = many
        for _ in range(n):
            y = many + y * 0.5

    def take_slice(n: int) -> None:
        for _ in range(n):
            a[1:]

    def read_shape(n: int) -> None:
        for _ in range(n):
            matrix.shape[0]

    def count_large(n: int) -> None:
        for _ in range(n // 1000 or 1):
            found = 0
            for i in range(1000):
                found += a[i] > 5.0

    def remainders(n: int) -> None:
        for _ in range(n // 1000 or 1):
            total = 0.0
            for i in range(1000):
                total += a[i] % 3.0

    def sum_ten(n: int) -> None:
        for _ in range(n):
            ten.sum()

    def make_empty(n: int) -> None:
        for _ in range(n):
            np.empty(1)

    def list_to_array(n: int) -> None:
        for _ in range(n // 100_000 or 1):
            np.array(side.sent(floats))

    def array_to_list(n: int) -> None:
        for _ in range(n // 100_000 or 1):
            side.fetched(large.tolist())

    kept: dict[str, Any] = {}

    def memory_there(n: int) -> None:
        memory = kept.get("host") or kept.setdefault("host", array("d", bytes(80_000_000)))
        for _ in range(n):
            np.frombuffer(side.sent(memory))

    def memory_back(n: int) -> None:
        if "guest" not in kept:
            kept["guest"] = np.zeros(10_000_000)
        memory = kept["guest"]
        if side.name == "rpyc":
            for _ in range(n):
                side.fetched(memory)
        elif side.name == "bridge":
            for _ in range(n):
                side.view(memory)
        else:
            for _ in range(n):
                memoryview(memory)

    def call_sqrt(n: int) -> None:
        for _ in range(n):
            np.sqrt(2.0)

    return {
        "a[i], a double of an array": read_elements,
        "for x in a, an array": iterate,
        "a[i] = a[i] * c": scale_elements,
        "a[i], an int64": read_ints,
        "a[i, j]": read_matrix,
        "for row in a: row[j]": read_rows,
        "two fields of a record": read_fields,
        "n += a[i] > c": count_large,
        "a[i] % 3.0": remainders,
        "matrix.shape[0]": read_shape,
        "a[1:], a slice": take_slice,
        "x + x, 10 elements": add(ten),
        "x + x, 1000 elements": add(np.ones(1000)),
        "x + x, 100000 elements": add(many),
        "y = x + y * c, 100000 elements": add_scaled,
        "x.sum(), 10 elements": sum_ten,
        "np.empty(1)": make_empty,
        "list of floats to array, each": list_to_array,
        "array to list, each": array_to_list,
        "80 MB to the guest": memory_there,
        "80 MB to the host": memory_back,
        "np.sqrt(2.0)": call_sqrt,
    }


def number_rows(side: Side) -> dict[str, Callable[[int], None]]:
    """What numpy and scipy do, as far as this side has them."""
    try:
        np = side.load("numpy")
    except ImportError:
        return {}
    rows = _array_rows(side, np)
    try:
        special, quad = side.load("scipy.special"), side.load("scipy.integrate").quad
    except ImportError:
        return rows
    rows.update(_special_rows(special))
    rows.update(_native_rows(side, np, special))
    rows["Nelder-Mead, a step"] = _minimum(side)
    for name, f in (("cheap", _cheap), ("30 flops", _flops)):
        rows[f"quad, {name}, a point"] = _integral(quad, f)
        if side.name == "bridge":
            import pybridge

            f = pybridge.lowlevel(f, "double(double, void *)")
        rows[f"quad, {name}, lowlevel"] = _integral(quad, f)
    return rows


def _special_rows(special: Any) -> dict[str, Callable[[int], None]]:
    """Scalar calls as programs write them."""

    def call_jv(n: int) -> None:
        x = 0.7
        for _ in range(n):
            special.jv(1.0, x)

    def call_expit(n: int) -> None:
        x = 0.7
        for _ in range(n):
            special.expit(x)

    def call_ndtr(n: int) -> None:
        x = 0.7
        for _ in range(n):
            special.ndtr(x)

    return {"jv(1.0, x)": call_jv, "expit(x)": call_expit, "ndtr(x)": call_ndtr}


def _native_rows(side: Side, np: Any, special: Any) -> dict[str, Callable[[int], None]]:
    """The same, through the bridge by `pybridge.native`."""
    functions = (np.sqrt, special.jv, special.expit, special.ndtr)
    sqrt, jv, expit, ndtr = map(side.native, functions)

    def call_np_sqrt(n: int) -> None:
        x = 2.0
        for _ in range(n):
            sqrt(x)

    def call_jv(n: int) -> None:
        x = 0.7
        for _ in range(n):
            jv(1.0, x)

    def call_expit(n: int) -> None:
        x = 0.7
        for _ in range(n):
            expit(x)

    def call_ndtr(n: int) -> None:
        x = 0.7
        for _ in range(n):
            ndtr(x)

    return {
        "native np.sqrt(x)": call_np_sqrt,
        "native jv(1.0, x)": call_jv,
        "native expit(x)": call_expit,
        "native ndtr(x)": call_ndtr,
    }


def _minimum(side: Side) -> Callable[[int], None]:
    minimize = side.load("scipy.optimize").minimize
    start = side.sent([1.3, 0.7, 0.8, 1.9, 1.2])
    limits = side.sent({"maxfev": 100, "xatol": 0.0, "fatol": 0.0})

    def rosenbrock(x: Any) -> Any:
        total = 0.0
        for i in range(len(x) - 1):
            total += 100.0 * (x[i + 1] - x[i] ** 2) ** 2 + (1.0 - x[i]) ** 2
        return total

    def descend(n: int) -> None:
        # A hundred calls of the function or a few more.
        for _ in range(n // 100 or 1):
            minimize(rosenbrock, start, method="Nelder-Mead", options=limits)

    return descend


# Steps: many intervals, so that the points are the work and not the call of quad.
_POINTS = 357  # that quad asks for with this tolerance


def _cheap(x: float) -> float:
    return 1.0 if x < 0.3 else 2.0


def _flops(x: float) -> float:
    a = x
    for c in (1.5, 2.5, 3.5, 4.5, 5.5):
        a = (a * x + c) * 0.5 + (a - c) * 0.25
    return 1.0 if x < 0.3 else 2.0 + 1e-30 * a


def _integral(quad: Any, f: Any) -> Callable[[int], None]:
    def integrate(n: int) -> None:
        for _ in range(n // _POINTS or 1):
            quad(f, 0.0, 1.0, (), 1, 0.0, 2e-14)

    return integrate
