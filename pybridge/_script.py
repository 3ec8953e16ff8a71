# SPDX-License-Identifier: MIT
"""Running a program whose imports find the guest's packages: `python -m pybridge run`.

The program sees what a plain run shows it: `__main__` is its own module, `sys.argv` its own
arguments, `sys.path[0]` its own directory, a traceback begins with its own lines, and the
exit status is that of a plain run, a death by Ctrl-C included.

A module of a package that the guest has is run by the guest (`run -m pip list`).
"""

from __future__ import annotations

import builtins
import os
import sys
from types import ModuleType

from pybridge import _finder, _require
from pybridge._errors import BridgeError
from pybridge._host import hidden

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

USAGE = (
    "usage: python -m pybridge run [--guest PACKAGE] [--host PACKAGE] "
    "[-m module | -c text | - | script] [argument ...]"
)
HELP = f"""{USAGE}

Run a program as `python` does; what its imports do not find here comes from the guest.

  script            a file, or a folder or zip file with a __main__.py
  -                 read the program from standard input
  -m module         run a module; one that the guest has runs in the guest
  -c text           run this text
  --guest PACKAGE   this package comes from the guest, also if the host has it; may be
                    repeated
  --host PACKAGE    the host imports this package, from the guest's files if it has none:
                    pure Python that the JIT is to compile; may be repeated

Exit status: the program's; 2 if it could not be begun.
"""


def _main_module(path: str | None, loader: Any = None) -> ModuleType:
    main = ModuleType("__main__")
    main.__dict__.update(__builtins__=builtins, __annotations__={}, __loader__=loader)
    if path is not None:
        main.__dict__.update(__file__=path, __cached__=None)
    sys.modules["__main__"] = main
    return main


class _Program:
    """What is to be run, with its packages for either side."""

    def __init__(self) -> None:
        self.kind = ""
        self.what = ""
        self.arguments: list[str] = []
        self.guest: list[str] = []
        self.host: list[str] = []

    def install(self, source: bytes = b"", path: str = "") -> None:
        """With settings beside the script: `__main__` must be there."""
        try:
            _require.from_script(source, path)
            _finder.install(guest=self.guest, host=self.host)
        except BridgeError as error:
            raise _Refused(str(error)) from None


class _Refused(Exception):
    """The program could not be begun: one line of reason."""


@hidden
def _run_file(program: _Program) -> None:
    from importlib.machinery import SourceFileLoader
    from io import open_code

    path = os.path.abspath(program.what)
    try:
        with open_code(path) as file:
            source = file.read()
    except (OSError, ValueError) as error:
        raise _Refused(f"can't open {program.what!r}: {error}") from None
    sys.argv = [program.what, *program.arguments]
    sys.path[0] = os.path.dirname(os.path.realpath(path))
    main = _main_module(path, SourceFileLoader("__main__", path))
    program.install(source, path)
    _execute(source, path, main)


@hidden
def _run_folder(program: _Program) -> None:
    """A folder or a zip file: its __main__.py."""
    import runpy

    path = program.what
    if not _has_main(path):
        raise _Refused(f"can't find '__main__' module in {path!r}")
    sys.argv = [path, *program.arguments]
    sys.path[0] = os.path.abspath(path)
    _main_module(None)
    program.install()
    _run_named(runpy, "__main__", False)


def _has_main(path: str) -> bool:
    if os.path.isdir(path):
        return os.path.isfile(os.path.join(path, "__main__.py"))
    import zipfile

    with zipfile.ZipFile(path) as archive:
        return "__main__.py" in archive.namelist()


@hidden
def _run_text(program: _Program) -> None:
    sys.argv = ["-c", *program.arguments]
    sys.path[0] = ""
    main = _main_module(None)
    program.install()
    _execute(program.what, "<string>", main)


@hidden
def _run_input(program: _Program) -> None:
    sys.argv = ["-", *program.arguments]
    sys.path[0] = ""
    main = _main_module(None)
    program.install()
    _execute(sys.stdin.buffer.read(), "<stdin>", main)


@hidden
def _run_module(program: _Program) -> None:
    import importlib.util
    import runpy

    name = program.what
    sys.argv = ["-m", *program.arguments]
    sys.path[0] = os.getcwd()
    program.install()
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = importlib.util.find_spec(f"{name}.__main__") or spec
    except (ImportError, ValueError, AttributeError) as error:
        raise _Refused(
            f"Error while finding module specification for {name!r}: {error}"
        ) from None
    if spec is None:
        raise _Refused(f"No module named {name}")
    if isinstance(spec.loader, _finder.Loader):
        sys.argv[0] = spec.origin or name
        _in_guest(name)
        return
    _main_module(spec.origin if spec.has_location else None)
    program.install()  # again, as now its place is known: there may be settings
    _run_named(runpy, name, True)


@hidden
def _run_named(runpy: Any, name: str, alter_argv: bool) -> None:
    try:
        runpy._run_module_as_main(name, alter_argv)
    except SystemExit:
        raise
    except BaseException as error:
        _end(error, runpy._run_module_as_main.__code__.co_filename)


@hidden
def _in_guest(name: str) -> None:
    """Let the guest run one of its own modules."""
    from pybridge import _guest, _runtime

    _runtime.running()
    try:
        _guest.call("run_module", name, list(sys.argv))
    except SystemExit:
        raise
    except BaseException as error:
        _end(error, "")


@hidden
def _execute(source: Any, filename: str, main: ModuleType) -> None:
    try:
        exec(compile(source, filename, "exec"), main.__dict__)
    except SystemExit:
        raise
    except BaseException as error:
        _end(error, filename)


def _end(error: BaseException, filename: str) -> None:
    """Print what a plain run prints, the traceback from the program's own first line on, and
    end as it does."""
    traceback = error.__traceback__
    if filename:
        while traceback is not None and traceback.tb_frame.f_code.co_filename != filename:
            traceback = traceback.tb_next
    error = error.with_traceback(traceback)  # none: it did not compile
    if type(error) is ImportError and isinstance(error.__cause__, BridgeError):
        error.__cause__ = None  # the message has all that the cause says
        error.__suppress_context__ = True
    sys.excepthook(type(error), error, traceback)
    more = _finder.searched(error)
    if more:
        print(more, file=sys.stderr)
    if isinstance(error, KeyboardInterrupt):
        # The interpreter ends itself by the signal, when everything else is done.
        sys.excepthook = lambda *args: None
        raise error
    sys.exit(1)


_RUNNERS = {
    "-m": _run_module,
    "-c": _run_text,
    "-": _run_input,
    "folder": _run_folder,
    "file": _run_file,
}


def _understood(arguments: list[str]) -> _Program | None:
    program, rest = _Program(), list(arguments)
    while rest and rest[0].startswith("--"):
        name, equals, value = rest.pop(0).partition("=")
        if name not in ("--guest", "--host") or not (value or rest):
            return None
        names = (value if equals else rest.pop(0)).split(",")
        (program.guest if name == "--guest" else program.host).extend(names)
    if not rest:
        return None
    first = rest.pop(0)
    if first[:2] in ("-m", "-c") and len(first) > 2:  # -mmodule
        rest.insert(0, first[2:])
        first = first[:2]
    if first in ("-m", "-c"):
        if not rest:
            return None
        program.kind, program.what = first, rest.pop(0)
    elif first == "-":
        program.kind = first
    elif first.startswith("-"):
        return None
    else:
        program.what = first
        program.kind = "file"
        if os.path.isdir(first):
            program.kind = "folder"
        elif first.endswith((".zip", ".pyz", ".egg")):
            import zipfile

            if zipfile.is_zipfile(first):
                program.kind = "folder"
    program.arguments = rest
    return program


def run(arguments: list[str]) -> int:
    """The command `run`.  Gives an exit status when the program could not be begun."""
    if arguments[:1] in (["-h"], ["--help"]):
        print(HELP, end="")
        return 0
    program = _understood(arguments)
    if program is None:
        print(USAGE, file=sys.stderr)
        return 2
    try:
        _RUNNERS[program.kind](program)
    except _Refused as refusal:
        print(f"python -m pybridge run: {refusal}", file=sys.stderr)
        return 1 if program.kind == "-m" else 2
    return 0
