# SPDX-License-Identifier: MIT
"""The runner of child processes: a test helper worth sharing is worth a test."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import children
import pytest


def test_a_snippet_gives_status_and_both_outputs():
    result = children.run(
        """
        import sys
        print("to out", *sys.argv[1:])
        print("to err", file=sys.stderr)
        sys.exit(3)
        """,
        "one",
        "two",
        rc=3,
    )
    assert (result.rc, result.out, result.err) == (3, "to out one two\n", "to err\n")


def test_another_status_than_expected_fails_with_what_the_child_wrote():
    with pytest.raises(AssertionError, match=r"exit status 5 instead of 0") as caught:
        children.run("import sys; print('last words'); sys.exit(5)", stacks=False)
    assert "last words" in str(caught.value)


def test_a_death_by_signal_is_named():
    with pytest.raises(AssertionError, match="killed by SIGKILL"):
        children.run("import os; os.kill(os.getpid(), 9)", stacks=False)


def test_any_end_is_accepted_when_asked():
    result = children.run("import os; os.kill(os.getpid(), 9)", rc=None, stacks=False)
    assert result.rc == -signal.SIGKILL
    assert result.ended() == "killed by SIGKILL"


def test_a_child_that_takes_too_long_shows_the_stacks_of_host_and_guest():
    with pytest.raises(AssertionError, match="did not end within") as caught:
        children.run(
            """
            import pybridge
            pybridge.exec('''
            def sleep_in_guest(time):
                time.sleep(60)
            ''')
            def sleep_in_host():
                pybridge.eval("sleep_in_guest")(pybridge.import_module("time"))
            sleep_in_host()
            """,
            timeout=3,
        )
    text = str(caught.value)
    assert "stacks of the host" in text
    assert "sleep_in_host" in text
    assert "stacks of the guest" in text
    assert "sleep_in_guest" in text
    assert "killed by SIGKILL" in text


def test_a_child_that_hangs_before_it_can_dump_is_killed_all_the_same():
    begin = time.monotonic()
    with pytest.raises(AssertionError, match="did not end within"):
        children.run("import time; time.sleep(60)", timeout=0.5, stacks=False)
    assert time.monotonic() - begin < 10


def test_grandchildren_are_killed_too():
    with children.start(
        """
        import os, time
        pid = os.fork()
        if pid == 0:
            time.sleep(60)
        print(pid, "forked", flush=True)
        time.sleep(60)
        """,
        stacks=False,
    ) as child:
        child.expect("forked")
        grandchild = int(child.out.split()[0])
    for _ in range(100):
        try:
            status = Path(f"/proc/{grandchild}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            break
        if status.rpartition(")")[2].split()[0] == "Z":  # not reaped
            break
        time.sleep(0.02)
    else:
        pytest.fail("the grandchild lives")


def test_a_running_child_can_be_talked_to():
    with children.start(
        """
        import time
        try:
            print("ready", flush=True)
            time.sleep(60)
        except KeyboardInterrupt:
            print("interrupted")
        """
    ) as child:
        child.expect("ready")
        child.send(signal.SIGINT)
        assert child.finish().out == "ready\ninterrupted\n"


def test_a_child_that_ends_before_the_expected_text_fails_at_once():
    with pytest.raises(AssertionError, match="ended without 'never'"):
        with children.start("print('other')", stacks=False) as child:
            child.expect("never")


def test_the_environment_can_be_changed_and_reduced(monkeypatch):
    monkeypatch.setenv("PYBRIDGE_TEST_OLD", "1")
    result = children.run(
        "import os; print({k for k in os.environ if k.startswith('PYBRIDGE_TEST')})",
        env={"PYBRIDGE_TEST_NEW": "x", "PYBRIDGE_TEST_OLD": None},
        stacks=False,
    )
    assert result.out == "{'PYBRIDGE_TEST_NEW'}\n"


def test_the_directory_is_removed():
    with children.start("", stacks=False) as child:
        directory = os.path.dirname(child._out.name)
        child.finish()
    assert not os.path.exists(directory)
