# SPDX-License-Identifier: MIT
"""The command line: `python -m pybridge doctor` and `python -m pybridge run script.py`."""

from __future__ import annotations

import sys

from pybridge import __version__


def main(arguments: list[str] | None = None) -> int:
    """Run one command and give the exit status: 0 good, 1 bad, 2 not understood."""
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == ["run"]:  # its arguments are the program's, argparse has no say in them
        from pybridge import _script

        return _script.run(given[1:])
    import argparse  # 30 ms on PyPy

    parser = argparse.ArgumentParser(
        prog="python -m pybridge",
        description="CPython's packages on PyPy, in one process.",
    )
    parser.add_argument("--version", action="version", version=f"pybridge {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command")
    doctor = commands.add_parser(
        "doctor",
        help="say which guest is found and why, start it, and check that it works",
        description="Say which guest is found and why, start it, and check that it works.  "
        "Exit status: 0 all is well, 1 no usable guest or a failed check.",
    )
    doctor.add_argument("--json", action="store_true", help="print one JSON object")
    doctor.add_argument(
        "--python", metavar="PATH", help="look at this guest, as pybridge.start(python=PATH)"
    )
    doctor.add_argument(
        "--script", metavar="FILE", help="use the settings that this script would get"
    )
    commands.add_parser(
        "run",
        help="run a program whose imports find the guest's packages",
        usage="python -m pybridge run [-m module | -c text | script] [argument ...]",
    )
    options = parser.parse_args(given)
    if options.command is None:
        parser.print_help(sys.stderr)
        return 2
    if options.script is not None:
        from os.path import isfile

        if not isfile(options.script):
            doctor.error(f"--script {options.script}: no such file")

    from pybridge import _doctor

    return _doctor.run(options.python, options.script, options.json)


if __name__ == "__main__":
    sys.exit(main())
