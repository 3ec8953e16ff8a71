# SPDX-License-Identifier: MIT
"""Run collected examples on the host, through the bridge.

    host-python bridged.py COLLECTED.json RESULTS FIRST

Run by run.py.  One line of JSON for each docstring from number FIRST on, as soon as it is
done, so that after a crash the next process can go on behind it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pybridge

sys.path.insert(0, str(Path(__file__).resolve().parent))
import native  # the one function that both sides run


def main() -> None:
    collected, results, first = sys.argv[1:]
    docstrings = json.loads(Path(collected).read_text())
    pybridge.install()
    native.extend_path(pybridge.import_module("sys").path)
    with open(results, "a") as file:
        for number in range(int(first), len(docstrings)):
            docstring = docstrings[number]
            file.write(json.dumps({"begin": number}) + "\n")
            file.flush()
            space = native.namespace(docstring["module"], pybridge.import_module)
            line = {"number": number, "bridged": native.run(docstring, space)}
            file.write(json.dumps(line) + "\n")
            file.flush()


if __name__ == "__main__":
    main()
