# SPDX-License-Identifier: MIT
"""The README's table and picture of whole programs, made from benchmarks/results/programs.json.

.venv-host/bin/python benchmarks/report.py
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TITLES = {
    "heat": "heat in a plate, `a[i, j]` of 1000 x 1000",
    "decoder": "5 million records of a structured array",
    "kmeans": "k-means over rows of an array",
    "mixed": "five bodies, Nelder-Mead, three FFTs of 2^20",
    "options": "Monte Carlo, 3 million `ndtri` and `ndtr`",
}


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


def main() -> None:
    """Write both."""
    data = json.loads((ROOT / "benchmarks/results/programs.json").read_text())
    (ROOT / "docs/programs.svg").write_text(picture(data))
    readme = ROOT / "README.md"
    text = readme.read_text()
    begin, end = "<!-- programs -->\n", "<!-- /programs -->"
    pattern = re.escape(begin) + ".*?" + re.escape(end)
    if not re.search(pattern, text, re.DOTALL):
        raise SystemExit("README.md has no place for the table")
    new = begin + table(data) + "\n" + end
    readme.write_text(re.sub(pattern, lambda m: new, text, flags=re.DOTALL))


main()
