# SPDX-License-Identifier: MIT
"""The examples of a package's docstrings, run from the host, against plain CPython.

    host-python tests/doctests/run.py numpy numpy.linalg numpy.fft [--json FILE] [--show N]

The guest's own interpreter collects and runs them first (native.py), then a host process runs
the same text through the bridge (bridged.py), with `np` bound to the imported module.  What
counts are examples that pass natively; the figure is the share of these that pass through
the bridge.  A crash counts as failures of the docstring that it happened in.  The guest is
the one that PYBRIDGE_PYTHON names, or as discovered.
"""

from __future__ import annotations

import argparse
import collections
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import native  # noqa: E402


def guest_python() -> str:
    """The guest's interpreter, which this host would start."""
    from pybridge import _discover, _settings

    return _discover.discover(None, _settings.load()).executable


def examples(packages: list[str], timeout: float = 1800) -> list[dict[str, Any]]:
    """All docstrings with what their examples gave natively and through the bridge."""
    with tempfile.TemporaryDirectory() as folder:
        collected, results = Path(folder, "collected.json"), Path(folder, "results")
        subprocess.run(
            [guest_python(), "-X", "utf8", str(HERE / "native.py"), str(collected), *packages],
            cwd=folder, timeout=timeout, check=True,
        )  # fmt: skip
        docstrings = json.loads(collected.read_text())
        results.touch()
        first = 0
        while first < len(docstrings):
            child = subprocess.run(
                [sys.executable, str(HERE / "bridged.py"), str(collected), str(results),
                 str(first)],
                cwd=folder, timeout=timeout, check=False,
            )  # fmt: skip
            begun = first
            for line in results.read_text().splitlines():
                entry = json.loads(line)
                if "begin" in entry:
                    begun = entry["begin"]
                else:
                    docstrings[entry["number"]]["bridged"] = entry["bridged"]
            if child.returncode == 0:
                break
            lost = docstrings[begun]
            lost["bridged"] = [
                {"got": "", "error": f"Crash: exit status {child.returncode}"}
                for _ in lost["examples"]
            ]
            first = begun + 1
    return docstrings


def compared(docstrings: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures, and every failure."""
    total = counted = passed = 0
    failures = []
    for d in docstrings:
        for example, plain, bridged in zip(d["examples"], d["native"], d["bridged"]):
            total += 1
            if not native.passes(example, plain):
                continue
            counted += 1
            if native.passes(example, bridged):
                passed += 1
            else:
                failures.append({"name": d["name"], "source": example["source"],
                                 "want": example["want"], **bridged})  # fmt: skip
    share = round(100 * passed / counted, 2) if counted else None
    return {"examples": total, "pass natively": counted, "pass through the bridge": passed,
            "percent": share, "failures": failures}  # fmt: skip


def kind(failure: dict[str, Any]) -> str:
    """Failures of one cause look alike."""
    if failure["error"] is None:
        return "other output"
    return re.sub(r"0x[0-9a-f]+|\d+", "N", failure["error"].splitlines()[-1])[:90]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("packages", nargs="+")
    parser.add_argument("--json", type=Path, help="write figures and failures to this file")
    parser.add_argument("--show", type=int, default=10, help="failures to print, per kind: 1")
    parser.add_argument("--least", type=float, default=0, help="fail below this percentage")
    arguments = parser.parse_args()
    report = compared(examples(arguments.packages))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1))
    failures = report["failures"]
    kinds = collections.Counter(kind(f) for f in failures)
    for name, n in kinds.most_common(arguments.show):
        one = next(f for f in failures if kind(f) == name)
        print(f"{n:4} {name}\n       {one['name']}: {one['source'].strip()}")
        if one["error"] is None:
            print(f"       want {one['want']!r}\n       got  {one['got']!r}")
    print(
        f"{' '.join(arguments.packages)}: {report['examples']} examples, "
        f"{report['pass natively']} pass natively, "
        f"{report['pass through the bridge']} of these through the bridge: "
        f"{report['percent']} %"
    )
    return 0 if (report["percent"] or 0) >= arguments.least else 1


if __name__ == "__main__":
    sys.exit(main())
