# SPDX-License-Identifier: MIT
"""`python -m pybridge doctor`, in children, as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import children
import guests
import pytest

from pybridge import _discover

SECTIONS = [
    "pybridge",
    "host",
    "settings",
    "candidates",
    "guest",
    "symbols",
    "packages",
    "checks",
]


@pytest.fixture(scope="module")
def chosen() -> str:
    """The guest of this run."""
    return _discover.discover().executable


def pybridge(
    *arguments: str, rc: int = 0, **env: str | None
) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ)
    for name, value in env.items():
        environment.pop(name, None)
        if value is not None:
            environment[name] = value
    done = subprocess.run(
        [sys.executable, "-m", "pybridge", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
    )
    assert done.returncode == rc, done.stdout + done.stderr
    return done


def report(*arguments: str, rc: int = 0, **env: str | None) -> dict:
    done = pybridge("doctor", "--json", *arguments, rc=rc, **env)
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_a_good_guest_is_reported_as_text_and_status_0(chosen):
    done = pybridge("doctor")
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[-1] == "all is well"
    assert [line for line in lines[:-1] if line[0] != " "] == SECTIONS
    assert any(line.startswith("  chosen") and chosen in line for line in lines)
    assert any("math.sqrt(x): " in line and line.endswith(" ns") for line in lines)


@pytest.fixture(scope="module")
def full() -> dict:
    return report()


def test_json_has_the_same_sections_and_what_they_are_made_of(full, chosen):
    assert list(full) == [*SECTIONS, "ok", "problems"]
    assert full["ok"] is True and full["problems"] == []
    assert full["host"]["executable"] == sys.executable
    assert full["guest"]["executable"] == chosen
    assert [c["path"] for c in full["candidates"] if c["chosen"]] == [chosen]
    assert full["symbols"]["enabled"] and full["symbols"]["selftest"]
    assert all(check["ok"] for check in full["checks"])
    prices = [check["ns"] for check in full["checks"] if "ns" in check]
    assert len(prices) == 4 and all(price < 1e6 for price in prices)
    assert min(prices) > 3, "a loop that the host does alone, without the guest"


@guests.once
def test_where_packages_would_come_from(tmp_path, chosen):
    """Both have `pytest` or only the host does; `json` is the host's; nobody has the last."""
    names = ["json", "pytest", "pip", "no_such_package"]
    rows = {p["name"]: p for p in report(*names)["packages"]}
    assert list(rows) == names
    assert rows["json"]["origin"] == rows["pytest"]["origin"] == "host"
    assert rows["pytest"]["host"] == pytest.__version__
    assert rows["no_such_package"] == {
        "name": "no_such_package", "origin": "nowhere", "host": None, "guest": None,
        "why": "install it: python -m pybridge install no_such_package",
    }  # fmt: skip
    # A folder that both sides find, and a rule.
    site = tmp_path / "site"
    site.mkdir()
    (site / "lonely_module.py").write_text("")
    told = pybridge("doctor", "lonely_module", PYTHONPATH=str(site)).stdout
    assert "  host  lonely_module: host found" in told, told
    (numpy,) = report("numpy", PYBRIDGE_HOST_PACKAGES="numpy")["packages"]
    if numpy["guest"]:
        assert (numpy["origin"], numpy["why"][:6]) == ("host", "a rule")
        (numpy,) = report("numpy")["packages"]
        assert numpy["origin"] == "guest" and numpy["guest"][0].isdigit()


def test_each_candidate_is_either_usable_or_has_a_reason(full):
    for candidate in full["candidates"]:
        assert (candidate["version"] is None) == (candidate["reason"] is not None)
        assert candidate["source"] and candidate["path"]


def test_a_bad_setting_is_a_problem_and_status_1():
    found = report(rc=1, PYBRIDGE_PYTHON="/nonexistent/python")
    assert not found["ok"]
    assert "guest" not in found and "checks" not in found
    assert not any(candidate["chosen"] for candidate in found["candidates"])
    assert found["candidates"][0]["reason"] == "does not exist"
    (problem,) = found["problems"]
    assert problem.startswith("GuestNotFound: PYBRIDGE_PYTHON: /nonexistent/python")


def test_a_setting_that_is_not_understood_is_a_problem():
    done = pybridge("doctor", rc=1, PYBRIDGE_ISOLATE="maybe")
    assert "problem: BridgeError: PYBRIDGE_ISOLATE=maybe" in done.stdout
    assert done.stderr == ""


def test_no_interpreter_at_all_is_a_problem():
    found = report(rc=1, PYBRIDGE_PYTHON=None, VIRTUAL_ENV=None, PATH="/nonexistent")
    assert found["candidates"] == []
    assert found["problems"][0].startswith("GuestNotFound: no usable CPython")


def test_another_guest_can_be_named(chosen):
    found = report("--python", chosen, PYBRIDGE_PYTHON="/nonexistent/python")
    assert found["guest"]["executable"] == chosen
    assert found["candidates"][0]["source"] == "pybridge.start(python=...)"


def test_a_script_brings_the_settings_beside_it(tmp_path, chosen):
    table = f"[tool.pybridge]\npython = '{chosen}'\n"
    (tmp_path / "pyproject.toml").write_text(table)
    script = tmp_path / "script.py"
    script.write_text("")
    found = report("--script", str(script), PYBRIDGE_PYTHON=None)
    assert found["settings"]["python"] == chosen
    assert str(tmp_path) in found["settings"]["python_source"]
    assert found["guest"]["executable"] == chosen


def test_a_failed_check_is_named_and_gives_status_1():
    result = children.run(
        """
        from pybridge import _doctor
        _doctor._CLAIMS.append(("one is none", lambda: 1 / 0))
        raise SystemExit(_doctor.run(None, None, False, []))
        """,
        rc=1,
    )
    assert "  FAILED  one is none: ZeroDivisionError: " in result.out
    assert "problem: check failed: one is none" in result.out


@pytest.mark.parametrize(
    "arguments",
    [(), ("nonsense",), ("doctor", "--nonsense"), ("doctor", "--script", "/nonexistent.py")],
    ids=["nothing", "unknown command", "unknown option", "no such script"],
)
def test_wrong_usage_is_status_2(arguments):
    done = pybridge(*arguments, rc=2)
    assert done.stdout == ""
    assert "usage: python -m pybridge" in done.stderr


def test_importing_the_command_line_loads_no_argument_parser():
    result = children.run(
        """
        import sys
        before = set(sys.modules)
        import pybridge.__main__
        print(sorted({"argparse", "pybridge._doctor"} & (set(sys.modules) - before)))
        """
    )
    assert result.out == "[]\n"
