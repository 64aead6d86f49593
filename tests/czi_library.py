"""The library that reads and writes CZI: without it, tests that need it are skipped."""

from __future__ import annotations

from typing import Any

import pytest


def czi_library() -> Any:
    """Return the module, or skip the test."""
    return pytest.importorskip("pylibCZIrw.czi", reason="there is no pylibCZIrw for this Python")
