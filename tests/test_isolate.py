# SPDX-License-Identifier: MIT
"""Guest libraries find the guest's names, host modules the host's, whoever loads what when.

Everything runs in children.  Compiled for them: libraries for the guest, which need no
headers, an extension module for the host, which needs the host's, and a host in C.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import children
import guests
import pytest

from pybridge import _discover

ROOT = Path(__file__).resolve().parent.parent
PYPY = sys.implementation.name == "pypy"
MODULES = "ssl", "sqlite3", "ctypes", "decimal", "datetime", "_socket"

# Before the snippets: what isolation says of itself.
REPORT = """
import pybridge
from pybridge._core import ffi, lib
def report():
    out = ffi.new("pb_symbols *")
    lib.pb_symbols_read(out)
    return {name: getattr(out, name)
            for name in ("enabled", "hidden", "prebound", "patched", "selftest")}
"""

# In the guest: the names mean the guest's.  The host's function gives nonsense or crashes.
CHECK = """
def check():
    import ctypes
    flags = ctypes.pythonapi.PyType_GetFlags
    flags.restype, flags.argtypes = ctypes.c_ulong, [ctypes.py_object]
    for type in int, str, dict, Exception, ctypes.Structure:
        assert flags(type) == type.__flags__, (type, flags(type), type.__flags__)
"""

GUEST_LIBRARY = """
#include <dlfcn.h>
extern char PyLong_Type[];
unsigned long PyType_GetFlags(void *);

unsigned long flags_at_load;
__attribute__((constructor)) static void at_load(void)
{
    flags_at_load = PyType_GetFlags(PyLong_Type);
}

void *open_here(const char *file) { return dlopen(file, RTLD_LAZY); }
"""

# Its constructor says that it runs, and runs for a while: the host's names are hidden.
SLOW_LIBRARY = """
#include <stdlib.h>
#include <unistd.h>
__attribute__((constructor)) static void at_load(void)
{
    (void)!write(atoi(getenv("SLOW_LIBRARY_FD")), "!", 1);
    usleep(400000);
}
"""

# In the host: return when another thread is inside that constructor, without the guest's GIL.
LOAD_SLOWLY = """
import os, threading
import pybridge
pybridge.exec('''
def load_slowly(folder):
    import ctypes
    outer = ctypes.CDLL(folder + "/outer.so")
    outer.open_here.restype = ctypes.c_void_p
    assert outer.open_here(b"slow_pb.so")
def finds_host(name):
    import ctypes
    dlsym = ctypes.CDLL(None).dlsym
    dlsym.restype, dlsym.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_char_p]
    of_guest = ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value
    return dlsym(None, name.encode()) != of_guest
''')
def load_slowly(folder):
    reader, writer = os.pipe()
    os.environ["SLOW_LIBRARY_FD"] = str(writer)
    thread = threading.Thread(target=pybridge.eval("load_slowly"), args=(folder,))
    thread.start()
    assert os.read(reader, 1) == b"!"
    return thread
"""

# One file for all copies that are imported: PyPy's headers rename most functions, but the
# type flags come through a name that the guest has too.
HOST_MODULE = """
#include <Python.h>
static PyObject *flags(PyObject *self, PyObject *type)
{
    (void)self;
    return PyLong_FromUnsignedLong(PyType_GetFlags((PyTypeObject *)type));
}
static PyMethodDef methods[] = {{"flags", flags, METH_O, 0}, {0, 0, 0, 0}};
#define MODULE(name) \\
    static struct PyModuleDef name = {PyModuleDef_HEAD_INIT, #name, 0, -1, methods}; \\
    PyMODINIT_FUNC PyInit_##name(void) { return PyModule_Create(&name); }
MODULE(early) MODULE(late)
MODULE(copy0) MODULE(copy1) MODULE(copy2) MODULE(copy3) MODULE(copy4) MODULE(copy5)
"""


@pytest.fixture(autouse=True)
def _started() -> None:
    """Instead of conftest's: no guest in this process."""


def compile_c(out: Path, *arguments: str) -> None:
    """Skips where there is no compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    command = [compiler, *arguments, "-o", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def shared_library(source: str, out: Path, *options: str) -> Path:
    file = out.with_suffix(".c")
    file.write_text(source)
    compile_c(out, "-shared", "-fPIC", str(file), *options)
    return out


@pytest.fixture(scope="module")
def host_modules(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with the host's extension modules early, late, copy0 ... copy5."""
    headers = Path(sysconfig.get_path("include"))
    if not (headers / "Python.h").exists():
        pytest.skip("the host's headers (Python.h) are not installed")
    folder = tmp_path_factory.mktemp("host_modules")
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    made = shared_library(HOST_MODULE, folder / "early.so", f"-I{headers}", "-Wl,-z,lazy")
    for name in ["late", *(f"copy{i}" for i in range(6))]:
        shutil.copy(made, folder / (name + suffix))
    made.rename(folder / ("early" + suffix))
    return str(folder)


@pytest.fixture(scope="module")
def guest_library(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with outer.so and, where only outer's own search path leads, inner/*_pb.so."""
    folder = tmp_path_factory.mktemp("guest_library")
    (folder / "inner").mkdir()
    path = "-Wl,--enable-new-dtags,-rpath,$ORIGIN/inner"
    shared_library(GUEST_LIBRARY, folder / "outer.so", path, "-ldl")
    shared_library("int inner = 1;", folder / "inner" / "inner_pb.so")
    shared_library(SLOW_LIBRARY, folder / "inner" / "slow_pb.so")
    return str(folder)


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A C program that is the host, of isolation alone: tests/c/isolate_driver.c."""
    program = tmp_path_factory.mktemp("driver") / "isolate_driver"
    core = ROOT / "pybridge" / "csrc"
    names = "isolate", "libpython", "hostnames", "elfwalk", "elfslots", "elfsearch"
    files = [str(core / f"{name}.c") for name in names]
    files.insert(0, str(ROOT / "tests" / "c" / "isolate_driver.c"))
    compile_c(program, "-std=gnu11", f"-I{core}", *files, "-ldl", "-lpthread")
    return str(program)


@guests.each
def test_the_guest_imports_its_extension_modules_and_calls_itself_through_ctypes(python):
    code = """
import sys
for name in sys.argv[1:]:
    try: __import__(name)
    except ImportError: continue
    print(name)
"""
    native = subprocess.run(
        [python, "-I", "-c", code, *MODULES], capture_output=True, text=True, check=True
    )
    result = children.run(
        REPORT
        + """
import sys
pybridge.start()
started = report()
assert started["enabled"] == started["selftest"] == 1, started
assert started["hidden"] > 40 and started["patched"] > 0, started
for name in sys.argv[2:]:
    module = pybridge.import_module(name)
    assert module.__name__ == name
    print(name)
pybridge.exec(sys.argv[1])
pybridge.exec('''
check()
import ctypes, sys
this = ctypes.CDLL(None)
assert this.getpid() == __import__("os").getpid()           # libc's
this.Py_GetVersion.restype = ctypes.c_char_p
assert this.Py_GetVersion().decode() == sys.version
assert ctypes.cast(this.PyType_GetFlags, ctypes.c_void_p).value \\
    == ctypes.cast(ctypes.pythonapi.PyType_GetFlags, ctypes.c_void_p).value
try:
    ctypes.CDLL("/nonexistent/lib.so")
except OSError as e:
    assert "/nonexistent/lib.so: cannot open" in str(e), e
else:
    raise AssertionError
''')
now = report()
assert {**now, "patched": 0} == {**started, "patched": 0}, (started, now)
built_in = pybridge.eval("'_ctypes' in __import__('sys').builtin_module_names")
assert built_in or now["patched"] > started["patched"], (started, now)
""",
        CHECK,
        *native.stdout.split(),
        env=guests.env(python),
    )
    assert result.out == native.stdout


@guests.each
def test_constructors_and_search_paths_of_guest_libraries(python, guest_library):
    children.run(
        """
import os, sys
import pybridge
pybridge.exec('''
def load(folder):
    import ctypes
    outer = ctypes.CDLL(folder + "/outer.so")
    assert ctypes.c_ulong.in_dll(outer, "flags_at_load").value == int.__flags__
    outer.open_here.restype, outer.open_here.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
    handle = outer.open_here(b"inner_pb.so")
    assert handle                                           # through outer's RUNPATH
    assert outer.open_here(b"$ORIGIN/inner/inner_pb.so") == handle
    assert outer.open_here((folder + "/inner/inner_pb.so").encode()) == handle
    assert not outer.open_here(b"nowhere_pb.so")
    assert outer.open_here(None) == ctypes.CDLL(None)._handle
''')
pybridge.eval("load")(sys.argv[1])
""",
        guest_library,
        env=guests.env(python),
    )


@pytest.mark.parametrize("which", ["of this run", "of the system"])
def test_switched_off_nothing_is_hidden(which):
    python = os.environ.get("PYBRIDGE_PYTHON")
    if which == "of the system":
        python = shutil.which("python3", path=os.defpath)
        if python is None:
            pytest.skip("the system has no python3")
    result = children.run(
        REPORT
        + """
try:
    print(pybridge.eval('6 * 7'))
except pybridge.BridgeError as e:
    print(e)
print(set(report().values()))
""",
        env={"PYBRIDGE_ISOLATE": "0", "PYBRIDGE_PYTHON": python},
    )
    answer, state = result.out.splitlines()
    assert state == "{0}", result.text()
    if answer != "42":  # the host's names come first here: a plain load would end in a crash
        assert re.search("switched off.*switch isolation on|cannot be used", answer), answer


def test_switched_off_a_guest_that_was_loaded_first_runs():
    libraries = children.run("""
        import pybridge
        pybridge.start()
        from pybridge import _runtime
        print(_runtime.guest.library)
    """)
    result = children.run(
        "import pybridge; import sys; print(pybridge.eval('6 * 7'))",
        env={"PYBRIDGE_ISOLATE": "0", "LD_PRELOAD": libraries.out.strip()},
        rc=0 if PYPY else None,
    )
    if PYPY:
        assert result.out == "42\n"


@guests.each
def test_host_extension_modules_before_and_after_the_start(python, host_modules):
    result = children.run(
        """
import sys
import pybridge
sys.path.insert(0, sys.argv[1])
def load(name):
    try:
        return __import__(name)
    except ImportError as e:
        print(name, e)
early = load("early")
types = int, str, dict, ValueError
before = early and [early.flags(t) for t in types]
pybridge.import_module("decimal")
pybridge.exec(sys.argv[2])
pybridge.exec("check()")
late = load("late")
for module in early, late:
    if module and early:
        assert [module.flags(t) for t in types] == before, (module, before)
# What serves the host cannot serve the guest as well, and stays as it is.
if early:
    pybridge.exec('''
def load_again(file):
    import ctypes
    try:
        ctypes.CDLL(file)
    except OSError as e:
        return str(e)
''')
    print(pybridge.eval("load_again")(early.__file__))
    assert [early.flags(t) for t in types] == before
pybridge.exec("import ssl; check()")
""",
        host_modules,
        CHECK,
        env=guests.env(python),
    )
    assert "serves the host already, two interpreters cannot share it" in result.out


def test_host_threads_import_while_the_guest_imports(host_modules):
    children.run(
        """
import sys, threading
import pybridge
sys.path.insert(0, sys.argv[1])
import early
types = int, str, dict, ValueError
right = [early.flags(t) for t in types]
barrier = threading.Barrier(4)
done = []
def host(names):
    barrier.wait()
    for name in names:
        module = __import__(name)
        done.append([module.flags(t) for t in types])
pybridge.start()
pairs = ("copy0", "copy1"), ("copy2", "copy3"), ("copy4", "copy5")
threads = [threading.Thread(target=host, args=(names,)) for names in pairs]
for thread in threads: thread.start()
barrier.wait()
for name in sys.argv[3:]:
    pybridge.import_module(name)
for thread in threads: thread.join()
assert done == [right] * 6, (right, done)
assert [early.flags(t) for t in types] == right
pybridge.exec(sys.argv[2])
pybridge.exec("check()")
""",
        host_modules,
        CHECK,
        *MODULES,
        "sqlite3.dbapi2",
        "array",
        "zlib",
        "_elementtree",
        timeout=60,
    )


def test_while_the_guest_loads_the_host_calls_and_imports_its_own(host_modules, guest_library):
    children.run(
        """
import os, sys
sys.path.insert(0, sys.argv[1])
sys.setdlopenflags(os.RTLD_LAZY)
import early                                    # its first call is made below
"""
        + LOAD_SLOWLY
        + """
types = int, str, dict, ValueError
thread = load_slowly(sys.argv[2])
in_window = [early.flags(t) for t in types]     # bound in advance
import late                                     # waits
after = [late.flags(t) for t in types]
thread.join()
import copy0
right = [copy0.flags(t) for t in types]
assert in_window == after == right, (in_window, after, right)
""",
        host_modules,
        guest_library,
    )


@pytest.mark.parametrize("whose", ["host", "guest"])
def test_a_fork_while_another_thread_loads_leaves_a_child_that_can_load(whose, guest_library):
    children.run(
        LOAD_SLOWLY
        + """
import signal, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)     # 3.12 and newer: fork with threads
pybridge.exec(sys.argv[3])
pybridge.exec('''
import os, warnings
warnings.simplefilter("ignore", DeprecationWarning)
def in_child():
    import array, zlib, _elementtree
    check()
    assert finds_host("PyType_GetFlags")                # as before the fork
def fork():
    import signal
    pid = os.fork()
    if pid == 0:
        signal.alarm(10)
        try:
            in_child()
            os._exit(0)
        finally:
            os._exit(1)
    return pid
''')
assert pybridge.eval("finds_host")("PyType_GetFlags")
in_child = pybridge.eval("in_child")
thread = load_slowly(sys.argv[2])
if sys.argv[1] == "guest":
    pid = pybridge.eval("fork")()
else:
    pid = os.fork()
    if pid == 0:
        signal.alarm(10)
        try:
            in_child()
            os._exit(0)
        finally:
            os._exit(1)
status = os.waitpid(pid, 0)[1]
thread.join()
assert status == 0, status
assert pybridge.eval("finds_host")("PyType_GetFlags")
""",
        whose,
        guest_library,
        CHECK,
    )


def test_a_library_that_the_process_uses_already_is_refused_and_another_may_be_tried():
    others = [
        path for path in guests.FOUND.values() if path != os.environ.get("PYBRIDGE_PYTHON")
    ]
    result = children.run(
        """
import ctypes, sys
import pybridge
from pybridge import _discover
library = ctypes.CDLL(_discover.discover().library)
try:
    pybridge.start()
except pybridge.StartError as e:
    print(e)
for other in sys.argv[1:]:
    pybridge.start(other)
    pybridge.exec("import ssl")
    print("started")
""",
        *others[:1],
    )
    lines = result.out.splitlines()
    assert "the process already uses " in lines[0]
    assert lines[0].endswith("use a guest of another version, or PyPy as the host [PB202]")
    assert lines[1:] == ["started"] * len(others[:1])


def test_a_host_without_python_names_and_a_file_that_is_no_libpython(driver):
    guest = _discover.discover()
    code = CHECK + "check()\nimport sys; print(sys.version_info[:2]); sys.stdout.flush()"

    def drive(library: str) -> tuple[int, str, str]:
        command = [driver, library, guest.executable, code]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout, done.stderr

    status, out, err = drive(guest.library)
    assert (status, err) == (0, "")
    version, state = out.splitlines()
    assert version == str(tuple(guest.version[:2]))
    assert state.startswith("enabled=1 hidden=0 prebound=0 ") and state.endswith(" selftest=1")

    status, out, err = drive("libm.so.6")
    assert (status, out) == (1, "")
    assert "libm.so.6 is not isolated: the process does not find its PyType_GetFlags;" in err

    status, out, err = drive("/nonexistent.so")
    assert (status, out) == (1, "")
    assert err.startswith("/nonexistent.so cannot be loaded: /nonexistent.so: cannot open")
