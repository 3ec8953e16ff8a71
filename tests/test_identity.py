# SPDX-License-Identifier: MIT
"""One guest object has one live proxy: `is` on the host says what it says in the guest."""

import gc
import threading
import weakref

import children
import pytest

import pybridge
from pybridge import _identity

SOURCE = """
import enum, types

class Node:
    def __init__(self, child=None):
        self.child = child
    def __add__(self, other):
        pair = Node()
        pair.left, pair.right = self, other
        return pair
    def __iadd__(self, other):
        return self
    def __pos__(self):
        return self
    def __getitem__(self, key):
        return View(self)
    def __setitem__(self, key, value):
        self.child = value
    def __call__(self, f=None):
        return self if f is None else f(self)
    def __iter__(self):
        return self
    def __next__(self):
        return self
    def __enter__(self):
        return self
    def __exit__(self, *exc):
        pass
    def itself(self):
        return self
    def keep(self):
        kept.append(self)
    def keep_and_fail(self):
        kept.append(self)
        raise ValueError("kept")
    @property
    def kept_by_reading(self):
        kept.append(self)

class View:
    def __init__(self, base):
        self.base = base

class Other(Node):
    pass

class Colour(enum.Enum):
    RED = 1

class Float(float):
    pass

kept = []
shared = Node()
shared.child = Node()

def function():
    pass

def run(f, *args):
    return f(*args)

class Rises:
    risen = None
    def __del__(self):
        global risen
        risen = self
"""


@pytest.fixture
def space(guest):
    names = pybridge.eval("{'__name__': 'guest_identity'}")
    pybridge.exec(SOURCE + children.COUNTED, names)
    pybridge.eval("[]").append(None)  # what the bridge keeps of methods from a first use on
    return names


def settle():
    for _ in range(4):
        gc.collect()
        pybridge.statistics()


# ---- read again ----------------------------------------------------------------------------


def test_an_object_that_is_read_again_is_the_same(space, leakfree):
    shared = space["shared"]
    assert space["shared"] is shared
    assert shared.child is shared.child
    assert space["function"] is space["function"]
    assert space["Colour"].RED is space["Colour"].RED
    assert space["Colour"](1) is space["Colour"].RED
    assert (shared is shared.child) == pybridge.eval("shared is shared.child", space)


def test_a_module_is_one_object(guest):
    fractions = pybridge.import_module("fractions")
    assert pybridge.import_module("fractions") is fractions
    assert pybridge.eval("__import__('sys').modules")["fractions"] is fractions
    assert fractions.math is pybridge.import_module("math")


def test_in_every_place_of_a_result_it_is_the_same(space):
    a, (b, c), d = pybridge.eval("(shared, (shared, shared.child), shared.child)", space)
    assert a is b
    assert c is d
    assert a.child is c


def test_items_of_a_list_are_those_of_the_last_time(space):
    pybridge.exec("nodes = [Node() for _ in range(100)]", space)
    first = list(space["nodes"])
    assert all(a is b for a, b in zip(first, space["nodes"]))
    assert space["nodes"][7] is first[7]
    assert len(set(map(id, first))) == 100


def test_a_list_of_objects_that_are_known_is_still_read_ahead(space):
    pybridge.exec("same = [Node()] * 10000", space)
    node = space["same"][0]
    before = _identity._release.shared.entered
    assert all(x is node for x in space["same"])
    assert _identity._release.shared.entered - before < 1000


# ---- kept by the guest ---------------------------------------------------------------------


def test_an_argument_that_the_guest_keeps_comes_back_as_itself(space, leakfree):
    nodes, x = pybridge.eval("[]"), space["Node"]()
    nodes.append(x)
    assert nodes[0] is x
    y = space["Node"](x)
    assert y.child is x
    z = space["Node"]()
    y.child = z
    assert y.child is z
    y["child"] = x
    assert y.child is x
    box = pybridge.eval("{}")
    box["z"] = z
    assert box["z"] is z


def test_an_argument_within_a_tuple_is_kept_too(space):
    x = space["Node"]()
    assert pybridge.eval("lambda t: t[1][0]")((1, (x,))) is x


OPERATIONS = {
    "method": lambda x: x.itself(),
    "call": lambda x: x(),
    "unary": lambda x: +x,
    "iter": lambda x: iter(x),
    "next": lambda x: next(x),
    "left": lambda x: (x + 1).left,
    "right": lambda x: (type(x)() + x).right,
    "item": lambda x: x[0].base,
    "enter": lambda x: x.__enter__(),
    "bound": lambda x: x.itself.__self__,
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_what_an_operation_gives_or_holds_is_the_operand(space, name, leakfree):
    x = space["Node"]()
    assert OPERATIONS[name](x) is x
    assert OPERATIONS[name](x) is x


def test_in_place_and_with(space):
    x = y = space["Node"]()
    x += 1
    assert x is y
    with space["Node"]() as entered:
        pass
    with entered as again:
        assert again is entered


def test_an_object_that_keeps_itself(space):
    kept = space["kept"]
    x, y, z = (space["Node"]() for _ in range(3))
    x.keep()
    with pytest.raises(ValueError, match="kept"):
        y.keep_and_fail()
    z.kept_by_reading  # noqa: B018
    assert kept[-3] is x
    assert kept[-2] is y
    assert kept[-1] is z
    kept.clear()


def test_arguments_of_callbacks(space, leakfree):
    x = space["Node"]()
    assert space["run"](lambda a: a is x, x)
    assert space["run"](lambda a, b: a is b, x, x)
    assert space["run"](lambda a: a, x) is x
    seen = []
    pybridge.eval("lambda f, x: (f(x), f(x))")(seen.append, x)
    assert seen[0] is seen[1] is x
    assert space["run"](seen.append, space["shared"]) is None
    assert seen[-1] is space["shared"]


def test_an_object_that_only_a_weak_reference_finds_again(space, leakfree):
    pybridge.exec(
        "import weakref\n"
        "cache = weakref.WeakValueDictionary()\n"
        "def cached(key):\n"
        "    if key not in cache:\n"
        "        x = cache[key] = Node()\n"
        "        return x\n"
        "    return cache[key]",
        space,
    )
    cached = space["cached"]
    x = cached(1)
    assert cached(1) is x
    assert cached(2) is not x


def test_numpy_base(guest):
    numpy = _numpy()
    x = numpy.arange(10)
    y = x[::2]
    assert y.base is x
    assert numpy.asarray(x) is x
    assert y.T.base is x


def _numpy():
    try:
        return pybridge.import_module("numpy")
    except ImportError:
        pytest.skip("this guest has no numpy")


# ---- not more than that --------------------------------------------------------------------


def test_equal_objects_are_not_the_same(space):
    x, y = space["Node"](), space["Node"]()
    assert x is not y
    nodes = pybridge.eval("[]")
    nodes.extend([x, y])
    assert nodes[0] is x
    assert nodes[1] is y


def test_a_temporary_is_not_entered(space):
    make = space["View"]
    settle()
    before = len(_identity._alive)
    for i in range(1000):
        make(i)
    assert len(_identity._alive) <= before + 10


def test_values_of_subclasses_are_values(space):
    x = space["Float"](2.5)
    y = pybridge.eval("lambda x: x")(x)
    assert x == y == 2.5
    assert type(x) is type(y)


def test_a_changed_class_is_seen(space):
    x = space["Node"]()
    space["kept"].append(x)
    pybridge.exec("kept[-1].__class__ = Other", space)
    assert space["kept"][-1] is x
    assert type(x) is space["Other"]
    space["kept"].clear()


def test_a_weak_reference_of_the_host(space):
    x = space["shared"]
    reference = weakref.ref(x)
    assert reference() is space["shared"]


# ---- lives ---------------------------------------------------------------------------------


def test_release_frees_at_once_what_was_met_many_times(space):
    counted = space["counted"]
    x = space["Counted"]()
    nodes = pybridge.eval("[]")
    nodes.append(x)
    for _ in range(20):
        assert nodes[0] is x
    nodes.clear()
    assert counted() == 1
    pybridge.release(x)
    assert counted() == 0


def test_the_count_of_references_stays(space):
    getrefcount = pybridge.import_module("sys").getrefcount
    nodes, x = pybridge.eval("[]"), space["Node"]()
    nodes.append(x)
    before = getrefcount(x)
    for _ in range(20):
        nodes[0]
    assert getrefcount(x) == before


def test_after_a_release_there_is_a_new_proxy(space):
    shared = space["shared"]
    pybridge.release(shared)
    again = space["shared"]
    assert again is not shared
    assert again is space["shared"]
    assert again.child is again.child
    with pytest.raises(pybridge.ClosedHandle):
        shared.child  # noqa: B018


def test_a_scope_releases_what_was_made_in_it_and_nothing_older(space):
    shared = space["shared"]
    with pybridge.scope():
        assert space["shared"] is shared
        child = shared.child
        assert shared.child is child
    assert shared.child is not child
    with pytest.raises(pybridge.ClosedHandle):
        child.child  # noqa: B018


def test_a_scope_does_not_release_what_another_thread_met(space):
    met = []
    with pybridge.scope():
        child = space["shared"].child
        thread = threading.Thread(target=lambda: met.append(space["shared"].child))
        thread.start()
        thread.join()
    assert met[0] is child
    assert child.child is None


def test_dead_proxies_leave_the_table(space, leakfree):
    node = space["Node"]
    settle()
    before = len(_identity._alive)
    nodes = pybridge.eval("[]")
    for _ in range(20000):
        nodes.append(node())
    assert len(_identity._alive) < before + 25000
    nodes.clear()
    settle()
    assert len(_identity._alive) <= before + 16


def test_an_address_that_is_used_again_is_another_object(space, leakfree):
    pybridge.exec("box = [None]\ndef fresh(i):\n  box[0] = Node(i)\n  return box[0]", space)
    fresh, box = space["fresh"], space["box"]
    addresses = set()
    for i in range(100_000):
        x = fresh(i)
        assert x.child == i
        if i % 1000 == 0:
            assert box[0] is x
            addresses.add(x._pybridge_handle)
    assert addresses


def test_a_released_address_is_used_again(space):
    for i in range(10_000):
        x = space["Node"](i)
        y = space["Node"](x)
        assert y.child is x
        pybridge.release(y)
        pybridge.release(x)


def test_a_resurrected_object_has_one_proxy_again(space):
    x = space["Rises"]()
    pybridge.release(x)
    risen = pybridge.eval("risen", space)
    assert risen is not None
    assert risen is pybridge.eval("risen", space)


def test_threads_get_the_same(space):
    pybridge.exec("nodes = [Node() for _ in range(2000)]", space)
    nodes = space["nodes"]
    seen = [[] for _ in range(4)]
    begin = threading.Barrier(4)

    def read(mine):
        begin.wait()
        for i in range(2000):
            mine.append(nodes[i])

    threads = [threading.Thread(target=read, args=(mine,)) for mine in seen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for four in zip(*seen):
        assert len(set(map(id, four))) == 1


def test_threads_that_replace_dead_entries(space):
    pybridge.exec("nodes = [Node(i) for i in range(50)]", space)
    wrong = []

    def read():
        for n in range(4000):
            x = space["nodes"][n % 50]
            if x.child != n % 50 or space["nodes"][n % 50] is not x:
                wrong.append(n)
            if n % 500 == 0:
                gc.collect()

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
