# SPDX-License-Identifier: MIT
"""Running a program whose imports find the guest's packages: `python -m pybridge run`.

The program sees what a plain run shows it: `__main__` is its own module, `sys.argv` its own
arguments, `sys.path[0]` its own directory, and a traceback begins with its own lines.
"""

from __future__ import annotations

import builtins
import os
import sys
from types import ModuleType

from pybridge import _finder
from pybridge._host import hidden

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any


def _main_module(path: str | None) -> ModuleType:
    main = ModuleType("__main__")
    main.__dict__["__builtins__"] = builtins
    if path is not None:
        main.__file__ = path
    sys.modules["__main__"] = main
    return main


@hidden
def run_file(path: str, arguments: list[str]) -> None:
    """Run a script."""
    import io

    with io.open_code(os.path.abspath(path)) as file:
        source = file.read()
    sys.argv = [path, *arguments]
    sys.path[0] = os.path.dirname(os.path.realpath(path))
    main = _main_module(path)
    _finder.install()
    _execute(source, path, main)


@hidden
def run_text(text: str, arguments: list[str]) -> None:
    """Run a program given on the command line."""
    sys.argv = ["-c", *arguments]
    sys.path[0] = ""
    main = _main_module(None)
    _finder.install()
    _execute(text, "<string>", main)


@hidden
def run_module(name: str, arguments: list[str]) -> None:
    """Run a module of the host, or one that it finds through the guest's packages."""
    import runpy

    sys.argv = [name, *arguments]
    sys.path[0] = os.getcwd()
    _finder.install()
    runpy.run_module(name, run_name="__main__", alter_sys=True)


@hidden
def _execute(source: Any, filename: str, main: ModuleType) -> None:
    try:
        exec(compile(source, filename, "exec"), main.__dict__)
    except SystemExit:
        raise
    except BaseException as error:
        _report(error, filename)
        sys.exit(130 if isinstance(error, KeyboardInterrupt) else 1)


def _report(error: BaseException, filename: str) -> None:
    """Print what a plain run prints: the traceback from the program's own first line on."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_frame.f_code.co_filename != filename:
        traceback = traceback.tb_next
    error = error.with_traceback(traceback)  # none: it did not compile
    sys.excepthook(type(error), error, traceback)


USAGE = "usage: python -m pybridge run [-m module | -c text | script] [argument ...]"


def run(arguments: list[str]) -> int:
    """The command `run`.  Gives an exit status when the program could not be begun."""
    kind, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if kind in ("-h", "--help"):
        print(USAGE)
        return 0
    if not kind or (kind in ("-m", "-c") and not rest) or (kind[:1] == "-" and len(kind) > 2):
        print(USAGE, file=sys.stderr)
        return 2
    if kind == "-m":
        run_module(rest[0], rest[1:])
    elif kind == "-c":
        run_text(rest[0], rest[1:])
    else:
        try:
            with open(kind, "rb"):
                pass
        except OSError as error:
            print(f"python -m pybridge run: can't open {kind!r}: {error}", file=sys.stderr)
            return 2
        run_file(kind, rest)
    return 0
