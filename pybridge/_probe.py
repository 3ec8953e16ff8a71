# SPDX-License-Identifier: MIT
"""Asking one interpreter what it is, without trusting it.

The interpreter runs once as a child: `-I -c`, a small environment, the directory `/`, no
standard input, ten seconds.  Its answer is one line of known names and values on a pipe of
its own, so that whatever a `sitecustomize` or a `.pth` file prints does not matter; what is
printed is only quoted when no answer comes.  (`-S` would keep such files out, but also
hides a venv's prefix.)  What can be seen without running anything is looked at before.

What it costs on PyPy 7.3.11, two cores, medians: 16 ms for Debian's 3.11 and 19-24 ms for
3.9, 3.10, 3.12 and 3.13 of pyenv, of which 13-19 ms are the guest's own start; 6-10 ms more
the first time.  That took three turns away from the obvious:

- `import subprocess` takes 35-40 ms on PyPy, twice the probe.  There the child is made with
  `os.fork`, and only system calls stand between fork and exec; the drawback is that hooks
  of `os.register_at_fork` run.  CPython keeps `subprocess`: there it imports in 10 ms and
  uses vfork, and from 3.12 on `os.fork` warns if threads exist.
- `import json` takes 8-10 ms, in the guest and on PyPy, so the values are written as
  hexadecimal digits of their bytes; this also carries paths that are not UTF-8.
- `import sysconfig` takes 1-7 ms in the guest (on 3.12 it imports `threading`); the module
  that it reads is imported directly, and `sysconfig` only if that fails.

Not covered: a child that leaves its process group and keeps running is not found again;
nor is one that hangs, when Ctrl-C comes in the instant between its start and the first wait.
"""

from __future__ import annotations

import os
import sys

from pybridge._child import above_stdio, converse, spawn
from pybridge._facts import Facts

TIMEOUT = 10.0  # seconds; a cold disk or a version manager's script may need one or two
OLDEST = (3, 9)

_CONFIG = (
    "Py_GIL_DISABLED Py_ENABLE_SHARED SOABI EXT_SUFFIX INSTSONAME LDLIBRARY LIBDIR LIBPL"
    " MULTIARCH"
)
_FIELDS = (
    "implementation implementation_version version version_text executable prefix base_prefix"
    f" bits libc abiflags debug {_CONFIG}"
)

# Runs on any Python 3 and on PyPy, so that these are refused by name.
_CODE = """\
import os, sys
implementation = sys.implementation
config = {}
if implementation.name == 'cpython':
    try:
        config = __import__('_sysconfigdata_%s_%s_%s' % (sys.abiflags, sys.platform,
            getattr(implementation, '_multiarch', ''))).build_time_vars
    except Exception:
        import sysconfig
        config = sysconfig.get_config_vars()
try:
    libc = os.confstr('CS_GNU_LIBC_VERSION')
except Exception:
    libc = ''
answer = {
    'implementation': implementation.name,
    'implementation_version': '.'.join(map(str, implementation.version[:3])),
    'version': '.'.join(map(str, sys.version_info[:3])),
    'version_text': sys.version,
    'executable': sys.executable,
    'prefix': sys.prefix,
    'base_prefix': sys.base_prefix,
    'bits': 64 if sys.maxsize > 2 ** 32 else 32,
    'libc': libc,
    'abiflags': getattr(sys, 'abiflags', ''),
    'debug': int(hasattr(sys, 'gettotalrefcount')),
}
for name in sys.argv[2].split():
    answer[name] = config.get(name)
def digits(value):
    raw = os.fsencode('' if value is None else str(value))
    return ''.join('%02x' % byte for byte in raw)
text = ' '.join('%s=%s' % (k, digits(v)) for k, v in answer.items()) + '\\n'
os.write(int(sys.argv[1]), text.encode('ascii'))
os._exit(0)
"""


class Refused(Exception):
    """This interpreter cannot be the guest.

    Never leaves `_discover`.  `reason` continues a sentence that begins with the path:
    "is PyPy 7.3.11, not CPython".
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Guest(Facts):
    """A CPython that can be loaded, as it described itself."""

    __slots__ = (
        "base_prefix", "bits", "debug", "executable", "ext_suffix", "free_threaded", "libc",
        "library", "prefix", "soabi", "version", "version_text",
    )  # fmt: skip
    executable: str  # absolute; of a venv the venv's own, symlinks not followed
    version: tuple[int, int, int]
    version_text: str  # sys.version, e.g. to compare after loading
    library: str  # absolute path of the libpython to load
    prefix: str
    base_prefix: str
    bits: int
    free_threaded: bool
    debug: bool
    soabi: str
    ext_suffix: str
    libc: str  # "glibc 2.36"; empty when it is not glibc


def probe(executable: str, timeout: float | None = None) -> Guest:
    """Run the interpreter and describe it; raise Refused with the reason.

    `executable` is a path, relative to the current directory.  A script that starts an
    interpreter (a version manager's shim) is answered for by the interpreter it starts,
    and `Guest.executable` is then that one.  Any thread; waits at most `timeout` seconds
    (default: TIMEOUT), then kills the child and its process group.
    """
    path = os.path.abspath(executable)
    _check_file(path)
    return _guest(path, _ask(path, TIMEOUT if timeout is None else timeout))


def _check_file(path: str) -> None:
    if not os.path.exists(path):
        if os.path.islink(path):
            raise Refused(f"is a link to {os.path.realpath(path)}, which does not exist")
        raise Refused("does not exist")
    if not os.path.isfile(path):
        raise Refused("is a directory" if os.path.isdir(path) else "is not a file")
    if not os.access(path, os.X_OK):
        raise Refused("is not executable")


# ------------------------------------------------------------------------------- the child


def _ask(path: str, timeout: float) -> dict[str, str]:
    fds = [above_stdio(fd) for fd in os.pipe() + os.pipe()]
    answer, answer_end, noise, noise_end = fds
    argv = [path, "-I", "-c", _CODE, str(answer_end), _CONFIG]
    try:
        child = spawn(argv, answer_end, noise_end)
        os.close(fds.pop(3))
        os.close(fds.pop(1))
        return _fields(*converse(child, answer, noise, timeout))
    except OSError as error:
        raise Refused(f"cannot be run ({error.strerror})") from None
    finally:
        for fd in fds:
            os.close(fd)


# ------------------------------------------------------------------------------ the answer


def _fields(said: bytes, printed: bytes, ending: str) -> dict[str, str]:
    """Give the checked fields of the answer; raise OSError if the child could not exec."""
    code = said[6:].strip()
    if said.startswith(b"errno ") and code.isdigit() and len(code) <= 4:
        raise OSError(int(code), os.strerror(int(code)))
    if b"Unknown option: -I" in printed:
        raise Refused("is too old: pybridge needs CPython 3.9 or newer")
    if not said:
        raise Refused(ending + _quotation(printed))
    try:
        answer = dict([each.split("=") for each in said.decode("ascii").split()])
        return {name: os.fsdecode(bytes.fromhex(answer[name])) for name in _FIELDS.split()}
    except (ValueError, KeyError):
        raise Refused("is not a Python: its answer makes no sense" + _quotation(said)) from None


def _quotation(printed: bytes) -> str:
    lines = [line.strip() for line in printed.decode("utf-8", "replace").splitlines()]
    text = " / ".join([line for line in lines if line][:3])[:200]
    text = "".join(char if char.isprintable() else "?" for char in text)
    return f', saying "{text}"' if text else ""


def _guest(path: str, answer: dict[str, str]) -> Guest:
    """Judge the answer: everything that can be refused without loading the library."""
    version = _version(answer["version"])
    name = f"CPython {answer['version']}"
    bits = 64 if sys.maxsize > 2**32 else 32
    if answer["implementation"] != "cpython":
        implementation = answer["implementation"].replace("pypy", "PyPy")
        raise Refused(f"is {implementation} {answer['implementation_version']}, not CPython")
    if version < OLDEST:
        raise Refused(f"is {name}, too old: pybridge needs 3.9 or newer")
    if version >= (4,):
        raise Refused(f"is {name}, too new: pybridge knows Python 3, from 3.9 on")
    if answer["bits"] != str(bits):
        raise Refused(f"is a {answer['bits']}-bit {name}, and this process has {bits} bits")
    if answer["libc"].split()[:1] != _libc().split()[:1]:
        raise Refused(
            f"is {name} for another C library ({answer['libc'] or 'not glibc'}) than that of "
            f"this process ({_libc() or 'not glibc'})"
        )
    if answer["Py_GIL_DISABLED"] == "1":
        raise Refused(f"is a free-threaded {name}: choose a build that has the GIL")
    return Guest(
        executable=_executable(path, answer["executable"]),
        version=version,
        version_text=answer["version_text"],
        library=_library(answer, name),
        prefix=answer["prefix"],
        base_prefix=answer["base_prefix"],
        bits=bits,
        free_threaded=False,
        debug=answer["debug"] == "1",
        soabi=answer["SOABI"],
        ext_suffix=answer["EXT_SUFFIX"],
        libc=answer["libc"],
    )


def _version(text: str) -> tuple[int, int, int]:
    try:
        major, minor, micro = map(int, text.split("."))
    except ValueError:
        raise Refused(f'is not a Python: it calls "{text}" its version') from None
    return major, minor, micro


def _libc() -> str:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, OSError, ValueError):
        return ""


def _executable(path: str, said: str) -> str:
    """Give the path asked, or for a script the interpreter that answered in its place."""
    if _elf_kind(path) is not None:
        return path
    if not os.path.isabs(said) or not os.path.isfile(said):
        raise Refused(f'is a script, and the interpreter it starts calls itself "{said}"')
    return said


def _library(answer: dict[str, str], name: str) -> str:
    """Give the path of the shared library, or refuse with what would supply it.

    The directories are those the interpreter was built for, and then those below the place
    where it is: a build that was moved still names the old ones.  A build that calls itself
    static may have the library nevertheless, at its own place (conda's have).
    """
    short = ".".join(answer["version"].split(".")[:2])
    usual = f"libpython{short}{answer['abiflags']}.so.1.0"
    own = os.path.join(answer["base_prefix"], "lib")
    places = [own]
    if answer["Py_ENABLE_SHARED"] == "1":
        libdir = answer["LIBDIR"]
        places = [libdir, os.path.join(libdir, answer["MULTIARCH"]), answer["LIBPL"]]
        places += [own, os.path.join(own, answer["MULTIARCH"])]
    places = list(dict.fromkeys(os.path.normpath(each) for each in places))
    for file in (answer["INSTSONAME"], usual, answer["LDLIBRARY"]):
        if ".so" not in file or "/" in file:
            continue
        for place in places:
            path = os.path.join(place, file)
            if os.path.isabs(path) and os.path.isfile(path):
                if _elf_kind(path) != _elf_kind("/proc/self/exe"):
                    raise Refused(f"is {name}, but {path} is no library for this machine")
                return path
    if answer["Py_ENABLE_SHARED"] == "1":
        raise Refused(
            f"is {name}, but its shared library {answer['INSTSONAME'] or usual} is not in "
            f"{', '.join(places)}: on Debian and Ubuntu `apt install libpython{short}`"
        )
    raise Refused(
        f"is {name}, built without a shared library: build it with --enable-shared "
        f"(`PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install {answer['version']}`); on "
        f"Debian and Ubuntu there is also the package libpython{short}"
    )


def _elf_kind(path: str) -> bytes | None:
    """Give class, byte order and machine of an ELF file, None if it is something else."""
    try:
        with open(path, "rb") as file:
            head = file.read(20)
    except OSError:
        return None
    return head[4:6] + head[18:20] if head[:4] == b"\x7fELF" and len(head) == 20 else None
