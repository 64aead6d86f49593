"""Which names in a folder are those of masks, and which number in them is that of the frame."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pyama_core.errors import InputError

IMAGE_ENDINGS = (".tif", ".tiff", ".png", ".npy")
"""Files that masks are read from."""

_DIGITS = re.compile(r"\d+")
_MASK_WORD = re.compile(
    r"mask|label|(?:^|[^a-z])(?:seg|segm|segmentations?|segmented|lbl)(?:[^a-z]|$)"
)
_CELLPOSE = "_cp_masks"
_SHOWN = 4


def choose_masks(folder: Path, images: Sequence[Path]) -> tuple[list[Path], str]:
    """Choose, of the images in a folder, those that are masks.

    Names that differ in numbers alone are of one kind. If there are several kinds, that which
    speaks of masks is meant, such as Cellpose's ``img_000_cp_masks.tif`` beside ``img_000.tif``.

    Parameters
    ----------
    folder
        For messages.
    images
        Images in it, at least one.

    Returns
    -------
    masks : list of Path
        In no particular order.
    note : str
        What was left out; empty if nothing was.

    Raises
    ------
    InputError
        It is not clear which kind is meant.
    """
    kinds: dict[str, list[Path]] = defaultdict(list)
    for path in images:
        kinds[_DIGITS.sub("#", path.name.lower())].append(path)
    speaking = {kind: paths for kind, paths in kinds.items() if _speaks_of_masks(kind)}
    chosen: Mapping[str, list[Path]] = speaking or kinds
    if len(chosen) > 1:
        chosen = {k: paths for k, paths in chosen.items() if _CELLPOSE in k} or chosen
    if len(chosen) > 1 and any(len(paths) > 1 for paths in chosen.values()):
        raise InputError(
            f"{folder} holds images of several kinds, {_in_words(chosen)}; name the masks among "
            f"them with {{frame}}, as in {folder / 'mask_{frame:03d}.tif'}"
        )
    masks = [path for paths in chosen.values() for path in paths]
    others = {kind: paths for kind, paths in kinds.items() if kind not in chosen}
    if not others:
        return masks, ""
    return masks, f"{_in_words(chosen)} taken for masks, {_in_words(others)} left out"


def _speaks_of_masks(kind: str) -> bool:
    return _MASK_WORD.search(kind.rpartition(".")[0]) is not None


def _in_words(kinds: Mapping[str, Sequence[Path]]) -> str:
    some = [f"{len(paths)} as {paths[0].name}" for paths in kinds.values()]
    more = f" and {len(some) - _SHOWN} other kinds" if len(some) > _SHOWN else ""
    return ", ".join(some[:_SHOWN]) + more


def frame_numbers(paths: Sequence[Path]) -> list[int] | None:
    """Return the number in each name that changes from name to name; None if not just one does.

    Examples
    --------
    >>> frame_numbers([Path("xy2_t01.png"), Path("xy2_t10.png")])
    [1, 10]
    >>> frame_numbers([Path("xy1_t01.png"), Path("xy2_t02.png")]) is None
    True
    """
    numbers = [tuple(map(int, _DIGITS.findall(path.name))) for path in paths]
    if len({len(found) for found in numbers}) != 1:
        return None
    changing = [column for column in zip(*numbers, strict=True) if len(set(column)) > 1]
    return list(changing[0]) if len(changing) == 1 else None


def in_natural_order(paths: Iterable[Path]) -> list[Path]:
    """Sort by name, numbers by their value: mask_2 comes before mask_10."""

    def key(path: Path) -> tuple[list[tuple[int, str]], str]:
        parts = re.split(r"(\d+)", path.name)
        return [(int(part), "") if part.isdigit() else (-1, part) for part in parts], path.name

    return sorted(paths, key=key)
