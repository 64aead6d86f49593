"""`pyama demo`."""

from __future__ import annotations

from pathlib import Path

from pyama_core.cli.streams import echo


def write(folder: Path, *, fovs: int, frames: int, size: int, seed: int, kind: str) -> int:
    """Write the synthetic experiment and say what to do with it."""
    from pyama_core.demo import write_demo
    from pyama_core.demo.kinds import KINDS, DemoKind

    files = write_demo(folder, fovs=fovs, frames=frames, size=size, seed=seed, kind=kind)
    echo(f"wrote {files.image} and its truth under {files.tracks.parent}")
    measured = KINDS[DemoKind(kind)].measured
    cells = "--segment 0" if 0 in measured else "--pc 0"
    fl = " ".join(f"--fl {channel}" for channel in measured)
    echo(f'now try:  pyama run "{files.image}" -o "{folder / "results"}" {cells} {fl}')
    return 0
