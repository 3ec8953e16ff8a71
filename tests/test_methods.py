# SPDX-License-Identifier: MIT
"""Methods of classes that never change: one crossing, and what they are as values."""

from __future__ import annotations

import inspect
import platform

import pytest
import traces

import pybridge
from pybridge._release import shared


def guest_list(*items):
    return pybridge.eval("lambda *items: list(items)")(*items)


def test_a_call_is_one_crossing():
    items = guest_list()
    items.append(0)
    before = shared.entered
    items.append(1)
    assert shared.entered == before + 1
    assert list(items) == [0, 1]


def test_arguments_and_errors():
    items = guest_list(3, 1, 2)
    items.sort(key=lambda x: -x, reverse=False)
    assert list(items) == [3, 2, 1]
    items.insert(1, "a")
    assert items.index("a", 0, 3) == 1
    assert pybridge.eval("'{}-{}-{}-{}'.format")(*"abcd") == "a-b-c-d"
    with pytest.raises(ValueError, match=r"not in list"):
        items.index("absent")
    with pytest.raises(TypeError, match=r"argument"):
        items.append()
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        items.nothing  # noqa: B018


def test_as_a_value_it_is_the_guests_method():
    items = guest_list(1)
    append = items.append
    append(2)
    assert list(items) == [1, 2]
    assert append.__name__ == "append" and append.__self__ is items
    assert "end of the list" in inspect.getdoc(append)
    assert list(inspect.signature(append).parameters) == ["object"]
    text = pybridge.eval("lambda f: (type(f).__name__, f.__self__, f(3))")(append)
    assert text[0] == "builtin_function_or_method"
    assert list(items) == [1, 2, 3]


def test_a_class_below_may_have_something_else_under_the_name():
    below = pybridge.eval("type('L', (list,), {'append': 5, 'own': lambda self: len(self)})")
    guest_list().append(1)
    x = below([1, 2])
    assert x.append == 5 and x.own() == 2
    x.extend = 7
    assert x.extend == 7


def test_attributes_that_are_no_methods():
    assert pybridge.eval("slice(1, 2)") == slice(1, 2)
    deque = pybridge.eval("__import__('collections').deque([1], 5)")
    assert deque.maxlen == 5
    deque.append(2)
    assert list(deque) == [1, 2]


def test_a_name_that_is_never_there_is_asked_for_once():
    pattern = pybridge.import_module("re").compile("a")
    assert not hasattr(pattern, "nothing") and hasattr(pattern, "match")
    before = shared.entered
    assert not hasattr(pattern, "nothing") and getattr(pattern, "nothing", 5) == 5
    with pytest.raises(
        AttributeError, match=r"Pattern' object has no attribute 'nothing'"
    ) as e:
        pattern.nothing  # noqa: B018
    assert shared.entered == before
    assert e.value.name == "nothing" and e.value.obj is pattern


def test_a_name_that_may_come_is_asked_for_each_time():
    below, plain = pybridge.eval(
        "(lambda P: (P, P('1')))(type('P', (__import__('decimal').Decimal,), {}))"
    )
    assert not hasattr(plain, "more")
    below.more = 3
    assert plain.more == 3
    module = pybridge.eval("type(__import__('sys'))('m')")
    assert not hasattr(module, "x")
    module.x = 1
    assert module.x == 1
    asked = pybridge.eval("__import__('weakref').proxy(__import__('threading').Thread)")
    assert not hasattr(asked, "nothing") and hasattr(asked, "start")


def test_what_a_class_without_a_dict_answers_by_a_function_is_asked_for():
    names = {}
    pybridge.exec(
        "class A:\n"
        "    __slots__ = ()\n"
        "    known = []\n"
        "    def __getattr__(self, name):\n"
        "        if name in self.known: return 5\n"
        "        raise AttributeError(name)\n",
        names,
    )
    x = names["A"]()
    assert not hasattr(x, "later")
    names["A"].known.append("later")
    assert x.later == 5


def test_of_a_released_object_nothing_is_said():
    pattern = pybridge.import_module("re").compile("an own one")
    assert not hasattr(pattern, "nothing")
    pybridge.release(pattern)
    with pytest.raises(pybridge.ClosedHandle):
        hasattr(pattern, "nothing")


@pytest.mark.skipif(platform.python_implementation() != "PyPy", reason="traces are PyPy's")
def test_in_a_trace_it_is_one_c_call():
    trace = traces.loop("""
        import pybridge
        items = pybridge.eval("lambda: [1]")()

        def measured(n):
            for _ in range(n):
                items.count(1)
    """)
    assert trace.calls == ["call_release_gil_i"], trace.text()
