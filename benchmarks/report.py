# SPDX-License-Identifier: MIT
"""The README's tables and its picture, from benchmarks/results/: of whole programs
(programs.json), and of single operations on all sides (columns.json); and the table of all
operations with their goals in docs/performance.md.

.venv-host/bin/python benchmarks/report.py
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from goals import EMPTY, goal_text, ratio, reached
from machine import time_text

ROOT = Path(__file__).resolve().parent.parent
TITLES = {
    "heat": "heat in a plate, `a[i, j]` of 1000 x 1000",
    "decoder": "5 million records of a structured array",
    "kmeans": "k-means over rows of an array",
    "mixed": "five bodies, Nelder-Mead, three FFTs of 2^20",
    "options": "Monte Carlo, 3 million `ndtri` and `ndtr`",
}
MAIN = (
    "sqrt(x)", "f(x), a guest function", "point.x, an int", "o.m(1)", "dict get", "list get",
    "for x in a list", "callback from reduce", "text, 10 there and back",
    "text, 1M there and back", "a[i], a double of an array", "two fields of a record",
    "x + x, 10 elements", "x.sum(), 10 elements", "np.sqrt(2.0)", "jv(1.0, x)",
    "list of floats to array, each", "array to list, each", "80 MB to the guest",
    "80 MB to the host", "Nelder-Mead, a step", "start to scipy.special",
)  # fmt: skip


def table(data: dict[str, Any]) -> str:
    """Markdown: seconds of both sides, and how many times faster."""
    lines = ["| program | CPython | native | PyPy with pybridge | |", "|---|---|---|---|---|"]
    for row in data["rows"]:
        native, bridge = min(row["native_s"]), min(row["bridge_s"])
        lines.append(
            f"| {TITLES[row['program']]} | {row['python']} | {native:.1f} s | {bridge:.1f} s "
            f"| {native / bridge:.1f} x |"
        )
    m = data["machine"]
    lines.append("")
    lines.append(
        f"({m['host']}, {m['cores']} cores of {m['processor']}, {m['date']}, load "
        f"{m['load'][0]}: processor time, least of {len(data['rows'][0]['native_s'])} runs.)"
    )
    return "\n".join(lines)


def columns(data: dict[str, Any]) -> str:
    """Markdown: one operation on each side."""
    names: list[str] = []
    for row in data["rows"]:
        names.extend(name for name in row["columns"] if name not in names)
    lines = ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for row in data["rows"]:
        if row["row"] not in MAIN:
            continue
        title = row["row"].replace(", each", ", a number")
        cells = [
            time_text(row["columns"][name]["min_ns"]) if name in row["columns"] else ""
            for name in names
        ]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    m, others = data["machine"], data["versions"].get("cpyext", {})
    lines.append("")
    lines.append(
        f"({m['host']}, {m['cores']} cores of {m['processor']}, {m['date']}, load "
        f"{m['load'][0]}: least of several slices, the loop included.  cpyext: PyPy's own "
        f"numpy {others.get('numpy')}.  execnet {others.get('execnet')}, rpyc "
        f"{others.get('rpyc')}: a CPython in another process.)"
    )
    return "\n".join(lines)


def figures(data: dict[str, Any]) -> str:
    """Markdown: every row, native and through the bridge with the same guest, and the goal."""
    sides = [name for name in data["rows"][0]["columns"] if name.startswith("CPython")]
    pairs = [(name, name.replace("CPython", "pybridge")) for name in sides]
    rows = {
        row["row"]: {name: times["min_ns"] for name, times in row["columns"].items()}
        for row in data["rows"]
    }
    heads = [head for pair in pairs for head in (*pair, "ratio")]
    lines = ["| row | " + " | ".join(heads) + " | goal | |", "|---" * (len(heads) + 3) + "|"]
    for row, ns in rows.items():
        cells, met = [], []
        for native, own in pairs:
            empty = rows[EMPTY][native], rows[EMPTY][own]
            found = ratio(row, ns[native], ns[own], empty)
            cells += [time_text(ns[native]), time_text(ns[own]), f"{found:.2g}"]
            met.append(reached(row, found, ns[own]))
        verdict = "" if None in met else "met" if all(met) else "once" if any(met) else "missed"
        title = row.replace(", each", ", a number")
        lines.append(f"| {title} | {' | '.join(cells)} | {goal_text(row)} | {verdict} |")
    m = data["machine"]
    versions = [
        f"{name} is {each['python']} with numpy {each['numpy']} and scipy {each['scipy']}"
        for name, each in data["versions"].items()
        if name in sides
    ]
    lines.append("")
    lines.append(
        f"({m['host']}, {m['cores']} cores of {m['processor']}, {m['date']}, load "
        f"{m['load'][0]}; minima of several slices.  {'; '.join(versions)}.)"
    )
    return "\n".join(lines)


def picture(data: dict[str, Any]) -> str:
    """Bars, as SVG."""
    rows, parts = data["rows"], []
    most = max(min(row["native_s"]) for row in rows)
    for i, row in enumerate(rows):
        y = 10 + i * 44
        label = f"{row['program']}, {row['python']}"
        parts.append(f'<text x="130" y="{y + 20}" text-anchor="end">{label}</text>')
        for j, (side, colour) in enumerate((("native_s", "#999"), ("bridge_s", "#2a6"))):
            seconds = min(row[side])
            width = 380 * seconds / most
            at = y + j * 16
            parts.append(
                f'<rect x="140" y="{at}" width="{width:.1f}" height="14" fill="{colour}"/>'
            )
            parts.append(f'<text x="{146 + width:.1f}" y="{at + 11}">{seconds:.1f} s</text>')
    height = 20 + 44 * len(rows)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="600" height="{height}" '
        'font-family="sans-serif" font-size="12">\n'
        "<title>Whole programs: native CPython (grey), PyPy with pybridge (green)</title>\n"
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def put_in(text: str, name: str, new: str) -> str:
    """A text with what is between two marks replaced."""
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    pattern = re.escape(begin) + ".*?" + re.escape(end)
    if not re.search(pattern, text, re.DOTALL):
        raise SystemExit(f"there is no place for {name}")
    return re.sub(pattern, lambda m: begin + new + "\n" + end, text, flags=re.DOTALL)


def main() -> None:
    """Write all of them."""
    programs, sides = (
        json.loads((ROOT / f"benchmarks/results/{name}.json").read_text())
        for name in ("programs", "columns")
    )
    (ROOT / "docs/programs.svg").write_text(picture(programs))
    readme = ROOT / "README.md"
    text = put_in(readme.read_text(), "programs", table(programs))
    readme.write_text(put_in(text, "columns", columns(sides)))
    page = ROOT / "docs/performance.md"
    page.write_text(put_in(page.read_text(), "figures", figures(sides)))


main()
