# SPDX-License-Identifier: MIT
"""The demos run unattended, and so does the README's example, with the output it claims."""

from __future__ import annotations

import os
import platform
import re
import runpy
import struct
import subprocess
from pathlib import Path

import children
import guests
import pytest

from pybridge import _discover

ROOT = Path(__file__).resolve().parent.parent
OUT = Path(os.environ.get("PYBRIDGE_DEMOS_OUT") or ROOT / "demos" / "out")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def guest_needs(*packages: str) -> None:
    """Skip the test unless the guest of this run can import these."""
    python = _discover.discover().executable
    code = """
import sys
from importlib.util import find_spec
print(*[name for name in sys.argv[1:] if not find_spec(name)])
"""
    done = subprocess.run(
        [python, "-I", "-c", code, *packages], capture_output=True, text=True, check=True
    )
    if done.stdout.strip():
        pytest.skip(f"the guest {python} has no {done.stdout.strip()}")


def run_demo(name: str) -> str:
    """The one line that the demo prints."""
    path = ROOT / "demos" / name
    snippet = f"import runpy; runpy.run_path({str(path)!r}, run_name='__main__')"
    result = children.run(snippet, timeout=100)
    # matplotlib says so when it runs for the first time
    told = [line for line in result.err.splitlines() if "building the font cache" not in line]
    assert told == []
    assert result.out.count("\n") == 1 and result.out.endswith("\n")
    return result.out


def test_sunspots_fits_a_host_function_and_draws_it():
    guest_needs("numpy", "scipy", "statsmodels", "matplotlib")
    picture = OUT / "sunspots.png"
    picture.unlink(missing_ok=True)
    line = run_demo("sunspots.py")
    found = re.search(r"period ([\d.]+) years \(periodogram\), ([\d.]+) \+- ([\d.]+)", line)
    assert found, line
    top, fitted, error = map(float, found.groups())
    assert abs(top - 11.1) < 0.2 and abs(fitted - 10.97) < 0.1 and 0 < error < 0.1
    rms, before = map(float, re.search(r"residual ([\d.]+) .* of ([\d.]+);", line).groups())
    assert rms < before / 2
    calls, points = re.search(r"called (\d+) times, ([\d,]+) points", line).groups()
    assert int(calls) > 100 and int(points.replace(",", "")) == 309 * int(calls)
    data = picture.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n" and data.endswith(b"IEND\xaeB`\x82")
    width, height = struct.unpack(">II", data[16:24])
    assert width > 1000 and height > 800 and len(data) > 50_000


def test_sqlite_calls_a_host_function_for_each_row():
    guest_needs("sqlite3", "_sqlite3")
    database = OUT / "sqlite.db"
    database.unlink(missing_ok=True)
    line = run_demo("sqlite.py")
    assert "functools.reduse -> functools.reduce" in line
    assert "math.squirt -> math.sqrt" in line
    calls, names = re.search(r"([\d,]+) times for ([\d,]+) names", line).groups()
    assert int(calls.replace(",", "")) == 5 * int(names.replace(",", "")) > 1000
    assert database.read_bytes().startswith(b"SQLite format 3\0")


def test_a_torch_module_of_the_host_learns():
    guest_needs("torch", "sklearn")
    line = run_demo("digits.py")
    loss, right = re.search(r"loss ([\d.]+), ([\d.]+)% of", line).groups()
    assert "Net(True) in 61 calls" in line and float(loss) < 0.2 and float(right) > 80


@guests.once
def test_an_estimator_of_the_host_is_cloned_and_searched():
    guest_needs("sklearn")
    line = run_demo("pipeline.py")
    assert "fitted 19 clones of Pooling(size=2)" in line
    assert float(re.search(r"([\d.]+)% right", line)[1]) > 85


def test_models_of_the_host_are_stored_and_found():
    guest_needs("sqlalchemy", "sqlite3")
    line = run_demo("models.py")
    assert line.endswith("class: True; Lem: Fiasco; Lem: Solaris; Lem: The Cyberiad\n")


@guests.once
def test_decoders_agree_on_both_sides_and_are_drawn():
    guest_needs("numpy", "matplotlib")
    picture = OUT / "decode.png"
    picture.unlink(missing_ok=True)
    path = ROOT / "demos" / "decode" / "decode.py"
    snippet = f"import runpy, sys; sys.argv = [{str(path)!r}, '20000']; "
    snippet += f"sys.path.insert(0, {str(path.parent)!r}); "
    snippet += f"runpy.run_path({str(path)!r}, run_name='__main__')"
    lines = children.run(snippet, timeout=100).out.splitlines()
    assert len(lines) == 7
    for number, line in enumerate(lines[1:6]):
        assert line.startswith(f"{number}  ")
        here, there = map(float, re.findall(r"\d+\.\d", line)[:2])
        assert here > 0 and there > 0
    if platform.python_implementation() == "PyPy":
        operations = [int(line.split()[-1]) for line in lines[1:6]]
        assert 10 < operations[4] < 50 < operations[1]
    assert "20,000 messages" in lines[6] and "both sides: yes" in lines[6]
    data = picture.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) > 20_000


def test_the_distance_of_the_sqlite_demo_is_that_of_levenshtein():
    edits = runpy.run_path(str(ROOT / "demos" / "sqlite.py"))["edits"]
    known = [("kitten", "sitting", 3), ("", "abc", 3), ("abc", "", 3), ("same", "same", 0)]
    assert [edits(a, b) for a, b, _ in known] == [n for _, _, n in known]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def test_the_example_of_the_readme_prints_what_the_readme_says():
    guest_needs("numpy", "scipy")
    (example,) = blocks("python")
    (output,) = blocks("text")
    assert children.run(example).out == output


def test_the_readme_links_to_files_that_exist():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_transactions_give_the_result_of_a_serial_order():
    line = run_demo("transactions.py")
    count, parts = map(int, re.search(r"(\d+) transactions on (\d+) parts", line).groups())
    assert parts > 10 and count == 2 * parts - 1  # a binary tree: every split adds two
    first = (OUT / "transactions.txt").read_text()
    run_demo("transactions.py")
    assert (OUT / "transactions.txt").read_text() == first


def test_a_transaction_that_raises_is_named():
    demo = runpy.run_path(str(ROOT / "demos" / "transactions.py"))
    queue = demo["TransactionQueue"]()

    def fail(x):
        raise ValueError(x)

    queue.add(fail, 7)
    with pytest.raises(demo["TransactionFailed"], match=r"fail\(7,\) failed") as caught:
        queue.run()
    assert isinstance(caught.value.__cause__, ValueError)
