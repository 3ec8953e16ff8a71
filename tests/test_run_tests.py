# SPDX-License-Identifier: MIT
"""tools/run_tests.py, when it is ended."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import children
import guests
import pytest

TOOLS = Path(__file__).parent.parent / "tools"

# A test of a suite: it runs a program, in a session of its own.
SUITE = """
import os, children

def test_a_long_one():
    with children.start("import time\\nprint('begun', flush=True)\\ntime.sleep(60)") as child:
        child.expect("begun")
        with open(os.environ["PIDS"], "a") as pids:
            print(os.getpid(), child.pid, "there", file=pids)
        child.finish()
"""
RUN = """
import pathlib, sys
tools, suite, work = sys.argv[1:]
sys.path.insert(0, tools)
import run_tests

def shares(pair):
    return [run_tests.Share(pair, "ended-%d" % i, [suite]) for i in (1, 2)]

run_tests.pairs = lambda: [run_tests.Pair("ended", pathlib.Path(sys.executable), "none", "")]
run_tests.shares = shares
run_tests.WORK = pathlib.Path(work)
del sys.argv[1:]
run_tests.main()
"""


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@guests.once
@pytest.mark.skipif(not TOOLS.exists(), reason="the tools are not part of what is installed")
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, None)], ids=["term", "int"]
)
def test_its_processes_end_with_it(number, status, tmp_path):
    """They went on, and so did the programs that their tests run."""
    pids = tmp_path / "pids"
    pids.write_text("")
    suite = tmp_path / "test_long.py"
    suite.write_text(SUITE)
    arguments = str(TOOLS), str(suite), str(tmp_path)
    env = {"PIDS": str(pids), "PYTHONPATH": os.path.dirname(__file__)}
    with children.start(RUN, *arguments, env=env, stacks=False, timeout=60) as child:
        end = time.monotonic() + 50
        while pids.read_text().count("there") < 2 and time.monotonic() < end:
            assert child.process.poll() is None, child.out + child.err
            time.sleep(0.05)
        found = [int(word) for word in pids.read_text().split() if word.isdigit()]
        assert len(found) == 4 and all(map(alive, found)), child.out + child.err
        child.send(number)
        result = child.finish(rc=None)
    assert not any(map(alive, found)), result.text()
    assert result.rc == status or (status is None and result.rc not in (0, 1)), result.text()
