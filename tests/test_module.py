# SPDX-License-Identifier: MIT
"""Module proxies: what they remember must never be what is no longer true."""

from __future__ import annotations

import gc
import threading

import pytest

import pybridge
from pybridge import _module


def make_module(**names):
    module = pybridge.eval("__import__('types').ModuleType('made')")
    for name, value in names.items():
        setattr(module, name, value)
    return module


def remembers() -> bool:
    """Guests from 3.14 on have no version to watch: modules are ordinary proxies there."""
    return hasattr(type(make_module()), "_pybridge_remembered")


def test_an_attribute_is_the_same_object_each_time():
    math = pybridge.import_module("math")
    if remembers():
        assert math.sqrt is math.sqrt
    assert math.sqrt(4.0) == math.sqrt(4.0) == 2.0


@pytest.mark.parametrize(
    "change",
    [
        "made.x = 2",
        "vars(made)['x'] = 2",
        "vars(made).update(x=2)",
        "exec('x = 2', vars(made))",
        "setattr(made, 'x', 2)",
    ],
)
def test_a_change_in_the_guest_is_seen_at_once(change):
    module = make_module(x=1)
    assert (module.x, module.x) == (1, 1)
    pybridge.exec(change, {"made": module})
    assert (module.x, module.x) == (2, 2)


def test_a_change_through_the_proxy_is_seen_at_once():
    module = make_module(x=1)
    for i in range(3 * _module._PATIENCE):  # also when it no longer remembers
        module.x = i
        assert module.x == i


def test_a_deleted_attribute_is_gone():
    module = make_module(x=1)
    assert module.x == 1
    del module.x
    with pytest.raises(AttributeError, match="module 'made' has no attribute 'x'"):
        _ = module.x


def test_what_a_module_getattr_makes_is_made_each_time():
    module = make_module()
    pybridge.exec(
        "import itertools\ncounter = itertools.count()\n"
        "made.__dict__['__getattr__'] = lambda name: next(counter)",
        {"made": module},
    )
    assert (module.anything, module.anything, module.other) == (0, 1, 2)


def test_a_later_proxy_of_a_module_shares_what_an_earlier_one_remembered():
    if not remembers():
        pytest.skip("this guest's dicts have no version")
    first = pybridge.import_module("math")
    floor, remembered = first.floor, first._pybridge_remembered
    assert pybridge.import_module("math") is first
    pybridge.release(first)
    second = pybridge.import_module("math")
    assert second is not first
    assert second.floor is floor
    assert second._pybridge_remembered is remembered


def test_an_attribute_that_was_released_is_read_again():
    json = pybridge.import_module("json")
    for _ in range(3):
        dumps = json.dumps
        assert json.dumps([1]) == "[1]"
        pybridge.release(dumps)
        with pytest.raises(pybridge.ClosedHandle):
            dumps([1])
        assert json.dumps([1]) == "[1]"
    assert json.loads("[1]") == [1]


def test_a_module_that_died_leaves_nothing_behind_for_the_next():
    for i in range(8):
        module = make_module(x=i)
        assert (module.x, module.x) == (i, i)
        del module
        gc.collect()
        pybridge.statistics()


def test_names_that_every_class_has_are_the_guests():
    math = pybridge.import_module("math")
    assert math.__name__ == "math"
    assert math.__doc__ == pybridge.eval("__import__('math').__doc__")
    assert repr(math).startswith("<module 'math'")
    assert repr(math.__class__) == "<class 'module'>"
    with pytest.raises(AttributeError):
        _ = math.__module__


def test_threads_that_read_while_another_writes_see_old_or_new():
    module = make_module(x=0)
    wrong = []
    stop = threading.Event()

    def read():
        last = 0
        while not stop.is_set():
            x = module.x
            if x < last:
                wrong.append((last, x))
            last = x

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for i in range(2000):
        module.x = i
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong
