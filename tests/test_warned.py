# SPDX-License-Identifier: MIT
"""Warnings of the guest."""

from __future__ import annotations

import linecache
import logging
import sys
import time
import warnings

import children
import pytest

import pybridge
from pybridge import _warned
from pybridge._raised import to_host

SOURCE = """
import warnings

class Own(UserWarning):
    pass

def warn(text, category=UserWarning, stacklevel=1):
    warnings.warn(text, category, stacklevel)

def deprecated():
    warnings.warn("old", DeprecationWarning, stacklevel=2)

def own():
    warnings.warn(Own("mine", 3))

def caught(text):
    with warnings.catch_warnings(record=True) as log:
        warnings.simplefilter("always")
        warnings.warn(text)
    return [str(w.message) for w in log]

def silenced(text):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.warn(text)

def as_error(text):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            warnings.warn(text)
        except UserWarning as error:
            return str(error)

def survives(text):
    try:
        warnings.warn(text)
    except UserWarning:
        return "raised"
    return "shown"

def many(n):
    for i in range(n):
        warnings.warn("again and again", DeprecationWarning)
"""


@pytest.fixture(scope="module")
def code(tmp_path_factory):
    """A guest module that warns."""
    folder = tmp_path_factory.mktemp("warned")
    (folder / "warner.py").write_text(SOURCE)
    path = pybridge.import_module("sys").path
    path.insert(0, str(folder))
    module = pybridge.import_module("warner")
    path.remove(str(folder))
    return module


def test_category_text_file_and_line(code):
    with warnings.catch_warnings(record=True) as log:
        warnings.simplefilter("always")
        code.warn("careful", FutureWarning)
        code.warn("careful", FutureWarning)
    assert len(log) == 2
    for w in log:
        assert w.category is FutureWarning and type(w.message) is FutureWarning
        assert str(w.message) == "careful" and w.filename.endswith("warner.py")
        assert linecache.getline(w.filename, w.lineno).strip() == (
            "warnings.warn(text, category, stacklevel)"
        )


def test_pytest_warns_and_the_guests_own_categories(code):
    with pytest.warns(UserWarning, match="mine") as log:
        code.own()
    (w,) = log
    assert w.category.__name__ == "Own" and issubclass(w.category, UserWarning)
    assert w.message.args == ("mine", 3)


def test_error_raises_where_the_guest_warned(code):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="stop") as caught:
            code.warn("stop")
        assert code.survives("try me") == "raised"
    names = [entry.name for entry in caught.traceback]
    assert "warn" in names
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        assert code.survives("try me") == "shown"


def test_the_hosts_filters_decide(code):
    with warnings.catch_warnings(record=True) as log:
        warnings.resetwarnings()
        warnings.filterwarnings("ignore", message="be qu")
        warnings.filterwarnings("ignore", category=BytesWarning)
        warnings.filterwarnings("once", message="only")
        for _ in range(3):
            code.warn("be quiet")
            code.warn("too", BytesWarning)
            code.warn("only once")
        code.warn("shown")
        warnings.filterwarnings("ignore", module="warner")
        code.warn("not from that module")
    assert [str(w.message) for w in log] == ["only once", "shown"]


def test_a_change_of_filters_is_noticed(code):
    seen = []
    for action in ("ignore", "always", "ignore", "always"):
        with warnings.catch_warnings(record=True) as log:
            warnings.simplefilter(action)
            code.warn("the same")
            code.warn("the same")
        seen.append(len(log))
    assert seen == [0, 2, 0, 2]


def test_by_default_once_for_each_line(code):
    with warnings.catch_warnings(record=True) as log:
        warnings.simplefilter("default")
        for _ in range(3):
            code.warn("default")
    assert len(log) == 1


def test_a_warning_that_was_shown_does_not_cross_again(code, monkeypatch):
    crossed = []
    monkeypatch.setattr(_warned, "to_host", lambda x: crossed.append(x) or to_host(x))
    seen = []
    with warnings.catch_warnings(record=True) as log:
        warnings.simplefilter("default")
        for i in range(6):
            if i == 3:
                warnings.filterwarnings("always", "another")  # the registry is emptied by that
            code.deprecated()
            seen.append((len(log), len(crossed)))
    assert seen == [(1, 1)] * 3 + [(2, 2)] * 3


def test_the_guests_own_handling_stays_the_guests(code):
    with warnings.catch_warnings(record=True) as log:
        warnings.simplefilter("always")
        assert code.caught("inside") == ["inside"]
        code.silenced("nothing")
        assert code.as_error("an error") == "an error"
        code.warn("afterwards")
    assert [str(w.message) for w in log] == ["afterwards"]


def test_what_is_about_the_caller_is_about_the_hosts_line(code):
    with warnings.catch_warnings(record=True) as log:
        warnings.simplefilter("always")
        line = sys._getframe().f_lineno + 1
        code.deprecated()
        pybridge.import_module("warnings").warn("by a C function or nearly", UserWarning)
    assert [w.filename for w in log] == [__file__, __file__]
    assert [w.lineno for w in log] == [line, line + 1]
    assert log[0].category is DeprecationWarning


def test_the_default_filters_show_a_deprecation_to_the_main_program_only():
    result = children.run(
        """
        import pybridge
        pybridge.exec("import warnings as w\\ndef old(): w.warn('old', DeprecationWarning, 2)")
        old = pybridge.eval("old")
        old()
        pybridge.exec("import types; m = types.ModuleType('m')\\n"
                      "exec('import warnings\\\\ndef f():\\\\n"
                      " warnings.warn(\\"hidden\\", DeprecationWarning)', m.__dict__); m.f()")
        """
    )
    assert "snippet.py:6: DeprecationWarning: old\n  old()" in result.err
    assert "hidden" not in result.err


def test_the_command_lines_filters():
    result = children.run(
        "import pybridge; pybridge.exec('import warnings; warnings.warn(\"x\")')",
        options=("-W", "error::UserWarning"),
        rc=1,
    )
    assert "UserWarning: x" in result.err and "Traceback" in result.err


def test_logging_captures_them(code, caplog):
    logging.captureWarnings(True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            with caplog.at_level("WARNING", "py.warnings"):
                code.warn("to the log")
    finally:
        logging.captureWarnings(False)
    assert "warner.py" in caplog.text and "to the log" in caplog.text


def test_what_nobody_wants_to_see_costs_little(code):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        code.many(100)
        begin = time.process_time()
        code.many(2000)
        assert time.process_time() - begin < 2


def test_numpys_are_about_the_hosts_line():
    if not pybridge.eval("__import__('importlib.util').util.find_spec('numpy') is not None"):
        pytest.skip("no numpy in this guest")
    np = pybridge.import_module("numpy")
    a = np.zeros(3)
    with pytest.warns(RuntimeWarning, match="divide by zero") as log:
        1.0 / a
    assert log[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning):
            1.0 / a
        with np.errstate(all="ignore"):
            1.0 / a
