# SPDX-License-Identifier: MIT
"""What the hot paths compile to: one C call, no object but the frame's own link.

`new_with_vtable` once is PyPy's JitVirtualRef, made whenever a C call happens in an inlined
Python frame.  Bounds on guards are loose: PyPy's versions differ by a few.
"""

from __future__ import annotations

import platform
import re

import guests
import pytest
import traces

import pybridge

pytestmark = [
    pytest.mark.skipif(platform.python_implementation() != "PyPy", reason="traces are PyPy's"),
    guests.once,
]


@pytest.fixture
def numpy(guest):
    try:
        return pybridge.import_module("numpy")
    except ModuleNotFoundError:
        pytest.skip("this guest has no numpy")


ONE_CALL = ["call_release_gil_i"]
FRAME_LINK = ["new_with_vtable"]


def test_a_call_with_a_float_is_one_c_call_and_allocates_nothing():
    trace = traces.loop("""
        import pybridge
        sqrt = pybridge.import_module("math").sqrt

        def measured(n):
            total = 0.0
            for _ in range(n):
                total += sqrt(2.5)
            return total
    """)
    assert trace.calls == ONE_CALL, trace.text()
    assert trace.allocations == FRAME_LINK, trace.text()
    assert trace.guards <= 40, trace.text()
    assert trace.operations.count("getarrayitem_raw_f") == 1, trace.text()


def test_an_attribute_of_a_module_costs_one_memory_read():
    trace = traces.loop("""
        import pybridge
        math = pybridge.import_module("math")

        def measured(n):
            total = 0.0
            for _ in range(n):
                total += math.pi
            return total
    """)
    assert trace.calls == [], trace.text()
    assert trace.allocations == [], trace.text()
    assert trace.operations.count("getarrayitem_raw_i") == 1, trace.text()
    assert trace.guards <= 12, trace.text()


def test_a_function_of_a_module_is_called_with_one_c_call():
    trace = traces.loop("""
        import pybridge
        math = pybridge.import_module("math")

        def measured(n):
            for i in range(n):
                math.sqrt(2.5)
    """)
    assert trace.calls == ONE_CALL, trace.text()
    assert trace.allocations == FRAME_LINK, trace.text()


def test_an_int_attribute_is_one_c_call():
    trace = traces.loop("""
        import pybridge
        names = {}
        pybridge.exec("class Point: x = 5\\npoint = Point()", names)
        point = names["point"]

        def measured(n):
            total = 0
            for _ in range(n):
                total += point.x
            return total
    """)
    assert trace.calls == ONE_CALL, trace.text()
    assert trace.allocations == FRAME_LINK, trace.text()
    assert trace.guards <= 40, trace.text()


@pytest.mark.parametrize("body", ["x[50]", "x[i & 63]", "t['a']", "t['a'] = i", "x[3] = i"])
def test_an_item_of_a_list_or_dict_is_one_c_call(body):
    trace = traces.loop(
        f"""
        import pybridge
        x, t = pybridge.eval("(list(range(100)), dict(a=1))")

        def measured(n):
            for i in range(n):
                {body}
    """,
        rare=("copy_string_to_raw",),  # after a full sweep a text has no twin for a moment
    )
    assert trace.calls == ONE_CALL, trace.text()
    assert trace.allocations == FRAME_LINK, trace.text()
    assert trace.guards <= 30, trace.text()


def test_iterating_over_a_list_of_numbers_is_a_load():
    trace = traces.loop("""
        import pybridge
        x = pybridge.eval("[i / 3 for i in range(1000)]")

        def measured(n):
            total = 0.0
            for _ in range(n // 100):
                for number in x:
                    total += number
            return total
    """)
    assert trace.calls == [] and trace.allocations == [], trace.text()
    assert trace.guards <= 10, trace.text()


def test_a_loop_that_calls_the_guest_for_each_item_crosses_twice_for_one():
    trace = traces.loop("""
        import pybridge
        sqrt = pybridge.import_module("math").sqrt
        x = pybridge.eval("[i / 3 for i in range(1000)]")

        def measured(n):
            total = 0.0
            for _ in range(n // 100):
                for number in x:
                    total += sqrt(number)
            return total
    """)
    assert trace.calls == 2 * ONE_CALL, trace.text()
    assert trace.guards <= 60, trace.text()


def test_an_attribute_that_there_never_is_makes_no_call_of_the_guest():
    trace = traces.loop("""
        import pybridge
        pattern = pybridge.import_module("re").compile("a")

        def measured(n):
            for _ in range(n):
                hasattr(pattern, "nothing")
    """)
    assert "call_release_gil_i" not in trace.calls, trace.text()
    assert trace.guards <= 15, trace.text()


def test_dates_are_compared_and_subtracted_without_a_call_of_the_guest():
    trace = array_loop(
        "for i in range(n):\n                if limit - dates[i & 15] > step: s += 1.0",
        "dates, step = np.arange('2020-01', '2020-02', dtype='M8[D]'), np.timedelta64(3, 'D')\n"
        "        limit = np.datetime64('2020-01-08')",
    )
    assert "call_release_gil_i" not in trace.calls and trace.allocations == [], trace.text()


def test_a_number_made_of_a_number_is_not_allocated():
    for make in ("float64", "int32", "bool_"):
        trace = array_loop(
            f"for i in range(n): s += float(np.{make}(i))", "assert np.arange(3)[1]"
        )
        assert trace.calls == trace.allocations == [], trace.text()


def test_a_proxy_that_does_not_escape_is_not_allocated():
    for shift in (0, 1, 2, 3, 4):
        trace = traces.loop(f"""
            import pybridge
            make = pybridge.eval("type('Empty', (), {{}})")
            for _ in range({shift}):
                make()

            def measured(n):
                for _ in range(n):
                    make()
        """)
        if "get_or_make_weakref" not in trace.text():  # one proxy in eight begins a new chunk
            break
    assert trace.calls == ONE_CALL, trace.text()
    assert trace.allocations == FRAME_LINK, trace.text()


def test_an_operator_on_a_guest_object_is_one_c_call():
    trace = traces.loop("""
        import pybridge
        names = {}
        pybridge.exec("class Two:\\n  def __add__(self, other): return 2.0", names)
        two = names["two"] if "two" in names else names["Two"]()

        def measured(n):
            total = 0.0
            for _ in range(n):
                total += two + 1
            return total
    """)
    assert trace.calls == ONE_CALL, trace.text()
    assert trace.allocations == FRAME_LINK, trace.text()


def test_a_callback_with_numbers_allocates_nothing_and_calls_no_c_function():
    for kind, argument in (("ii", "range(30000)"), ("dd", "map(float, range(30000))")):
        trace = traces.entry(
            f"""
            import pybridge
            reduce = pybridge.import_module("functools").reduce

            def add(x, y):
                return x + y

            def measured(n):
                reduce(add, pybridge.eval("list({argument})"))
        """,
            f"pb_hot_{kind}0",
        )
        assert trace.calls == ["call_r"], trace.text()  # which thread this is
        assert trace.allocations == [], trace.text()
        assert trace.guards <= 25, trace.text()


@pytest.mark.parametrize("more", ["", ", a"], ids=["one argument", "two"])
def test_a_point_of_an_integral_is_a_load_and_a_store(guest, more):
    try:
        pybridge.import_module("scipy.integrate")
    except ModuleNotFoundError:
        pytest.skip("this guest has no scipy")
    trace = traces.entry_loop(f"""
        import pybridge
        quad = pybridge.import_module("scipy.integrate").quad

        def f(x{more}):
            return 1.0 if x < 0.3 else 2.0

        def measured(n):
            for _ in range(n):
                quad(f, 0.0, 1.0, (2.5,)[: {len(more)}], 1, 0.0, 2e-14)
    """)
    assert trace.calls == [] and trace.allocations == [], trace.text()
    raw = [name for name in trace.operations if "raw" in name and "array" in name]
    assert raw == ["getarrayitem_raw_f", "setarrayitem_raw"], trace.text()
    assert trace.guards <= 6, trace.text()


@pytest.mark.parametrize("call", ["g(2.5, y=1)", "g(y=1, x=2.5)", "g(2.5, 1, z=2.5)"])
def test_keywords_make_no_dictionary(call):
    trace = traces.loop(f"""
        import pybridge
        names = {{}}
        pybridge.exec("def g(x, y=1, z=2): return x", names)
        g = names["g"]

        def measured(n):
            for _ in range(n):
                {call}
    """)
    assert trace.calls == ONE_CALL, trace.text()
    assert trace.allocations == FRAME_LINK, trace.text()
    assert trace.guards <= 40, trace.text()


def test_a_guest_exception_that_is_caught_is_one_call_of_the_guest():
    trace = traces.loop("""
        import pybridge
        names = {}
        pybridge.exec("def fail(): raise ValueError('no')", names)
        fail = names["fail"]

        def measured(n):
            for _ in range(n):
                try:
                    fail()
                except ValueError:
                    pass
    """)
    assert trace.calls.count("call_release_gil_i") == 1, trace.text()
    assert not [call for call in trace.calls if "assembler" in call], trace.text()


def test_the_parser_takes_the_body_after_the_last_label():
    log = (
        "# Loop 3 (measured;/x.py:1-2~#4 FOR_ITER) : loop with 5 ops\n"
        "+1: label(p0, descr=TargetToken(1))\n+2: i1 = int_add(i0, 1)\n"
        "+3: label(p0, descr=TargetToken(2))\ndebug_merge_point(0, 0, 'x')\n"
        "+4: i2 = call_release_gil_i(91, 1)\n+5: guard_not_forced(descr=<x>) [p0]\n"
        "+6: jump(p0)\n+7: --end of the loop--\n"
    )
    trace = traces.parse(log)
    assert trace.operations == ["call_release_gil_i", "guard_not_forced"]
    assert (trace.calls, trace.allocations, trace.guards) == (["call_release_gil_i"], [], 1)


def view_loop(body: str) -> traces.Trace:
    return traces.loop(f"""
        import pybridge
        a = pybridge.import_module("array").array("d", [1.5]) * 30000
        v = pybridge.view(a)

        def measured(n):
            total = 0.0
            {body}
            return total
    """)


def test_an_element_of_a_view_is_a_raw_load():
    trace = view_loop("for i in range(n): total += v[i]")
    assert trace.calls == trace.allocations == [], trace.text()
    assert trace.operations.count("getarrayitem_raw_f") == 1, trace.text()
    assert trace.guards <= 12, trace.text()


def test_iterating_over_a_view_is_a_raw_load():
    trace = view_loop("for x in v: total += x")
    assert trace.calls == trace.allocations == [], trace.text()
    assert trace.operations.count("getarrayitem_raw_f") == 1, trace.text()
    assert trace.guards <= 12, trace.text()


def test_writing_to_a_view_is_a_raw_store():
    trace = view_loop("for i in range(n): v[i] = 2.0")
    assert trace.calls == trace.allocations == [], trace.text()
    assert trace.operations.count("setarrayitem_raw") == 1, trace.text()
    assert trace.guards <= 12, trace.text()


def record_loop(body: str) -> traces.Trace:
    return traces.loop(f"""
        import pybridge
        space = {{}}
        pybridge.exec("\\n".join([
            "from ctypes import *",
            "class I(Structure): _fields_ = [('k', c_longlong), ('z', c_double)]",
            "class R(Structure): _fields_ = [('x', c_double), ('y', c_longlong), ('inner', I)]",
            "many = (R * 30000)()",
        ]), space)
        v = pybridge.view(space["many"])

        def measured(n):
            total = 0.0
            {body}
            return total
    """)


RECORD_LOOPS = {
    "index": ("for i in range(n): total += v[i].x", {"getarrayitem_raw_f": 1}),
    "iteration": ("for r in v: total += r.x", {"getarrayitem_raw_f": 1}),
    "two fields": (
        "for r in v: total += r.x * r.y",
        {"getarrayitem_raw_f": 1, "getarrayitem_raw_i": 1},
    ),
    "nested": ("for r in v: total += r.inner.z", {"getarrayitem_raw_f": 1}),
    "store": ("for r in v: r.x = 2.5", {"setarrayitem_raw": 1}),
    "column": ("for x in v['x']: total += x", {"getarrayitem_raw_f": 1}),
}


@pytest.mark.parametrize("name", RECORD_LOOPS)
def test_a_field_of_a_record_is_a_raw_load_and_the_record_is_never_made(name):
    body, loads = RECORD_LOOPS[name]
    trace = record_loop(body)
    assert trace.calls == trace.allocations == [], trace.text()
    raw = [op for op in trace.operations if "arrayitem_raw" in op]
    assert {op: raw.count(op) for op in raw} == loads, trace.text()
    assert trace.guards <= 14, trace.text()


def native_loop(make: str, call: str) -> traces.Trace:
    return traces.loop(f"""
        import pybridge
        f = {make}

        def measured(n):
            total = 0.0
            for i in range(n):
                total += {call}
            return total
    """)


def test_a_native_c_function_is_one_c_call_and_allocates_nothing():
    trace = native_loop(
        'pybridge.native(pybridge.import_module("ctypes").CDLL("libm.so.6").atan2,'
        ' "double(double, double)")',
        "f(1.0, i)",
    )
    assert trace.calls == ["call_release_gil_f"], trace.text()
    assert trace.allocations == [], trace.text()
    assert trace.guards <= 8, trace.text()


def test_a_native_ufunc_is_one_c_call():
    if not has_numpy():
        pytest.skip("this guest has no numpy")
    trace = native_loop(
        'pybridge.native(pybridge.import_module("numpy").sqrt)',
        "f(2.5)",
    )
    assert trace.calls == ["call_release_gil_f"], trace.text()
    assert trace.allocations == FRAME_LINK, trace.text()
    assert trace.guards <= 12, trace.text()


def has_numpy() -> bool:
    import pybridge

    return pybridge.eval("__import__('importlib.util').util.find_spec('numpy')") is not None


def array_loop(body: str, prelude: str = "") -> traces.Trace:
    return traces.loop(f"""
        import pybridge
        np = pybridge.import_module("numpy")
        a = np.ones(40000)
        {prelude}

        def measured(n):
            s, c = 0.0, 1.0000001
            {body}
            return s
    """)


@pytest.mark.parametrize(
    "body",
    ["for i in range(n): s += a[i]", "for i in range(n): s = s + c * (a[i] - 0.5)"],
)
def test_an_element_of_a_numpy_array_is_a_raw_load(numpy, body):
    trace = array_loop(body)
    assert trace.calls == trace.allocations == [], trace.text()
    assert trace.operations.count("getarrayitem_raw_f") == 1, trace.text()
    assert trace.guards <= 24, trace.text()


def test_changing_elements_of_a_numpy_array_is_a_load_and_a_store(numpy):
    trace = array_loop("for i in range(n): a[i] = a[i] * c")
    assert trace.calls == trace.allocations == [], trace.text()
    assert trace.operations.count("getarrayitem_raw_f") == 1, trace.text()
    assert trace.operations.count("setarrayitem_raw") == 1, trace.text()
    assert trace.guards <= 36, trace.text()


def test_an_element_of_a_row_of_a_matrix_is_a_raw_load(numpy):
    trace = array_loop("for i in range(n): s += b[i][1]", "b = np.ones((40000, 2))")
    assert trace.calls == trace.allocations == [], trace.text()
    trace = array_loop("for row in b: s += row[1]", "b = np.ones((40000, 2))")
    assert trace.calls == trace.allocations == [], trace.text()


def test_a_comparison_of_elements_makes_no_object(numpy):
    trace = array_loop("for i in range(n): s += 1.0 if a[i] < 2 else 2.0")
    assert trace.calls == trace.allocations == [], trace.text()


def test_an_element_of_a_matrix_is_a_raw_load(numpy):
    trace = array_loop("for i in range(n): s += b[i, 0]", "b = a.reshape(40000, 1)")
    assert trace.calls == trace.allocations == [], trace.text()
    assert trace.operations.count("getarrayitem_raw_f") == 1, trace.text()


def test_iterating_over_a_numpy_array_makes_no_scalars(numpy):
    trace = array_loop("for x in a: s += x")
    assert trace.calls == trace.allocations == [], trace.text()


def test_a_ufunc_of_a_float_is_one_c_call(numpy):
    trace = array_loop("for i in range(n): s += np.sqrt(c)")
    assert trace.calls == ["call_release_gil_f"], trace.text()
    assert trace.allocations == FRAME_LINK, trace.text()


@pytest.mark.parametrize("kind", ["int64", "int32", "uint8", "float32"])
def test_an_element_of_another_kind_is_a_raw_load_too(numpy, kind):
    trace = array_loop(
        "for i in range(n): s += 1.0 if b[i] == 1 else 2.0", f'b = a.astype("{kind}")'
    )
    assert trace.calls == trace.allocations == [], trace.text()
    assert sum("getarrayitem_raw" in op for op in trace.operations) >= 4, trace.text()


def test_arithmetic_of_numpys_integers_makes_no_objects(numpy):
    trace = array_loop(
        "b, t = a.astype('int32'), 0\n            for i in range(n): t = t + b[i] - b[0] * 1"
    )
    assert trace.calls == trace.allocations == [], trace.text()


RECORDS = "b = np.zeros(40000, [('kind', 'u1'), ('count', 'i4'), ('price', 'f8')])"


@pytest.mark.parametrize("loop", ["for r in b", "for i in range(n)"])
def test_fields_of_a_structured_array_are_raw_loads(numpy, loop):
    record = "r" if loop == "for r in b" else "b[i]"
    trace = array_loop(
        f"{loop}:\n                s += {record}['price'] * {record}['count']", RECORDS
    )
    assert trace.calls == trace.allocations == [], trace.text()


def test_writing_a_field_of_a_structured_array_is_a_raw_store(numpy):
    trace = array_loop("for i in range(n): b[i]['count'] = 5", RECORDS)
    assert trace.calls == trace.allocations == [], trace.text()
    assert trace.operations.count("setarrayitem_raw") == 1, trace.text()


def test_eight_elements_fit_into_one_trace(numpy):
    expression = " + ".join(f"c * b[i + {k // 4}, {k % 4}]" for k in range(8))
    trace = array_loop(f"for i in range(n - 2): s += {expression}", "b = np.ones((30000, 4))")
    assert trace.calls == trace.allocations == [], trace.text()


def test_eight_calls_fit_into_one_trace():
    trace = traces.loop("""
        import pybridge
        names = {}
        for k in range(8):
            pybridge.exec(f"def f{k}(x): return x", names)
        globals().update(names)

        def measured(n):
            for i in range(n):
                f0(i), f1(i), f2(i), f3(i), f4(i), f5(i), f6(i), f7(i)
    """)
    # So long a loop may have been recorded with a look for signals in it.
    assert trace.calls.count(*ONE_CALL) == 8, trace.text()
    assert not [call for call in trace.calls if "assembler" in call], trace.text()


def test_twenty_sites_of_twenty_classes_have_a_loop_each():
    log = traces.log("""
        import pybridge
        names = {}
        source = "class C{0}:\\n def m(self, i): return i\\n"
        pybridge.exec("".join(source.format(k) for k in range(20)), names)
        sites = []
        for k in range(20):
            space = {"x": names[f"C{k}"]()}
            exec(f"def site{k}(n):\\n for i in range(n): x.m(i)", space)
            sites.append(space[f"site{k}"])
        for site in sites:
            site(20000)
    """)
    loops = re.findall(r"# Loop \d+ \(site(\d+);", log)
    assert sorted(loops, key=int) == [str(k) for k in range(20)]


def test_dates_are_compared_without_objects(numpy):
    trace = array_loop(
        "for i in range(n): s += 1.0 if b[i] < b[7] else 2.0", 'b = a.astype("M8[ns]")'
    )
    assert trace.calls == trace.allocations == [], trace.text()


@pytest.mark.parametrize("kind", ["U2", ">f8", ">i4", "float16", "complex128"])
def test_an_element_that_takes_more_than_a_load_needs_no_crossing(numpy, kind):
    trace = array_loop(
        "for i in range(n): s += 1.0 if type(b[i]) is c else 2.0",
        f'b = a.astype("{kind}")',
    )
    assert not [op for op in trace.calls if "release_gil" in op], trace.text()
