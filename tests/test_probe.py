# SPDX-License-Identifier: MIT
"""The probe: real interpreters describe themselves, everything else is refused by name.

Fake interpreters are shell scripts, called as the probe calls: `$1` is -I, `$2` -c, `$3` the
code, `$4` the descriptor for the answer.
"""

from __future__ import annotations

import glob
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pybridge import _child, _probe
from pybridge._probe import Guest, Refused, probe

ROOT = os.path.dirname(os.path.dirname(_probe.__file__))
ANSWER_TO = "/proc/self/fd/$4"


def real_interpreters(lowest: int, highest: int) -> list[str]:
    """Every CPython 3.lowest to 3.highest of pyenv, and Debian's python3."""
    found = []
    pyenv = shutil.which("pyenv")
    if pyenv is not None:
        root = subprocess.run([pyenv, "root"], stdout=subprocess.PIPE, text=True, timeout=60)
        found = glob.glob(os.path.join(root.stdout.strip(), "versions", "3.*", "bin", "python"))
    found = [
        path
        for path in found
        if lowest <= int(path.split(os.sep)[-3].split(".")[1].rstrip("tdev-")) <= highest
    ]
    if highest > 8 and os.access("/usr/bin/python3", os.X_OK):
        found.append("/usr/bin/python3")
    return sorted(found)


def parameters(found: list[str], absent: str) -> list[object]:
    if not found:
        return [pytest.param("", id="none", marks=pytest.mark.skip(reason=absent))]
    return [
        pytest.param(path, id=path.split(os.sep)[-3] if "versions" in path else "system")
        for path in found
    ]


NEW = real_interpreters(9, 15)
each_new = pytest.mark.parametrize("python", parameters(NEW, "no CPython 3.9 or newer here"))
each_old = pytest.mark.parametrize(
    "python", parameters(real_interpreters(0, 8), "no CPython before 3.9 here")
)


@pytest.fixture
def python() -> str:
    if not NEW:
        pytest.skip("no CPython 3.9 or newer here")
    return NEW[0]  # pyenv's first: Debian's own sitecustomize hides that of a venv


def fake(directory: Path, script: str, name: str = "python") -> str:
    path = directory / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def library(directory: Path, name: str = "libpython3.12.so.1.0", machine: bytes = b"") -> str:
    """Make a file that begins as a library of this machine does."""
    directory.mkdir(parents=True, exist_ok=True)
    with open("/proc/self/exe", "rb") as file:
        head = bytearray(file.read(64))
    if machine:
        head[18:20] = machine
    (directory / name).write_bytes(head)
    return str(directory / name)


def answering(directory: Path, **changes: str | None) -> str:
    """Make an interpreter that gives a good answer, except for the changes."""
    fields: dict[str, str | None] = {
        "implementation": "cpython",
        "implementation_version": "3.12.7",
        "version": "3.12.7",
        "version_text": "3.12.7 (main, somewhere) [GCC]",
        "executable": str(directory / "python"),
        "prefix": str(directory),
        "base_prefix": str(directory),
        "bits": "64" if sys.maxsize > 2**32 else "32",
        "libc": os.confstr("CS_GNU_LIBC_VERSION") or "",
        "abiflags": "",
        "debug": "0",
        "Py_GIL_DISABLED": "0",
        "Py_ENABLE_SHARED": "1",
        "SOABI": "cpython-312-x86_64-linux-gnu",
        "EXT_SUFFIX": ".cpython-312-x86_64-linux-gnu.so",
        "INSTSONAME": "libpython3.12.so.1.0",
        "LDLIBRARY": "libpython3.12.so",
        "LIBDIR": str(directory / "lib"),
        "LIBPL": str(directory / "lib" / "python3.12" / "config"),
        "MULTIARCH": "x86_64-linux-gnu",
    }
    fields.update(changes)
    known = [(name, os.fsencode(value)) for name, value in fields.items() if value is not None]
    text = " ".join(f"{name}={value.hex()}" for name, value in known)
    return fake(directory, f"cat > {ANSWER_TO} <<'END'\n{text}\nEND")


def ask(python: str, expression: str) -> str:
    answer = subprocess.run(
        [python, "-I", "-c", f"import os, sys; sys.stdout.write({expression})"],
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=True,
    )
    return answer.stdout


def reason(python: str, timeout: float | None = None) -> str:
    with pytest.raises(Refused) as caught:
        probe(python, timeout)
    return caught.value.reason


def make_venv(python: str, directory: Path) -> str:
    subprocess.run(
        [python, "-I", "-m", "venv", "--without-pip", str(directory)], check=True, timeout=60
    )
    return str(directory / "bin" / "python")


def site_packages(venv: Path) -> Path:
    return next(venv.glob("lib/python3.*/site-packages"))


def is_gone(pid: int) -> bool:
    """Say whether the process has ended; who adopted it may not have waited for it yet."""
    for _ in range(100):
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return True
        if stat.rpartition(")")[2].split()[0] in "ZX":
            return True
        time.sleep(0.02)
    return False


# ------------------------------------------------------------------------ real interpreters


@each_new
def test_a_real_interpreter_is_described(python: str) -> None:
    guest = probe(python)
    assert guest.executable == python
    assert ".".join(map(str, guest.version)) == ask(python, "'%d.%d.%d' % sys.version_info[:3]")
    assert guest.version_text == ask(python, "sys.version")
    assert guest.prefix == guest.base_prefix == ask(python, "sys.prefix")
    assert guest.soabi in guest.ext_suffix
    assert guest.ext_suffix == ask(
        python, "__import__('sysconfig').get_config_var('EXT_SUFFIX')"
    )
    assert (guest.bits, guest.free_threaded, guest.debug) == (64, False, False)
    assert guest.libc == (os.confstr("CS_GNU_LIBC_VERSION") or "")


@each_new
def test_the_library_is_the_one_the_interpreter_uses(python: str) -> None:
    guest = probe(python)
    assert os.path.isabs(guest.library)
    assert os.path.basename(guest.library).startswith(f"libpython3.{guest.version[1]}")
    mapped = ask(python, "open('/proc/self/maps').read()")
    if "libpython" in mapped:  # else the interpreter is static, and the library is extra
        assert os.path.realpath(guest.library) in mapped


@each_old
def test_an_old_interpreter_is_refused_by_its_version(python: str) -> None:
    version = ask(python, "'%d.%d.%d' % sys.version_info[:3]")
    assert reason(python) == f"is CPython {version}, too old: pybridge needs 3.9 or newer"


def test_an_interpreter_that_does_not_know_isolation_is_too_old(tmp_path: Path) -> None:
    script = "echo 'Unknown option: -I' >&2; echo 'usage: python2.7 ...' >&2; exit 2"
    assert reason(fake(tmp_path, script)).startswith("is too old: pybridge needs CPython 3.9")


PYPY = sys.executable if sys.implementation.name == "pypy" else shutil.which("pypy3")


@pytest.mark.skipif(PYPY is None, reason="no PyPy here")
def test_pypy_is_refused_by_name() -> None:
    assert PYPY is not None
    version = ask(PYPY, "'%d.%d.%d' % sys.implementation.version[:3]")
    assert reason(PYPY) == f"is PyPy {version}, not CPython"


@each_new
def test_a_venv_keeps_its_own_interpreter_and_has_the_library_of_its_base(
    python: str, tmp_path: Path
) -> None:
    base = probe(python)
    guest = probe(make_venv(python, tmp_path / "venv"))
    same = {name: getattr(base, name) for name in Guest.__slots__}
    same["executable"] = str(tmp_path / "venv" / "bin" / "python")
    same["prefix"] = str(tmp_path / "venv")
    assert guest == Guest(**same) != base


def test_a_relative_path_is_made_absolute(
    python: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").symlink_to(python)
    monkeypatch.chdir(tmp_path)
    assert probe("here").executable == str(tmp_path / "here")


def test_a_path_that_is_not_utf8_survives(python: str, tmp_path: Path) -> None:
    directory = os.path.join(os.fsencode(tmp_path), b"caf\xe9")
    os.mkdir(directory)
    venv = make_venv(python, tmp_path / "venv")
    os.rename(os.path.dirname(os.path.dirname(venv)), directory + b"/venv")
    guest = probe(os.fsdecode(directory + b"/venv/bin/python"))
    assert guest.prefix == os.fsdecode(directory + b"/venv")
    assert guest.executable == os.fsdecode(directory + b"/venv/bin/python")


# ------------------------------------------------------------- noise, hostility, environment


@pytest.mark.parametrize(
    "name, text",
    [
        pytest.param("sitecustomize.py", "print('x' * 300000)", id="long output"),
        pytest.param(
            "sitecustomize.py", "import sys; sys.stderr.write('{}\\n' * 99999)", id="errors"
        ),
        pytest.param("noise.pth", "import sys; print('{\"version\": 1}')", id="pth"),
        pytest.param("sitecustomize.py", "raise ValueError('no')", id="raises"),
        pytest.param("sitecustomize.py", "import os; os.close(0); os.close(1)", id="closes"),
        pytest.param("sitecustomize.py", "import sys; sys.stdout = None", id="no stdout"),
        pytest.param(
            "sitecustomize.py",
            "import subprocess; subprocess.Popen(['sleep', '60'])",
            id="leaves a process with the output",
        ),
    ],
)
def test_what_site_files_print_does_not_disturb_the_answer(
    name: str, text: str, python: str, tmp_path: Path
) -> None:
    venv = make_venv(python, tmp_path / "venv")
    (site_packages(tmp_path / "venv") / name).write_text(text + "\n")
    start = time.monotonic()
    assert probe(venv).executable == venv
    assert time.monotonic() - start < 20


def test_a_site_file_that_exits_is_quoted(python: str, tmp_path: Path) -> None:
    venv = make_venv(python, tmp_path / "venv")
    (site_packages(tmp_path / "venv") / "exits.pth").write_text(
        "import os; os.write(2, b'no entry'); os._exit(5)\n"
    )
    assert reason(venv) == 'is not a working Python: it ended with status 5, saying "no entry"'


def test_a_venv_without_its_base_is_refused(python: str, tmp_path: Path) -> None:
    venv = make_venv(python, tmp_path / "venv")
    os.unlink(venv)
    os.symlink(tmp_path / "removed" / "python", venv)
    assert reason(venv) == f"is a link to {tmp_path}/removed/python, which does not exist"


def test_a_broken_pyvenv_cfg_never_hurts_the_host(python: str, tmp_path: Path) -> None:
    venv = make_venv(python, tmp_path / "venv")
    (tmp_path / "venv" / "pyvenv.cfg").write_text("home = /nonexistent\n\0=")
    try:
        guest = probe(venv)
    except Refused as refusal:
        assert refusal.reason.startswith(
            ("is not a working Python", "was killed", "is CPython")
        )
    else:
        assert os.path.isfile(guest.library)  # Pythons that find their base by the link


def test_the_variables_of_the_host_do_not_reach_the_guest(
    python: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = probe(python)
    (tmp_path / "json.py").write_text("raise SystemExit('hostile')")
    (tmp_path / "sitecustomize.py").write_text("raise SystemExit('hostile')")
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "PYTHONHOME": "/nonexistent",
        "PYTHONPATH": f"{tmp_path}::",
        "PYTHONSTARTUP": str(tmp_path / "json.py"),
        "PYTHONINSPECT": "1",
        "LD_PRELOAD": "/nonexistent.so",
    }.items():
        monkeypatch.setenv(name, value)
    assert probe(python) == expected


def test_the_child_runs_in_a_small_neutral_world(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/x")
    monkeypatch.setenv("LD_PRELOAD", "")
    monkeypatch.setenv("SECRET", "x")
    monkeypatch.setenv("HOME", "/home/x")
    script = (
        f"exec > {tmp_path}/world; pwd; readlink /proc/self/fd/0; "
        "cut -d' ' -f6 /proc/$$/stat; echo $$; env"
    )
    reason(fake(tmp_path, script))
    where, stdin, session, pid, *variables = (tmp_path / "world").read_text().splitlines()
    assert (where, stdin, session) == ("/", "/dev/null", pid)
    names = {line.partition("=")[0] for line in variables} - {"PWD", "OLDPWD", "_", "SHLVL"}
    assert {"PATH", "HOME"} <= names <= set(_child._KEPT)


# ----------------------------------------------------------------- what is no interpreter


def test_what_cannot_be_run_is_refused_without_running_it(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    assert reason(str(tmp_path / "none")) == "does not exist"
    assert reason(str(tmp_path)) == "is a directory"
    assert reason(str(tmp_path / "text")) == "is not executable"
    assert reason(str(tmp_path / "pipe")) == "is not a file"
    assert reason(str(tmp_path / "link")).startswith("is a link to")


@pytest.mark.parametrize(
    "content, message",
    [
        pytest.param("hello\n", "cannot be run (Exec format error)", id="text"),
        pytest.param("", "cannot be run (Exec format error)", id="empty"),
        pytest.param(
            "#!/nonexistent\n", "cannot be run (No such file or directory)", id="no shell"
        ),
    ],
)
def test_what_the_system_does_not_start_is_refused_with_its_words(
    content: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "python"
    path.write_text(content)
    path.chmod(0o755)
    assert reason(str(path)) == message


@pytest.mark.parametrize(
    "script, message",
    [
        pytest.param("exit 0", "is not a working Python: it ended with status 0", id="silent"),
        pytest.param(
            "echo one >&2; echo; echo ' two'; echo three; echo four; exit 3",
            'is not a working Python: it ended with status 3, saying "one / two / three"',
            id="three lines quoted",
        ),
        pytest.param(
            r"printf 'a\033[31mb\377\n'; exit 1",
            'is not a working Python: it ended with status 1, saying "a?[31mb\ufffd"',
            id="terminal codes",
        ),
        pytest.param("kill -9 $$", "was killed by signal 9 (SIGKILL)", id="killed"),
        pytest.param(
            "echo oops; kill -SEGV $$",
            'was killed by signal 11 (SIGSEGV), saying "oops"',
            id="crashed",
        ),
        pytest.param("kill -40 $$", "was killed by signal 40 (unknown)", id="real-time signal"),
        pytest.param(
            f"echo junk > {ANSWER_TO}",
            'is not a Python: its answer makes no sense, saying "junk"',
            id="junk",
        ),
        pytest.param(
            f"printf 'version=' > {ANSWER_TO}",
            'is not a Python: its answer makes no sense, saying "version="',
            id="cut",
        ),
        pytest.param(
            f"echo 'version=3x' > {ANSWER_TO}",
            'is not a Python: its answer makes no sense, saying "version=3x"',
            id="no digits",
        ),
        pytest.param(
            f"echo 'a=b=c' > {ANSWER_TO}",
            'is not a Python: its answer makes no sense, saying "a=b=c"',
            id="too many =",
        ),
        pytest.param(
            f"echo 'errno x' > {ANSWER_TO}",
            'is not a Python: its answer makes no sense, saying "errno x"',
            id="false errno",
        ),
        pytest.param(
            f"printf '\\377\\n' > {ANSWER_TO}",
            'is not a Python: its answer makes no sense, saying "\ufffd"',
            id="not ASCII",
        ),
    ],
)
def test_a_program_that_is_no_python_is_refused_with_what_it_said(
    script: str, message: str, tmp_path: Path
) -> None:
    assert reason(fake(tmp_path, script)) == message


def test_an_endless_answer_is_refused(tmp_path: Path) -> None:
    python = fake(tmp_path, f"exec yes | tr -d '\\n' > {ANSWER_TO}")
    assert reason(python, 5).startswith("is not a Python: its answer makes no sense")


@pytest.mark.parametrize(
    "script",
    [
        pytest.param("sleep 60", id="sleeps"),
        pytest.param("exec yes", id="prints for ever"),
        pytest.param("trap '' TERM INT HUP; while :; do sleep 1; done", id="ignores signals"),
        pytest.param(f"printf '{{' > {ANSWER_TO}; sleep 60", id="begins to answer"),
    ],
)
def test_a_hang_is_ended_with_all_its_processes(script: str, tmp_path: Path) -> None:
    python = fake(
        tmp_path,
        f"sleep 61 &\necho $$ $! > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/ids\n" + script,
    )
    start = time.monotonic()
    assert reason(python, 1).startswith("did not answer within 1 s")
    assert time.monotonic() - start < 20
    for pid in (tmp_path / "ids").read_text().split():
        assert is_gone(int(pid))


def test_who_closes_the_answer_and_stays_is_ended(tmp_path: Path) -> None:
    path = tmp_path / "python"
    path.write_text(
        f"#!{sys.executable}\n"
        "import os, sys, time\n"
        f"with open({str(tmp_path / 'id')!r}, 'w') as file: file.write(str(os.getpid()))\n"
        "os.close(int(sys.argv[4]))\n"
        "time.sleep(60)\n"
    )
    path.chmod(0o755)
    assert reason(str(path), 2) == "did not answer within 2 s"
    assert is_gone(int((tmp_path / "id").read_text()))


def test_ten_seconds_are_given_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _probe.TIMEOUT == 10
    monkeypatch.setattr(_probe, "TIMEOUT", 1)
    assert reason(fake(tmp_path, "echo wait; sleep 60")) == (
        'did not answer within 1 s, saying "wait"'
    )


def test_who_has_answered_is_not_waited_for(tmp_path: Path) -> None:
    library(tmp_path / "lib")
    python = answering(tmp_path)
    with open(python, "a") as file:
        file.write(f"echo $$ > {tmp_path}/id\nsleep 60\n")
    start = time.monotonic()
    assert probe(python).version == (3, 12, 7)
    assert time.monotonic() - start < 20


def test_an_interrupt_ends_the_child_too(tmp_path: Path) -> None:
    python = fake(
        tmp_path, f"echo $$ > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/id; sleep 60"
    )
    host = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import signal, sys; sys.path.insert(0, {ROOT!r})\n"
            "from pybridge._probe import probe\n"
            # A shell ignores SIGINT for what it starts in the background.
            "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
            f"try: probe({python!r})\n"
            "except KeyboardInterrupt: print('interrupted')",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        for _ in range(500):
            if (tmp_path / "id").exists():
                break
            time.sleep(0.02)
        time.sleep(0.5)  # see "Not covered" in _probe
        host.send_signal(signal.SIGINT)
        assert host.communicate(timeout=30)[0] == "interrupted\n"
    finally:
        host.kill()
        host.wait()
    assert is_gone(int((tmp_path / "id").read_text()))


@pytest.mark.parametrize("script", ["exit 1", "sleep 60", "answer"])
def test_a_probe_leaves_no_descriptor_and_no_child(script: str, tmp_path: Path) -> None:
    library(tmp_path / "lib")
    python = answering(tmp_path) if script == "answer" else fake(tmp_path, script)

    def belongings() -> tuple[set[str], str]:
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
        return set(os.listdir("/proc/self/fd")), children

    before = belongings()
    for _ in range(3):
        try:
            probe(python, 0.2)
        except Refused:
            pass
    assert belongings() == before


def test_a_host_with_closed_standard_descriptors_can_probe(python: str, tmp_path: Path) -> None:
    (tmp_path / "host.py").write_text(
        f"import sys; sys.path.insert(0, {ROOT!r})\n"
        "from pybridge._probe import probe\n"
        f"open({str(tmp_path / 'answer')!r}, 'w').write(probe({python!r}).executable)\n"
    )
    subprocess.run(
        ["/bin/sh", "-c", 'exec "$0" "$1" <&- >&- 2>&-', sys.executable, tmp_path / "host.py"],
        timeout=60,
    )
    assert (tmp_path / "answer").read_text() == python


# --------------------------------------------------------------------- judging the answer


@pytest.mark.parametrize(
    "changes, message",
    [
        pytest.param(
            {"implementation": "pypy", "implementation_version": "7.3.11", "version": "3.9.16"},
            "is PyPy 7.3.11, not CPython",
            id="PyPy",
        ),
        pytest.param(
            {"implementation": "graalpy", "implementation_version": "24.1.0"},
            "is graalpy 24.1.0, not CPython",
            id="GraalPy",
        ),
        pytest.param(
            {"version": "3.8.18"},
            "is CPython 3.8.18, too old: pybridge needs 3.9 or newer",
            id="too old",
        ),
        pytest.param({"version": "4.0.0"}, "is CPython 4.0.0, too new: ", id="too new"),
        pytest.param({"version": "3.x"}, 'is not a Python: it calls "3.x"', id="no version"),
        pytest.param(
            {"bits": "16"}, "is a 16-bit CPython 3.12.7, and this process has ", id="word size"
        ),
        pytest.param(
            {"libc": ""},
            "is CPython 3.12.7 for another C library (not glibc) than that of this process (",
            id="musl",
        ),
        pytest.param(
            {"Py_GIL_DISABLED": "1"},
            "is a free-threaded CPython 3.12.7: choose a build that has the GIL",
            id="free-threaded",
        ),
        pytest.param(
            {"Py_ENABLE_SHARED": "0", "INSTSONAME": "libpython3.12.a", "LDLIBRARY": "x.a"},
            "is CPython 3.12.7, built without a shared library: build it with --enable-shared "
            "(`PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install 3.12.7`); on Debian and "
            "Ubuntu there is also the package libpython3.12",
            id="static",
        ),
        pytest.param(
            {},
            "is CPython 3.12.7, but its shared library libpython3.12.so.1.0 is not in ",
            id="library not installed",
        ),
        pytest.param({"debug": None}, "is not a Python: its answer makes no", id="no field"),
    ],
)
def test_an_unusable_interpreter_is_refused_by_name(
    changes: dict[str, str | None], message: str, tmp_path: Path
) -> None:
    assert reason(answering(tmp_path, **changes)).startswith(message)


def test_a_missing_library_names_the_package_and_the_places(tmp_path: Path) -> None:
    text = reason(answering(tmp_path))
    assert f"is not in {tmp_path}/lib, {tmp_path}/lib/x86_64-linux-gnu, {tmp_path}/lib/" in text
    assert text.endswith(": on Debian and Ubuntu `apt install libpython3.12`")


@pytest.mark.parametrize("version", ["3.9.0", "3.13.9", "3.14.2", "3.15.0", "3.16.0"])
def test_every_version_from_3_9_on_is_taken(version: str, tmp_path: Path) -> None:
    short = version.rpartition(".")[0]
    name = f"libpython{short}.so.1.0"
    path = library(tmp_path / "lib", name)
    guest = probe(answering(tmp_path, version=version, INSTSONAME=name))
    assert (guest.library, guest.version) == (path, tuple(map(int, version.split("."))))


def test_a_debug_build_is_taken_and_says_so(tmp_path: Path) -> None:
    path = library(tmp_path / "lib", "libpython3.12d.so.1.0")
    python = answering(tmp_path, debug="1", abiflags="d", INSTSONAME="libpython3.12d.so.1.0")
    assert probe(python).debug
    assert probe(python).library == path


@pytest.mark.parametrize(
    "place, changes",
    [
        pytest.param("lib", {}, id="LIBDIR"),
        pytest.param("lib/x86_64-linux-gnu", {}, id="multiarch"),
        pytest.param("lib/python3.12/config", {}, id="LIBPL"),
        pytest.param("lib", {"LIBDIR": "/install/lib", "LIBPL": ""}, id="moved build"),
        pytest.param("lib", {"LIBDIR": "lib"}, id="relative LIBDIR"),
        pytest.param("lib", {"INSTSONAME": "", "LDLIBRARY": ""}, id="names unknown"),
        pytest.param("lib", {"INSTSONAME": "/evil.so"}, id="name with a slash"),
        pytest.param(
            "lib",
            {"Py_ENABLE_SHARED": "0", "INSTSONAME": "x.a", "LIBDIR": "/nonexistent"},
            id="static with a library of its own",
        ),
    ],
)
def test_the_library_is_found_in_the_place_of_the_build(
    place: str, changes: dict[str, str | None], tmp_path: Path
) -> None:
    path = library(tmp_path / place)
    assert probe(answering(tmp_path, **changes)).library == path


def test_a_static_build_does_not_take_the_library_of_another(tmp_path: Path) -> None:
    library(tmp_path / "elsewhere")
    python = answering(tmp_path, Py_ENABLE_SHARED="0", LIBDIR=str(tmp_path / "elsewhere"))
    assert "built without a shared library" in reason(python)


def test_the_name_with_the_version_comes_first(tmp_path: Path) -> None:
    library(tmp_path / "lib", "libpython3.12.so")
    path = library(tmp_path / "lib" / "x86_64-linux-gnu", "libpython3.12.so.1.0")
    assert probe(answering(tmp_path)).library == path


@pytest.mark.parametrize("kind", ["text", "empty", "other machine"])
def test_a_library_that_is_not_for_this_machine_is_refused(kind: str, tmp_path: Path) -> None:
    path = library(tmp_path / "lib", machine=b"\xff\xfe")
    if kind != "other machine":
        Path(path).write_text("GROUP ( libpython )" if kind == "text" else "")
    assert reason(answering(tmp_path)) == (
        f"is CPython 3.12.7, but {path} is no library for this machine"
    )


def test_a_script_is_answered_for_by_the_interpreter_it_starts(
    python: str, tmp_path: Path
) -> None:
    script = fake(tmp_path, f'echo starting; exec {python} "$@"', "python3.99")
    assert probe(script) == probe(python)


def test_a_script_may_wait_for_the_interpreter_it_starts(python: str, tmp_path: Path) -> None:
    script = fake(tmp_path, f'{python} "$@"; sleep 60')
    assert probe(script).executable == python


@pytest.mark.parametrize("said", ["", "python", "/nonexistent/python"])
def test_a_script_for_an_unknown_interpreter_is_refused(said: str, tmp_path: Path) -> None:
    library(tmp_path / "lib")
    assert reason(answering(tmp_path, executable=said)) == (
        f'is a script, and the interpreter it starts calls itself "{said}"'
    )


def test_a_guest_is_a_value(tmp_path: Path) -> None:
    library(tmp_path / "lib")
    one, two = probe(answering(tmp_path)), probe(answering(tmp_path))
    assert one == two and isinstance(one, Guest)
    with pytest.raises(AttributeError):
        one.library = ""


def test_what_is_to_be_done_meanwhile_is_done_once_and_errors_leave_no_child():
    done = []
    _child.meanwhile.append(lambda: done.append(1))
    for _ in range(2):
        try:
            probe(sys.executable)
        except Refused as error:
            assert "PyPy" in error.reason
    assert done == [1] and not _child.meanwhile

    _child.meanwhile.append(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        probe(sys.executable)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
