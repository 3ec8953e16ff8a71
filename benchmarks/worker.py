# SPDX-License-Identifier: MIT
"""One interpreter of a comparison: reads "row<TAB>n" lines, answers with the seconds taken.

Started by run.py, twice: with the guest's own python (argument "native") and with the host
(argument "bridge").
"""

from __future__ import annotations

import sys
import time

from rows import make


def main() -> None:
    """Answer until the input ends."""
    rows = make(sys.argv[1] == "native")
    print("ready", flush=True)
    for line in sys.stdin:
        name, _, n = line.rstrip("\n").partition("\t")
        function, count = rows[name], int(n)
        begin = time.perf_counter()
        function(count)
        print(repr(time.perf_counter() - begin), flush=True)


main()
