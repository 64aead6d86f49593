"""How fast the pipeline is, measured against what it cannot be faster than.

`python -m benchmarks` (in the root of the repository; `--quick` for about a minute) writes
`docs/PERFORMANCE.md` and `docs/performance.json`. Machines differ and other programs disturb, so
what counts are ratios: what is compared runs in turn (A B A B ...) within one run, and the median
is given with its range.
"""

from __future__ import annotations

import sys
from pathlib import Path

# The plain references of the algorithms and the writer of ND2 files are the tests'.
sys.path.append(str(Path(__file__).parents[1] / "tests"))
