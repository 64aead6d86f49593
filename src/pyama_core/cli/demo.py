"""`pyama demo`."""

from __future__ import annotations

from pathlib import Path

from pyama_core.cli.streams import echo


def write(folder: Path, *, fovs: int, frames: int, size: int, seed: int) -> int:
    """Write the synthetic experiment and say what to do with it."""
    from pyama_core.demo import write_demo

    files = write_demo(folder, fovs=fovs, frames=frames, size=size, seed=seed)
    echo(f"wrote {files.image} and its truth under {files.tracks.parent}")
    echo(f'now try:  pyama run "{files.image}" -o "{folder / "results"}" --pc 0 --fl 1 --fl 2')
    return 0
