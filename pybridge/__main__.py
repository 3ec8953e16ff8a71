# SPDX-License-Identifier: MIT
"""The command line: `python -m pybridge COMMAND`, or `pybridge COMMAND`.

Exit status: 0 good, 1 bad, 2 not understood, 128 + n ended by signal n; of a program that is
run, its own.  `run` and `python` hand their arguments over as they are.
"""

from __future__ import annotations

import sys

from pybridge import __version__
from pybridge._completion import COMMANDS

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def _parser() -> ArgumentParser:
    import argparse  # 30 ms on PyPy

    parser = argparse.ArgumentParser(
        prog="python -m pybridge",
        description="CPython's packages on PyPy, in one process.",
        epilog="`python -m pybridge script.py` is short for `run script.py`.",
    )
    parser.add_argument("--version", action="version", version=f"pybridge {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command")
    made = {
        name: commands.add_parser(name, help=what, description=what.capitalize() + ".")
        for name, what in COMMANDS.items()
    }
    doctor = made["doctor"]
    doctor.description = (
        "Say which guest is found and why, start it, and check that it works.  "
        "Exit status: 0 all is well, 1 no usable guest or a failed check."
    )
    doctor.add_argument(
        "packages", nargs="*", metavar="PACKAGE", help="say where these are imported from"
    )
    doctor.add_argument("--json", action="store_true", help="print one JSON object")
    doctor.add_argument(
        "--script", metavar="FILE", help="use the settings that this script would get"
    )
    install = made["install"]
    install.description = (
        "Install packages for the guest, with uv if it is on PATH, else with the guest's pip.  "
        "They go to the guest that was chosen or the active venv; if there is neither, to an "
        "environment in the user's data folder, made at its first use."
    )
    install.add_argument(
        "packages", nargs="*", metavar="PACKAGE", help='as for pip: "numpy>=2"'
    )
    install.add_argument(
        "-r", "--requirement", action="append", default=[], metavar="FILE",
        help="install what this file lists",
    )  # fmt: skip
    install.add_argument(
        "-U", "--upgrade", action="store_true", help="take newer versions of what is there"
    )
    install.add_argument("--json", action="store_true", help="print one JSON object")
    stubs = made["stubs"]
    stubs.add_argument("modules", nargs="+", metavar="MODULE")
    stubs.add_argument(
        "-o", "--output", default="typings", metavar="FOLDER", help="default: ./typings"
    )
    stubs.add_argument("--json", action="store_true", help="print the paths as one JSON array")
    for each in ("doctor", "install", "stubs", "repl"):
        made[each].add_argument(
            "--python", metavar="PATH", help="this guest, as pybridge.start(python=PATH)"
        )
    from pybridge._completion import SHELLS

    made["completion"].add_argument("shell", choices=list(SHELLS))
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one command and give the exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    if given and (given[0] == "run" or _is_program(given[0])):
        from pybridge import _script

        return _script.run(given[1:] if given[0] == "run" else given)
    if given[:1] == ["python"]:
        return _failing(_python, given[1:])
    parser = _parser()
    options = parser.parse_args(given)
    if options.command is None:
        parser.print_help(sys.stderr)
        return 2
    if options.command == "doctor":
        return _doctor(parser, options)
    if options.command == "install" and not (options.packages or options.requirement):
        parser.error("install: name a package, or a file of them by --requirement")
    return _failing(_COMMANDS[options.command], options)


def _is_program(word: str) -> bool:
    if word in COMMANDS:
        return False
    from os.path import exists

    return word in ("-", "-m", "-c") or (
        not word.startswith("-") and (word.endswith(".py") or exists(word))
    )


def _failing(command, argument) -> int:  # type: ignore[no-untyped-def]
    """What the bridge refuses, or the system, is one line and status 1."""
    from pybridge._errors import BridgeError

    try:
        return command(argument)  # type: ignore[no-any-return]
    except (BridgeError, OSError, ImportError) as error:
        print(f"python -m pybridge: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _doctor(parser: ArgumentParser, options: Namespace) -> int:
    if options.script is not None:
        from os.path import isfile

        if not isfile(options.script):
            parser.error(f"doctor: --script {options.script}: no such file")
    from pybridge import _doctor

    return _doctor.run(options.python, options.script, options.json, options.packages)


def _as_no_script() -> None:
    """Settings are those of the environment: no script runs."""
    sys.modules["__main__"].__dict__.pop("__file__", None)


def _python(arguments: list[str]) -> int:
    """Become the guest's interpreter: the arguments are its own."""
    import os

    from pybridge import _discover

    _as_no_script()
    guest = _discover.discover()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os.execv(guest.executable, [guest.executable, *arguments])


def _install(options: Namespace) -> int:
    from pybridge import _environment

    _as_no_script()
    more = ["--upgrade"] if options.upgrade else []
    for name in options.requirement:
        with open(name, "rb"):  # before an environment is made
            more += ["-r", name]
    python = _environment.install(options.packages, more, options.python)
    if options.json:
        import json

        print(json.dumps({"python": python, "packages": options.packages}))
    else:
        print(f"installed for {python}")
    return 0


def _stubs(options: Namespace) -> int:
    from pybridge import _api, _stubs

    _as_no_script()
    _api.start(options.python)
    written = _stubs.write(options.modules, options.output)
    if options.json:
        import json

        print(json.dumps(written))
    else:
        print("\n".join(written))
    return 0


def _repl(options: Namespace) -> int:
    from pybridge import _repl

    _as_no_script()
    return _repl.run(options.python)


def _completion(options: Namespace) -> int:
    from pybridge._completion import SHELLS

    print(SHELLS[options.shell](), end="")
    return 0


_COMMANDS = {
    "install": _install,
    "stubs": _stubs,
    "repl": _repl,
    "completion": _completion,
}

if __name__ == "__main__":
    sys.exit(main())
