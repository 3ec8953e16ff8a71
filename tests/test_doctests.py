# SPDX-License-Identifier: MIT
"""The harness of docstring examples (tests/doctests), on a package of a few lines and on
one that every guest has; whole packages are run by its command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent / "doctests"
sys.path.insert(0, str(HERE))
import run as harness  # noqa: E402

SOURCE = '''
def plain(x):
    """
    >>> plain(2)
    4
    >>> [plain(x) for x in range(3)]
    [0, 2, 4]
    >>> plain(None)
    Traceback (most recent call last):
    TypeError: ...
    >>> y = plain(1)
    >>> print(y, plain("a"))
    2 aa
    """
    return 2 * x

class C:
    """
    >>> C().side()  # the two sides differ
    'cpython'
    >>> C().wrong()
    'not this'
    >>> C().end()
    """

    def side(self):
        import sys
        return sys.implementation.name

    def wrong(self):
        """
        >>> 1 + 1
        2
        """
        return "that"

    def end(self):
        """
        >>> import os, sys
        >>> os._exit(7) if hasattr(sys, "pypy_version_info") else 0
        0
        >>> 3
        3
        """
'''


@pytest.fixture
def package(tmp_path, monkeypatch):
    (tmp_path / "documented.py").write_text(SOURCE)
    monkeypatch.setenv("PYBRIDGE_DOCTESTS_PATH", str(tmp_path))
    return "documented"


def test_what_passes_on_both_sides_counts(package):
    docstrings = harness.examples([package], timeout=100)
    names = [d["name"] for d in docstrings]
    assert names == ["documented.C", "documented.C.end", "documented.C.wrong",
                     "documented.plain"]  # fmt: skip
    report = harness.compared(docstrings)
    assert report["examples"] == 12
    assert report["pass natively"] == 11  # all but the wrong one
    failed = {(f["name"], f["source"].strip()) for f in report["failures"]}
    crashed = {
        ("documented.C.end", source)
        for source in (
            "import os, sys",
            'os._exit(7) if hasattr(sys, "pypy_version_info") else 0',
            "3",
        )
    }
    if sys.implementation.name == "pypy":
        assert failed == crashed
        assert {f["error"] for f in report["failures"]} == {"Crash: exit status 7"}
        assert report["percent"] == round(100 * 8 / 11, 2)
    else:
        assert not failed and report["percent"] == 100.0


def test_the_command_line(package, tmp_path):
    out = tmp_path / "report.json"
    run = subprocess.run(
        [sys.executable, str(HERE / "run.py"), package, "--json", str(out), "--least", "60"],
        stdout=subprocess.PIPE,
        text=True,
        timeout=100,
    )
    assert run.returncode == 0
    assert "pass natively" in run.stdout.splitlines()[-1]
    assert json.loads(out.read_text())["percent"] >= 60


def test_a_real_package_of_the_guest():
    report = harness.compared(harness.examples(["textwrap", "bisect", "statistics"], 100))
    assert report["pass natively"] > 20
    assert report["percent"] >= 95, report["failures"]
