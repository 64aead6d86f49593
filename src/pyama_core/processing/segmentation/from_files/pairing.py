"""Which file has the masks of which frame.

Pairing by mere order would shift all frames behind a mask that is lost or one too many, and take
the raw images that lie in the same folder for masks. So counts must match, or the numbers in the
names must tell the frames, and names that are not those of masks are left out.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pyama_core.errors import InputError
from pyama_core.io.regular_files import found_instead, require_regular
from pyama_core.processing.segmentation.from_files.mask_names import (
    IMAGE_ENDINGS,
    choose_masks,
    frame_numbers,
    in_natural_order,
)

_FRAME_FIELD = re.compile(r"\{frame[:!}]")


@dataclass(frozen=True)
class MaskFiles:
    """The files with the masks of one field of view.

    Attributes
    ----------
    path : Path
        What the parameter leads to: a stack, a folder, or the image of the first frame.
    frames : mapping of int to Path
        File of each frame that has one; empty for a stack.
    is_stack : bool
        Whether all frames are in one file.
    note : str
        How the names in a folder were understood, where others might think otherwise.
    """

    path: Path
    frames: Mapping[int, Path] = field(default_factory=dict)
    is_stack: bool = False
    note: str = ""


def find_masks(template: str, fov: int, n_frames: int | None = None) -> MaskFiles:
    """Find the masks of a field of view.

    A path with `{frame}` names one image per frame. A folder holds one image per frame; the
    numbers in their names tell the frames, if each name has one that changes. Anything else is a
    stack.

    Parameters
    ----------
    template
        The path, with `{fov}` and `{frame}` where the numbers belong.
    fov
        Number of the field of view.
    n_frames
        How many frames it has; if that is not known, the images of a folder count as all.

    Raises
    ------
    InputError
        There are none, or they cannot be the masks of the frames; says what is paired with what.
    """
    path = filled(template, fov, 0)
    if _FRAME_FIELD.search(template):
        return _by_template(template, fov, n_frames)
    if path.is_dir():
        return _in_folder(path, n_frames)
    require_masks(path)
    return MaskFiles(path, is_stack=True)


def require_masks(path: Path) -> None:
    """Make sure that a file with masks is there.

    Raises
    ------
    InputError
        It is not, or is no regular file of a known kind.
    """
    try:
        require_regular(path)
    except OSError as error:
        raise InputError(
            f"expected masks in {path}, found {found_instead(error)}; correct segmentation.path"
        ) from error
    if path.suffix.lower() not in IMAGE_ENDINGS:
        raise InputError(
            f"expected masks in a file of {', '.join(IMAGE_ENDINGS)}, found {path}; convert it"
        )


def filled(template: str, fov: int, t: int) -> Path:
    """Return a path with the numbers filled in.

    Raises
    ------
    InputError
        It has other fields in braces.
    """
    try:
        return Path(template.format(fov=fov, frame=t))
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise InputError(
            "expected a path with no fields in braces but {fov} and {frame}, found "
            f"{template}; write a brace that is part of a name twice"
        ) from error


def _by_template(template: str, fov: int, n_frames: int | None) -> MaskFiles:
    counted = range(n_frames) if n_frames is not None else itertools.count()
    frames: dict[int, Path] = {}
    for t in counted:
        path = filled(template, fov, t)
        if path.is_file():
            frames[t] = path
        elif n_frames is None:
            break
    first = filled(template, fov, 0)
    if not frames:
        raise InputError(f"expected masks in {first} and so on, found none of them")
    beyond = None if n_frames is None else filled(template, fov, n_frames)
    if beyond is not None and beyond.is_file():
        if first not in frames.values():
            raise InputError(
                f"{first} is not there, and {beyond} is one more than the {n_frames} frames: they "
                "seem to be numbered from 1; leave {frame} out and give their folder"
            )
        return MaskFiles(first, frames, note=f"there are more than {n_frames}, as {beyond.name}")
    return MaskFiles(first, frames)


def _in_folder(folder: Path, n_frames: int | None) -> MaskFiles:
    images = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_ENDINGS and not path.name.startswith(".")
    ]
    if not images:
        raise InputError(f"{folder}: expected an image for each frame there, found none")
    chosen, note = choose_masks(folder, images)
    return MaskFiles(folder, _pair(folder, chosen, n_frames), note=note)


def _pair(folder: Path, images: Sequence[Path], n_frames: int | None) -> dict[int, Path]:
    """Give each image its frame."""
    numbers = frame_numbers(images)
    if numbers is None:
        ordered = in_natural_order(images)
        if n_frames not in (None, len(ordered)):
            raise _mismatch(folder, ordered, n_frames)
        return dict(enumerate(ordered))
    by_number: dict[int, Path] = {}
    for number, path in zip(numbers, images, strict=True):
        if number in by_number:
            raise InputError(
                f"{folder}: {by_number[number].name} and {path.name} have the same number; "
                "expected one mask for each frame"
            )
        by_number[number] = path
    ordered = [by_number[number] for number in sorted(by_number)]
    steps = {after - before for before, after in itertools.pairwise(sorted(by_number))}
    if n_frames is None or (len(ordered) == n_frames and len(steps) <= 1):
        return dict(enumerate(ordered))
    first = _first_number(sorted(by_number), n_frames)
    if first is None:
        raise _mismatch(folder, ordered, n_frames, sorted(by_number))
    return {number - first: path for number, path in by_number.items()}


def _first_number(numbers: Sequence[int], n_frames: int) -> int | None:
    """Return the number that the first frame has, 0 or 1; None if the numbers do not tell."""
    for first in (0, 1):
        # The frame at the end where the other way of counting has none settles it.
        settled = numbers[0] == 0 if first == 0 else numbers[-1] == n_frames
        if settled and first <= numbers[0] and numbers[-1] < first + n_frames:
            return first
    return None


def _mismatch(
    folder: Path,
    ordered: Sequence[Path],
    n_frames: int | None,
    numbers: Sequence[int] | None = None,
) -> InputError:
    """Say what would be paired with what, the place where that goes wrong included."""
    shown = {0, 1, len(ordered) - 1}
    why = ""
    if numbers is not None:
        steps = [after - before for before, after in itertools.pairwise(numbers)]
        jump = next((i for i, step in enumerate(steps) if step != min(steps)), None)
        if jump is not None:
            shown |= {jump, jump + 1}
            why = f", and a number is left out after {ordered[jump].name}"
    pairs = []
    for before, index in itertools.pairwise([-1, *sorted(i for i in shown if i < len(ordered))]):
        gap = "… " if index > before + 1 else ""
        pairs.append(f"{gap}frame {index}: {ordered[index].name}")
    return InputError(
        f"{folder}: {len(ordered)} images for {n_frames} frames{why}; in order they would be "
        f"{', '.join(pairs)}. Keep one mask for each frame there, or name them with {{frame}}"
    )


def lacking(masks: MaskFiles, n_frames: int) -> list[int]:
    """Return the frames that have no mask."""
    return [] if masks.is_stack else [t for t in range(n_frames) if t not in masks.frames]
