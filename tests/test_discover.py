# SPDX-License-Identifier: MIT
"""Discovery: the order, choices that bind, finds that do not, and what is never touched."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from pybridge import _discover, _probe
from pybridge._discover import Candidate, discover, survey
from pybridge._errors import BridgeError, GuestNotFound

DEBIAN = "/usr/bin/python3"


def fake(path: Path, script: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def guest(path: Path, minor: int = 7, **changes: str) -> str:
    """Make an interpreter that answers well, as version 3.100+minor or as changed.

    Such high versions are never the host's; names on PATH need not agree with them.
    """
    library = path.parent / "lib" / f"{path.name}.so.1.0"
    library.parent.mkdir(parents=True, exist_ok=True)
    with open("/proc/self/exe", "rb") as file:
        library.write_bytes(file.read(64))
    answer = {
        **dict.fromkeys(_probe._FIELDS.split(), ""),
        "implementation": "cpython",
        "version": f"3.{100 + minor}.0",
        "executable": str(path),
        "bits": "64" if sys.maxsize > 2**32 else "32",
        "libc": os.confstr("CS_GNU_LIBC_VERSION") or "",
        "Py_ENABLE_SHARED": "1",
        "INSTSONAME": library.name,
        "LIBDIR": str(library.parent),
        **changes,
    }
    text = " ".join(f"{name}={os.fsencode(value).hex()}" for name, value in answer.items())
    return fake(path, f"printf '%s\\n' '{text}' > /proc/self/fd/$4")


def pypy(path: Path) -> str:
    return guest(path, implementation="pypy", implementation_version="7.3.11")


def trap(path: Path) -> str:
    """Make an interpreter that must not be run, and can tell."""
    return fake(path, f"echo > {path}.was-run")


@pytest.fixture(autouse=True)
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a directory in which nothing is set, on PATH or beside the script."""
    for name in list(os.environ):
        if name.startswith(("PYBRIDGE_", "PYENV_", "VIRTUAL_ENV")):
            monkeypatch.delenv(name)
    for name in ("bin", "app", "here"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    main = ModuleType("__main__")
    main.__file__ = str(tmp_path / "app" / "script.py")
    monkeypatch.setitem(sys.modules, "__main__", main)
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def configure(world: Path, python: str) -> None:
    text = f"[tool.pybridge]\npython = '{python}'\n"
    (world / "app" / "pyproject.toml").write_text(text)


def refusal(python: str | None = None) -> str:
    with pytest.raises(GuestNotFound) as caught:
        discover(python)
    return str(caught.value)


def looked_at(candidates: list[Candidate]) -> list[tuple[str, str, bool]]:
    return [(each.source, os.path.basename(each.path), each.chosen) for each in candidates]


# -------------------------------------------------------------------------------- the order


def test_the_order_is_argument_variable_table_venv_path(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest(world / "bin" / "python3")
    assert discover().executable == str(world / "bin" / "python3")
    guest(world / "bin" / "python3.9")
    assert discover().executable == str(world / "bin" / "python3.9")
    guest(world / "bin" / "python3.13")
    assert discover().executable == str(world / "bin" / "python3.13")
    guest(world / "venv" / "bin" / "python")
    monkeypatch.setenv("VIRTUAL_ENV", str(world / "venv"))
    assert discover().executable == str(world / "venv" / "bin" / "python")
    configure(world, guest(world / "table"))
    assert discover().executable == str(world / "table")
    monkeypatch.setenv("PYBRIDGE_PYTHON", guest(world / "variable"))
    assert discover().executable == str(world / "variable")
    assert discover(guest(world / "argument")).executable == str(world / "argument")
    assert discover(world / "argument").executable == str(world / "argument")


def test_on_path_the_newest_comes_first_and_then_the_order_of_path(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{world}/one:{world}/two")
    names = ["python3.9", "python3.10", "python3.15", "python3.14", "python3"]
    for place in ("one", "two"):
        for name in names:
            guest(world / place / name)
    os.unlink(world / "one" / "python3.15")
    assert [os.path.relpath(each.path, world) for each in survey()] == [
        "two/python3.15",
        "one/python3.14",
        "two/python3.14",
        "one/python3.10",
        "two/python3.10",
        "one/python3.9",
        "two/python3.9",
        "one/python3",
        "two/python3",
    ]


def test_a_refused_find_is_passed_over(world: Path) -> None:
    fake(world / "bin" / "python3.13", "exit 3")
    guest(world / "bin" / "python3.12")
    assert discover().executable == str(world / "bin" / "python3.12")


def test_one_interpreter_under_two_names_is_looked_at_once(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest(world / "bin" / "python3.12")
    (world / "bin" / "python3").symlink_to("python3.12")
    (world / "usr").symlink_to("bin")
    monkeypatch.setenv("PATH", f"{world}/bin:{world}/usr")
    assert looked_at(survey()) == [("python3.12 on PATH", "python3.12", True)]


def test_a_venv_and_its_base_are_two(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guest(world / "bin" / "python3.12")
    (world / "venv" / "bin").mkdir(parents=True)
    (world / "venv" / "bin" / "python").symlink_to(world / "bin" / "python3.12")
    monkeypatch.setenv("VIRTUAL_ENV", str(world / "venv"))
    assert looked_at(survey()) == [
        ("VIRTUAL_ENV", "python", True),
        ("python3.12 on PATH", "python3.12", False),
    ]


# ---------------------------------------------------------------- choices that are refused


@pytest.fixture(params=["argument", "variable", "table"])
def choose(
    request: pytest.FixtureRequest, world: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, object]:
    """Give the name of a source, and a function that asks to use a path from it."""

    def by_argument(python: str) -> str:
        return refusal(python)

    def by_variable(python: str) -> str:
        monkeypatch.setenv("PYBRIDGE_PYTHON", python)
        return refusal()

    def by_table(python: str) -> str:
        configure(world, python)
        return refusal()

    return {
        "argument": ("pybridge.start(python=...)", by_argument),
        "variable": ("PYBRIDGE_PYTHON", by_variable),
        "table": (f"[tool.pybridge] in {world}/app/pyproject.toml", by_table),
    }[request.param]


@pytest.mark.parametrize("fault", ["missing", "empty directory", "text", "fails", "PyPy"])
def test_a_bad_choice_is_an_error_and_nothing_else_is_tried(
    fault: str, choose: tuple[str, object], world: Path
) -> None:
    trap(world / "bin" / "python3.13")
    path = world / "chosen"
    message = "does not exist"
    if fault == "empty directory":
        path.mkdir()
        message = "is a directory without bin/python"
    elif fault == "text":
        path.write_text("hello")
        message = "is not executable"
    elif fault == "fails":
        fake(path, "echo broken >&2; exit 7")
        message = 'is not a working Python: it ended with status 7, saying "broken"'
    elif fault == "PyPy":
        pypy(path)
        message = "is PyPy 7.3.11, not CPython"
    source, ask = choose
    assert callable(ask)
    assert ask(str(path)) == (
        f"{source}: {path} {message}.  Name another interpreter there, or none; pybridge does "
        f"not fall back from a choice. [PB101]"
    )
    assert not (world / "bin" / "python3.13.was-run").exists()


@pytest.mark.parametrize("python", ["", "a\0b"], ids=["empty", "NUL"])
def test_an_argument_that_is_no_name_is_an_error(python: str) -> None:
    assert refusal(python).startswith(
        "pybridge.start(python=...): '' is not the name of a file"
    )


def test_a_wrong_setting_elsewhere_is_not_hidden_by_a_guest(world: Path) -> None:
    guest(world / "bin" / "python3.13")
    (world / "app" / "pyproject.toml").write_text("[tool.pybridge]\npyton = 'x'\n")
    with pytest.raises(BridgeError, match="unknown key 'pyton'"):
        discover()


# ------------------------------------------------------------------- how a choice is written


def test_a_directory_stands_for_the_venv_in_it(world: Path) -> None:
    python = guest(world / "here" / ".venv-guest" / "bin" / "python")
    assert discover(str(world / "here" / ".venv-guest")).executable == python
    assert discover(".venv-guest").executable == python
    assert discover("./.venv-guest/").executable == python
    python = guest(world / "prefix" / "bin" / "python3")
    assert discover("../prefix").executable == python


def test_a_relative_path_in_the_table_is_relative_to_the_file(world: Path) -> None:
    trap(world / "here" / "env" / "bin" / "python")
    python = guest(world / "app" / "env" / "bin" / "python")
    for written in ("env/bin/python", "./env", "env"):
        configure(world, written)
        assert discover().executable == python


def test_a_relative_path_in_the_variable_is_relative_to_the_current_directory(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = guest(world / "here" / "env" / "bin" / "python")
    for written in ("env/bin/python", "./env", "env"):
        monkeypatch.setenv("PYBRIDGE_PYTHON", written)
        assert discover().executable == python


def test_a_tilde_is_the_home_directory(world: Path) -> None:
    python = guest(world / "home" / "env" / "bin" / "python")
    assert discover("~/env").executable == python
    configure(world, "~/env/bin/python")
    assert discover().executable == python


def test_a_bare_name_is_looked_for_on_path_and_only_there(world: Path) -> None:
    trap(world / "here" / "python3.12")
    assert refusal("python3.12").startswith(
        "pybridge.start(python=...): python3.12 is not on PATH."
    )
    python = guest(world / "bin" / "python3.12")
    trap(world / "here" / "python3.12")
    assert discover("python3.12").executable == python
    assert not (world / "here" / "python3.12.was-run").exists()


# ------------------------------------------------------------------- what is found, and not


@pytest.mark.parametrize(
    "path", ["", ":", ".", "here", "./here", ":{world}/none:", "../here:{world}/app/file"]
)
def test_nothing_below_the_current_directory_is_run(
    path: str, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", path.format(world=world))
    (world / "here" / "here").mkdir()
    for name in ("python", "python3", "python3.13", ".venv/bin/python", "here/python3.13"):
        trap(world / "here" / name)
    assert "no python3.X on PATH, and no VIRTUAL_ENV" in refusal()
    assert list(world.rglob("*.was-run")) == []


def test_without_path_nothing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PATH")
    assert refusal() == (
        "no usable CPython.  Tried: no python3.X on PATH, and no VIRTUAL_ENV.  Install a "
        "CPython 3.9 or newer with its shared library, and name it by PYBRIDGE_PYTHON if it is "
        "not on PATH. [PB102]"
    )


def test_every_place_tried_is_told_with_its_reason(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pypy(world / "venv" / "bin" / "python")
    monkeypatch.setenv("VIRTUAL_ENV", str(world / "venv"))
    guest(world / "bin" / "python3.12", Py_GIL_DISABLED="1", version="3.112.0")
    fake(world / "bin" / "python3", "exit 4")
    assert (
        f"Tried: VIRTUAL_ENV: {world}/venv/bin/python is PyPy 7.3.11, not CPython; python3.12 "
        f"on PATH: {world}/bin/python3.12 is a free-threaded CPython 3.112.0: choose a build "
        f"that has the GIL; python3 on PATH: {world}/bin/python3 is not a working Python: it "
        f"ended with status 4.  Install"
    ) in refusal()


def test_what_a_shell_would_not_run_is_no_candidate(world: Path) -> None:
    (world / "bin" / "python3.13").mkdir()
    (world / "bin" / "python3.12").write_text("text")
    (world / "bin" / "python3.11").symlink_to("nothing")
    assert survey() == []


@pytest.mark.parametrize(
    "venv, reason",
    [
        pytest.param("{world}/none", "does not exist", id="missing"),
        pytest.param("{world}/app", "is a directory without bin/python", id="no venv"),
        pytest.param("env", "is not an absolute path", id="relative"),
        pytest.param("{world}/pypy", "is PyPy 7.3.11, not CPython", id="PyPy"),
        pytest.param("{world}/dead", "is a link to {world}/gone, which does not", id="no base"),
    ],
)
def test_an_unusable_active_venv_is_passed_over_with_a_reason(
    venv: str, reason: str, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap(world / "here" / "env" / "bin" / "python")
    pypy(world / "pypy" / "bin" / "python")
    (world / "dead" / "bin").mkdir(parents=True)
    (world / "dead" / "bin" / "python").symlink_to(world / "gone")
    python = guest(world / "bin" / "python3.12")
    monkeypatch.setenv("VIRTUAL_ENV", venv.format(world=world))
    assert discover().executable == python
    first, second = survey()
    assert (first.source, first.guest, first.chosen) == ("VIRTUAL_ENV", None, False)
    assert first.reason is not None and first.reason.startswith(reason.format(world=world))
    assert (second.path, second.reason, second.chosen) == (python, None, True)
    assert list(world.rglob("*.was-run")) == []


# ---------------------------------------------------------------------------------- the host


def test_the_interpreter_of_this_process_is_refused_without_running_it(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def probe(path: str) -> None:
        raise AssertionError(f"probed {path}")

    monkeypatch.setattr(_discover, "probe", probe)
    (world / "bin" / "python3.13").symlink_to(sys.executable)
    assert "python3.13 is the interpreter that runs this process" in refusal()
    assert "is the interpreter that runs this process" in refusal(sys.executable)


def test_a_cpython_host_refuses_guests_of_its_own_version(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_discover, "_HOST_CPYTHON", (3, 107))
    python = guest(world / "bin" / "python3.13", 7)
    message = (
        f"{python} is CPython 3.107, and so is this process: two interpreters cannot share one "
        f"library; choose another version."
    )
    assert message in refusal(python)
    assert message in refusal() + "."
    other = guest(world / "bin" / "python3.12", 6)
    assert discover().executable == other


def test_the_version_of_a_cpython_host_is_known() -> None:
    expected = sys.version_info[:2] if sys.implementation.name == "cpython" else None
    assert _discover._HOST_CPYTHON == expected


# ------------------------------------------------------------------- what others can change


@pytest.fixture(params=["file", "directory", "above", "behind a link", "library"])
def reachable(request: pytest.FixtureRequest, world: Path) -> tuple[str, str]:
    """Give an interpreter that others can change, and where they can."""
    python = guest(world / "bin" / "python3.12")
    spot = {
        "file": world / "bin" / "python3.12",
        "directory": world / "bin",
        "above": world,
        "behind a link": world / "other",
        "library": world / "bin" / "lib",
    }[request.param]
    if request.param == "behind a link":
        spot.mkdir()
        guest(spot / "python")
        os.unlink(python)
        (world / "second").symlink_to(spot / "python")
        os.symlink(world / "second", python)
    spot.chmod(0o777)
    return python, str(spot)


def test_a_find_that_others_can_change_is_refused(reachable: tuple[str, str]) -> None:
    python, spot = reachable
    assert f"{python} can be changed by other users, who may write to {spot}: " in refusal()


def test_a_choice_that_others_can_change_is_taken(reachable: tuple[str, str]) -> None:
    python, _ = reachable
    assert discover(python).version == (3, 107, 0)


def test_a_find_that_others_can_change_is_not_run(world: Path) -> None:
    trap(world / "bin" / "python3.12")
    (world / "bin").chmod(0o777)
    assert "can be changed by other users" in refusal()
    assert list(world.rglob("*.was-run")) == []


def test_an_active_venv_that_others_can_change_is_refused(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest(world / "venv" / "bin" / "python")
    (world / "venv").chmod(0o777)
    monkeypatch.setenv("VIRTUAL_ENV", str(world / "venv"))
    assert "can be changed by other users" in refusal()


def test_a_directory_like_tmp_above_is_no_reason_to_refuse(world: Path) -> None:
    python = guest(world / "bin" / "python3.12")
    world.chmod(0o1777)
    assert discover().executable == python


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files to another user")
@pytest.mark.parametrize("what", ["bin", "bin/python3.12"])
def test_what_another_user_put_into_a_directory_like_tmp_is_refused(
    what: str, world: Path
) -> None:
    guest(world / "bin" / "python3.12")
    os.chown(world / what, 12345, -1)
    (world / what).parent.chmod(0o1777)
    assert f"who may write to {(world / what).parent}: " in refusal()


# ------------------------------------------------------------------------------------ shims

SHIM = """\
#!/usr/bin/env bash
set -e
echo > "$0.was-run"
program="${{0##*/}}"
export PYENV_ROOT="{root}"
exec "{root}/libexec/pyenv" exec "$program" "$@"
"""


@pytest.fixture
def pyenv(world: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a pyenv with 3.13.1 and 3.12.2 (not selected) whose shims must not be run."""
    root = world / "pyenv"
    for version, name in [("3.13.1", "python3.13"), ("3.12.2", "python3.12")]:
        guest(root / "versions" / version / "bin" / name)
        guest(root / "versions" / version / "bin" / "python3")
    for name in ("python3.13", "python3.12", "python3"):
        fake(root / "shims" / name, "")
        (root / "shims" / name).write_text(SHIM.format(root=root))
    monkeypatch.setenv("PATH", f"{root}/shims:{world}/bin")
    return root


def test_a_shim_stands_for_what_pyenv_selects(pyenv: Path) -> None:
    (pyenv / "version").write_text("# mine\n3.12.2\n")
    assert discover().executable == str(pyenv / "versions/3.12.2/bin/python3.12")
    (pyenv / "version").write_text("3.12.2 3.13.1\n")
    assert discover().executable == str(pyenv / "versions/3.13.1/bin/python3.13")
    assert discover("python3").executable == str(pyenv / "versions/3.12.2/bin/python3")
    assert list(pyenv.rglob("*.was-run")) == []


def test_the_variable_of_pyenv_wins_over_its_file(
    pyenv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pyenv / "version").write_text("3.13.1\n")
    monkeypatch.setenv("PYENV_VERSION", "3.12.2:system")
    assert discover().executable == str(pyenv / "versions/3.12.2/bin/python3.12")


def test_a_version_file_in_the_current_directory_selects_nothing(pyenv: Path) -> None:
    Path(".python-version").write_text("3.13.1\n")
    (pyenv / "version").write_text("3.12.2\n")
    assert discover().version == discover("python3.12").version
    assert discover().executable == str(pyenv / "versions/3.12.2/bin/python3.12")


@pytest.mark.parametrize("text", ["system\n", "", None])
def test_behind_a_shim_that_selects_the_system_comes_the_rest_of_path(
    text: str | None, pyenv: Path, world: Path
) -> None:
    if text is not None:
        (pyenv / "version").write_text(text)
    python = guest(world / "bin" / "python3.12")
    assert discover().executable == python
    assert discover("python3.12").executable == python


def test_a_shim_without_a_selected_version_is_refused(pyenv: Path) -> None:
    (pyenv / "version").write_text("3.12.2\n")
    message = "python3.13 is a shim of pyenv, and the version it selects (3.12.2) has none"
    assert message in refusal("python3.13")
    assert message in refusal(str(pyenv / "shims" / "python3.13"))


def test_another_script_is_run_and_its_interpreter_answers(world: Path) -> None:
    python = guest(world / "real" / "python")
    fake(world / "bin" / "python3.12", f'exec {python} "$@"')
    assert discover().executable == python


# ----------------------------------------------------------------------------------- survey


def test_a_survey_looks_at_every_place_and_chooses_one(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYBRIDGE_PYTHON", guest(world / "chosen"))
    pypy(world / "venv" / "bin" / "python")
    monkeypatch.setenv("VIRTUAL_ENV", str(world / "venv"))
    guest(world / "bin" / "python3.13")
    fake(world / "bin" / "python3.12", "exit 1")
    candidates = survey()
    assert looked_at(candidates) == [
        ("PYBRIDGE_PYTHON", "chosen", True),
        ("VIRTUAL_ENV", "python", False),
        ("python3.13 on PATH", "python3.13", False),
        ("python3.12 on PATH", "python3.12", False),
    ]
    assert [each.guest is None for each in candidates] == [False, True, False, True]
    assert [each.reason is None for each in candidates] == [True, False, True, False]
    assert candidates[0].guest == discover()


def test_a_survey_chooses_none_when_a_setting_is_bad(world: Path) -> None:
    configure(world, "none/python")
    guest(world / "bin" / "python3.13")
    assert looked_at(survey()) == [
        (f"[tool.pybridge] in {world}/app/pyproject.toml", "python", False),
        ("python3.13 on PATH", "python3.13", False),
    ]


def test_a_survey_says_that_the_argument_wins(world: Path) -> None:
    configure(world, guest(world / "table"))
    assert looked_at(survey(guest(world / "argument"))) == [
        ("pybridge.start(python=...)", "argument", True),
        (f"[tool.pybridge] in {world}/app/pyproject.toml", "table", False),
    ]


# ------------------------------------------------------------------------ real interpreters


@pytest.mark.skipif(not os.access(DEBIAN, os.X_OK), reason="no /usr/bin/python3 here")
def test_the_python_of_the_system_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin")
    version = subprocess.run(
        [DEBIAN, "-c", "import sys; print(*sys.version_info[:2])"],
        stdout=subprocess.PIPE,
        text=True,
    )
    minor = int(version.stdout.split()[1])
    if _discover._HOST_CPYTHON == (3, minor):
        assert f"is CPython 3.{minor}, and so is this process" in refusal(DEBIAN)
    else:
        found = {each.guest.version[:2] for each in survey() if each.guest is not None}
        assert (3, minor) in found


def test_a_real_shim_stands_for_what_pyenv_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    pyenv = shutil.which("pyenv")
    if pyenv is None:
        pytest.skip("no pyenv here")
    answers = [
        subprocess.run([pyenv, *words], cwd="/", stdout=subprocess.PIPE, text=True, timeout=60)
        for words in (["root"], ["which", "python3"])
    ]
    root, python = [answer.stdout.strip() for answer in answers]
    shim = os.path.join(root, "shims", "python3")
    if not python.startswith(root) or not os.path.exists(shim):
        pytest.skip("pyenv selects no python3 of its own")
    assert _discover._of_shim(shim) == (python, None)
