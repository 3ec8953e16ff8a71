# SPDX-License-Identifier: MIT
"""Environments that pybridge makes: whole or not at all, one at a time, and what programs
require of them.  No network: packages come from a folder of wheels."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import guests
import pytest

from pybridge import _environment
from pybridge._errors import BridgeError


@pytest.mark.parametrize(
    ("version", "wanted", "fits"),
    [
        ((3, 11, 7), "", True),
        ((3, 11, 7), ">=3.11", True),
        ((3, 11, 7), ">=3.12", False),
        ((3, 11, 7), ">= 3.9, < 3.12", True),
        ((3, 12, 0), ">=3.9,<3.12", False),
        ((3, 11, 7), "==3.11.*", True),
        ((3, 12, 1), "==3.11.*", False),
        ((3, 12, 1), "!=3.11.*", True),
        ((3, 11, 0), "==3.11", True),
        ((3, 11, 7), "==3.11", False),
        ((3, 11, 7), "~=3.9", True),
        ((3, 11, 7), "~=3.11.2", True),
        ((3, 12, 0), "~=3.11.2", False),
        ((3, 11, 0), ">3.11", False),
        ((3, 11, 7), ">3.11,!=3.11.7", False),
        ((3, 11, 7), "<=3.11.7", True),
        ((3, 11, 7), "===3.11.7", True),
    ],
)
def test_versions_of_python_are_compared_as_pep_440_says(version, wanted, fits):
    assert _environment.python_fits(version, wanted) is fits


@pytest.mark.parametrize("wanted", ["3.11", ">=three", ">=3.*", "latest", "=>3.9"])
def test_what_is_no_specifier_of_versions_is_refused(wanted):
    with pytest.raises(BridgeError, match="not a specifier of Python versions"):
        _environment.python_fits((3, 11, 7), wanted)


# ---- with a folder of wheels ---------------------------------------------------------------


def wheel(folder: Path, name: str, version: str) -> None:
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as file:
        info = f"{name}-{version}.dist-info"
        file.writestr(f"{name}.py", f"version = {version!r}\n")
        file.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "")


@pytest.fixture(scope="module")
def world(tmp_path_factory, guest):
    """A user's machine: a data folder, wheels, the guest's base interpreter on PATH."""
    folder = tmp_path_factory.mktemp("world")
    (folder / "wheels").mkdir()
    wheel(folder / "wheels", "pb_one", "1.5")
    wheel(folder / "wheels", "pb_one", "2.0")
    path = [str(Path(guest.base_prefix) / "bin"), "/usr/bin", "/bin"]
    env = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(("PYBRIDGE_", "PIP_", "UV_", "PYTHON", "VIRTUAL_ENV"))
    }
    env.update(
        PATH=os.pathsep.join(path),
        XDG_DATA_HOME=str(folder / "data"),
        PIP_NO_INDEX="1",
        PIP_FIND_LINKS=str(folder / "wheels"),
        PIP_CONFIG_FILE="/dev/null",
        HOME=str(folder),
    )
    return folder, env


def command(world, *arguments, rc=0, cwd=None, **env):
    folder, base = world
    done = subprocess.run(
        [sys.executable, "-m", "pybridge", *map(str, arguments)],
        env={**base, **env}, cwd=cwd or folder, capture_output=True, text=True, timeout=100,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == rc, done.stdout + done.stderr
    return done


def script(world, name: str, dependencies: str, python: str = "") -> str:
    folder, _ = world
    text = f'# /// script\n# dependencies = {dependencies}\n# requires-python = "{python}"\n'
    text += "# ///\nimport pb_one, pybridge\nprint(pb_one.version)\n"
    (folder / name).write_text(text)
    return name


def test_a_script_with_metadata_gets_its_environment_once(world):
    folder, _ = world
    name = script(world, "one.py", '["pb_one<2"]', ">=3.9")
    first = command(world, "run", name)
    assert first.stdout == "1.5\n"
    assert "making " in first.stderr and "installing pb_one<2" in first.stderr
    again = command(world, "run", name, PIP_FIND_LINKS="/nonexistent")  # asks nobody
    assert (again.stdout, again.stderr) == ("1.5\n", "")
    made = sorted(p.name for p in (folder / "data/pybridge/for").iterdir() if p.is_dir())
    assert len(made) == 1
    record = json.loads((folder / "data/pybridge/for" / made[0] / "pybridge.json").read_text())
    assert record["requirements"] == ["pb_one<2"] and record["python"] == ">=3.9"


@guests.once
def test_an_environment_that_was_half_made_is_made_again(world):
    folder, _ = world
    name = script(world, "one.py", '["pb_one<2"]', ">=3.9")
    command(world, "run", name)  # as the test above, whose environment this is if it has run
    (record,) = [
        path for path in (folder / "data/pybridge/for").glob("*/pybridge.json")
        if json.loads(path.read_text())["requirements"] == ["pb_one<2"]
    ]  # fmt: skip
    record.unlink()
    again = command(world, "run", name)
    assert again.stdout == "1.5\n" and "making " in again.stderr and record.exists()


@guests.once
def test_two_starts_at_once_make_one_environment(world):
    folder, env = world
    text = "import pybridge; pybridge.require('pb_one==2.0'); pybridge.install()\n"
    text += "import pb_one; print(pb_one.version)"
    children = [
        subprocess.Popen(
            [sys.executable, "-c", text], env=env, cwd=folder, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]  # fmt: skip
    try:
        results = [child.communicate(timeout=100) for child in children]
    finally:
        for child in children:
            child.kill()
    assert [out for out, _ in results] == ["2.0\n"] * 2
    said = [err for _, err in results]
    assert sum("pybridge: making" in err for err in said) == 1
    assert sum("waiting for another process" in err for err in said) <= 1


def leftovers(folder: Path) -> list[str]:
    return [str(p) for p in (folder / "data/pybridge/for").glob("*/pyvenv.cfg") if not
            (p.parent / "pybridge.json").exists()]  # fmt: skip


@pytest.mark.parametrize(
    ("dependencies", "python", "message"),
    [
        pytest.param(
            '["pb_one==9", "pb_missing"]',
            "",
            "pb_one==9 pb_missing: could not be installed",
            marks=guests.once,
        ),
        ('["pb_one"]', ">=3.99", "no CPython >=3.99 for the environment.  Found: "),
        ('["pb_one"]', "newest", "not a specifier of Python versions"),
        ('"pb_one"', "", "dependencies must be an array of strings"),
        ("[pb_one]", "", "one.py"),
    ],
)
def test_what_cannot_be_had_is_one_message_and_leaves_nothing(
    world, dependencies, python, message
):
    name = script(world, "one.py", dependencies, python)
    done = command(world, "run", name, rc=2)
    last = done.stderr.splitlines()[-1]
    assert message in last and "Traceback" not in done.stderr and done.stdout == ""
    assert leftovers(world[0]) == []


@guests.once
def test_an_interrupted_making_leaves_nothing(world):
    folder, env = world
    name = script(world, "slow.py", '["pb_one>=1"]')
    child = subprocess.Popen(
        [sys.executable, "-m", "pybridge", "run", name], env=env, cwd=folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        assert "making" in child.stderr.readline()
        time.sleep(0.5)
        os.killpg(child.pid, signal.SIGINT)
        child.communicate(timeout=60)
    finally:
        child.kill()
    assert child.returncode in (130, -signal.SIGINT)
    assert leftovers(folder) == []


def test_a_data_folder_that_cannot_be_written_is_said(world):
    folder, _ = world
    (folder / "file").write_text("")
    name = script(world, "other.py", '["pb_one>1"]')
    done = command(world, "run", name, rc=2, XDG_DATA_HOME=str(folder / "file"))
    assert "no environment can be made there" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@guests.once
def test_install_makes_the_default_environment_which_is_found_from_then_on(world):
    folder, _ = world
    done = command(world, "install", "--json", "pb_one<2")
    python = json.loads(done.stdout)["python"]
    assert python == str(folder / "data/pybridge/guest/bin/python")
    text = "import pb_one; print(pb_one.version)"
    assert command(world, "run", "-c", text).stdout == "1.5\n"
    assert command(world, "python", "-c", text).stdout == "1.5\n"
    done = command(world, "install", "--upgrade", "pb_one")
    assert f"installed for {python}" in done.stdout
    assert command(world, "python", "-c", text).stdout == "2.0\n"
    (folder / "list.txt").write_text("pb_one==1.5\n")
    command(world, "install", "-r", "list.txt")
    assert command(world, "run", "-c", text).stdout == "1.5\n"
    assert command(world, "python", "-c", "import sys; sys.exit(7)", rc=7).stdout == ""
    # A chosen guest is checked, not changed: conflicts are loud.
    name = script(world, "two.py", '["pb_one>=2", "pb_two"]', ">=3.9")
    done = command(world, "run", name, rc=2, PYBRIDGE_PYTHON=python)
    assert (
        "PYBRIDGE_PYTHON: " in done.stderr and "does not meet the requirements" in done.stderr
    )
    assert "pb_one>=2 is wanted, 1.5 is installed; pb_two is not installed" in done.stderr
    name = script(
        world, "two.py", "[\"pb_one; python_version>'3'\", \"x; python_version<'3'\"]"
    )
    assert command(world, "run", name, PYBRIDGE_PYTHON=python).stdout == "1.5\n"
    done = command(world, "install", "pb_one", rc=1, PYBRIDGE_PYTHON="/nonexistent")
    assert "PYBRIDGE_PYTHON: /nonexistent does not exist" in done.stderr
    done = command(world, "install", "-r", "nothing.txt", rc=1)
    assert "nothing.txt" in done.stderr


def test_a_guest_without_pip_is_told_how_to_get_one(world, tmp_path, guest):
    base = str(Path(guest.base_prefix) / "bin" / f"python3.{guest.version[1]}")
    subprocess.run([base, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    done = command(world, "install", "pb_one", rc=1, PYBRIDGE_PYTHON=str(tmp_path / "bare"))
    assert "has no pip, and there is no uv on PATH" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@guests.once
def test_uv_is_used_when_it_is_there(world, tmp_path, guest):
    """A stand-in for uv that only notes what it is told: the test needs no network, no pip."""
    uv = tmp_path / "uv"
    uv.write_text(
        '#!/bin/sh\necho "$@" > "$UV_TOLD"\n[ "$1 $2 $3" = "pip install --python" ] || exit 9\n'
    )
    uv.chmod(0o755)
    _, env = world
    told = tmp_path / "told"
    base = str(Path(guest.base_prefix) / "bin" / f"python3.{guest.version[1]}")
    subprocess.run([base, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    path = f"{tmp_path}:{env['PATH']}"
    command(
        world, "install", "pb_one", PATH=path, UV_TOLD=str(told), PYBRIDGE_PYTHON=str(python)
    )
    assert told.read_text().split() == ["pip", "install", "--python", str(python), "pb_one"]


def test_a_full_disk_is_said(world, tmp_path, guest):
    """venv itself says only that ensurepip failed."""
    folder, env = world
    code = (
        "import shutil, sys\n"
        "from pybridge import _environment\n"
        "_environment._run = lambda command, shown: (1, 'Error: no')\n"
        "shutil.disk_usage = lambda path: shutil._ntuple_diskusage(10, 9, 2048)\n"
        "_environment.install(['pb_one'], [], None)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**env, "XDG_DATA_HOME": str(tmp_path)}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stderr.splitlines()[-1].endswith("The disk is full: 2 KiB are left. [PB120]")
    assert leftovers(folder) == []
