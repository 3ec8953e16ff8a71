# SPDX-License-Identifier: MIT
"""What two runs of a script never have alike: addresses, durations and the time of day.

Used by gallery.py for what is printed, and by the backend for what is written into figures.
"""

import re

_ADDRESS = re.compile(r"0x[0-9a-f]{6,}")
_DURATION = re.compile(
    r"(?i)(\b(?:in|time|took|elapsed|duration|done)\b\D{0,20})?[\d.]+(?:e-?\d+)?\s*"
    r"(?:s|sec|secs|seconds?|ms|min|minutes?|us|µs)\b"
)
_WHEN = re.compile(r"\d\d:\d\d:\d\d|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d+ \w+ \d{4}")


def normal(text: str) -> str:
    """The text without them."""
    return _DURATION.sub("TIME", _WHEN.sub("WHEN", _ADDRESS.sub("ADDRESS", text)))
