# SPDX-License-Identifier: MIT
"""One side of a comparison: reads "row<TAB>n" lines, answers with the seconds taken.

Started by run.py with the name of the side (sides.py); first it says which rows it has.
"""

from __future__ import annotations

import json
import os
import sys
import time

from rows import GUEST, make
from sides import side_of


def main() -> None:
    """Answer until the input ends."""
    if sys.argv[1] == "execnet":
        import execnet_rows

        rows = execnet_rows.make(os.environ["BENCH_REMOTE"], GUEST)
    else:
        rows = make(side_of(sys.argv[1]))
    print(json.dumps(sorted(rows)), flush=True)
    for line in sys.stdin:
        name, _, n = line.rstrip("\n").partition("\t")
        function, count = rows[name], int(n)
        begin = time.perf_counter()
        function(count)
        print(repr(time.perf_counter() - begin), flush=True)


main()
