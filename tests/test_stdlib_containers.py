# SPDX-License-Identifier: MIT
"""The standard library's own tests of lists, mappings and sets, across the border.

They run in a child, once with guest containers used by the host, and once with host containers
used by the guest.  `DEVIATIONS` names each test that does not pass, and why; one that passes
although it is named, or fails although it is not, fails here.

The tests are those of the host's `test` package, or the guest's where the host has none.
"""

from __future__ import annotations

import children
import guests
import pytest

# Run in the child: prints lines "suite|test|outcome|last line of the report".
REPORT = """
import unittest

def report(name, cls):
    result = unittest.TestResult()
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(cls)
    tests = [test._testMethodName for test in suite]
    suite.run(result)
    bad = {test._testMethodName: text for test, text in result.failures + result.errors}
    skipped = {test._testMethodName for test, _ in result.skipped}
    for test in tests:
        last = bad[test].strip().splitlines()[-1] if test in bad else ""
        word = "failed" if test in bad else "skipped" if test in skipped else "passed"
        print(name, test, word, last[:160], sep="|", flush=True)
"""

ON_THE_HOST = """
import importlib, os, sys, types
import pybridge

collections = pybridge.import_module("collections")
# Functions, not the classes: `list` is the host's own here.
make_list = pybridge.eval("lambda *a, **k: list(*a, **k)")
make_dict = pybridge.eval("lambda *a, **k: dict(*a, **k)")
try:
    import test.list_tests
except ImportError:  # PyPy without its tests; nothing else comes from the guest's library
    for name in [n for n in sys.modules if n.partition(".")[0] == "test"]:
        del sys.modules[name]
    library = os.path.dirname(pybridge.import_module("os").__file__)
    package = sys.modules["test"] = types.ModuleType("test")
    package.__path__ = [os.path.join(library, "test")]
from test import list_tests, mapping_tests, seq_tests

class List(list_tests.CommonTest):
    type2test = staticmethod(make_list)

class Deque(seq_tests.CommonTest):
    type2test = collections.deque
    # A deque has no slices: so in test.test_deque too.
    test_getitem = test_getslice = test_subscript = None

class Dict(mapping_tests.TestHashMappingProtocol):
    type2test = staticmethod(make_dict)

class OrderedDict(mapping_tests.BasicTestMappingProtocol):
    type2test = collections.OrderedDict
    test_popitem = None  # it takes an argument: so in test.test_ordered_dict too

class DefaultDict(mapping_tests.BasicTestMappingProtocol):
    def type2test(self, *args, **kwargs):
        return collections.defaultdict(None, *args, **kwargs)

for cls in (List, Deque, Dict, OrderedDict, DefaultDict):
    report("guest " + cls.__name__, cls)
"""

IN_THE_GUEST = """
import pybridge

pybridge.exec(REPORT + '''
from test import list_tests, mapping_tests, test_set

def run(make_list, make_dict, make_set):
    class List(list_tests.CommonTest):
        type2test = staticmethod(make_list)

    class Dict(mapping_tests.TestHashMappingProtocol):
        type2test = staticmethod(make_dict)

    class Set(test_set.TestSet):
        thetype = staticmethod(make_set)

    for cls in (List, Dict, Set):
        report("host " + cls.__name__, cls)
''')
# A function, not the class: `list` is the guest's own there.
pybridge.eval("run")(
    lambda *a, **k: list(*a, **k), lambda *a, **k: dict(*a, **k), lambda *a, **k: set(*a, **k)
)
"""

PROXY = "makes a subclass of the proxy of a guest class"
OBJECT = "passes an object of a class of the test's, or an iterator, to a guest container"
SUBCLASS = "makes a subclass of the type under test: a function, here"
CLASS = "asks for the class: the one of a linked container is not exactly list, dict or set"
DEPTH = "nests deeper than the 400 levels that cross"
RECURSION = "fills the stack of the host's interpreter, which has another limit than the guest"
PICKLE = "a proxy in a pickle is loaded by pybridge.pickle, never by pickle (SECURITY.md)"

DEVIATIONS: dict[str, dict[str, str]] = {
    "guest List": {
        "test_addmul": PROXY,
        "test_free_after_iterating": PROXY,
        "test_getitemoverwriteiter": PROXY,
        "test_init": "x.__init__() is the host's object.__init__ on a proxy",
        "test_pickle": PICKLE,
        "test_repr_deep": RECURSION,
    },
    "guest Deque": {
        "test_free_after_iterating": PROXY,
        "test_pickle": PICKLE,
    },
    "guest Dict": {
        "test_fromkeys": OBJECT,
        "test_repr": OBJECT,
        "test_repr_deep": RECURSION,
    },
    "host List": {
        "test_addmul": SUBCLASS,
        "test_free_after_iterating": SUBCLASS,
        "test_getitemoverwriteiter": SUBCLASS,
        "test_repr_deep": DEPTH,
    },
    "host Dict": {
        "test_copy": CLASS,
        "test_fromkeys": SUBCLASS,
        "test_repr_deep": DEPTH,
    },
    "host Set": {
        "test_cyclical_repr": CLASS,
        "test_do_not_rehash_dict_keys": "counts hashes: each side has its table",
        "test_free_after_iterating": SUBCLASS,
        "test_pickling": CLASS,
        "test_subclass_with_custom_hash": SUBCLASS,
        "test_weakref": "the host's set lives until the host collects; then the guest's dies",
    },
}


def outcomes(python, source):
    setup = f"REPORT = {REPORT!r}\nexec(REPORT)\n"
    result = children.run(setup + source, env={"PYBRIDGE_PYTHON": python}, timeout=300)
    found = {}
    for line in result.out.splitlines():
        if line.count("|") >= 3:
            suite, test, word, last = line.split("|", 3)
            found[suite, test] = word, last
    return found


@guests.once
@pytest.mark.parametrize("where", ["on the host", "in the guest"])
def test_the_standard_librarys_own_tests_pass(guest, where):
    found = outcomes(guest.executable, ON_THE_HOST if where == "on the host" else IN_THE_GUEST)
    assert len(found) > 100
    unexpected = [
        f"{suite}.{test}: {last}"
        for (suite, test), (word, last) in found.items()
        if word == "failed" and test not in DEVIATIONS.get(suite, {})
    ]
    gone = [
        f"{suite}.{test} passes"
        for (suite, test), (word, _) in found.items()
        if word == "passed" and test in DEVIATIONS.get(suite, {})
    ]
    assert not unexpected + gone, "\n".join(unexpected + gone)
