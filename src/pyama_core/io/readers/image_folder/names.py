"""How the images in a folder are named: as the user says, as programs do, or in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pyama_core.errors import InputError
from pyama_core.io.readers.image_folder.listing import Listing, list_deeper, list_folder
from pyama_core.io.readers.image_folder.patterns import (
    MAX_DEPTH,
    FilePattern,
    compile_pattern,
    recognise_pattern,
)
from pyama_core.io.readers.image_folder.plain_names import Understanding, understand
from pyama_core.io.readers.image_folder.single_image import SeveralPlanesError, read_header
from pyama_core.io.readers.tiff.pages import UnreadablePlaneError

_EXAMPLE = 'say how, as in --pattern "{*}_{channel}_{fov}_{time}.tif"'
_HALF = 0.5
# Data sets have so many images; only to say that there are some deeper, a glance has to do.
_MOST_FILES, _GLANCE = 1_000_000, 2000


@dataclass(frozen=True)
class FolderNames:
    """The images of a folder, and how they are named.

    Attributes
    ----------
    listing : Listing
        What lies in the folder.
    pattern : FilePattern
        How the images are named.
    warnings : tuple of str
        What a user should know.
    """

    listing: Listing
    pattern: FilePattern
    warnings: tuple[str, ...] = ()


def understand_names(path: Path, pattern: str | None) -> FolderNames:
    """Find the images of a folder and how they are named.

    Parameters
    ----------
    path : Path
        The folder.
    pattern : str or None
        How the user says that they are named.

    Raises
    ------
    InputError
        If there are no images, or their names do not fit, are not known, or may mean several
        things.
    """
    if pattern is not None:
        return _as_told(path, pattern)
    listing = list_folder(path, MAX_DEPTH)
    found = _recognise(listing.images)
    if found is not None:
        return FolderNames(listing, found, _images_below(listing))
    if listing.unseen:
        listing = _everything(listing)
        found = _recognise(listing.images)
        if found is not None:
            deep = f"more than {MAX_DEPTH} folders deep, such as {listing.images[0]}"
            told = f"images were found only {deep}, and are read from there"
            return FolderNames(listing, found, (told,))
    if not listing.images:
        raise listing.none_found()
    raise _not_known(listing)


def _recognise(images: Sequence[str]) -> FilePattern | None:
    """Find out how images are named; None if that is not sure."""
    if not images:
        return None
    found = recognise_pattern(images, least=_HALF)
    if found is not None:
        return found
    plain = understand(images)
    if plain is not None and plain.sure:
        return plain.pattern
    return recognise_pattern(images) or _recognise_below(images)


def _recognise_below(images: Sequence[str]) -> FilePattern | None:
    """Find out how images are named in a folder that all of them lie in."""
    first, last = min(images).split("/")[:-1], max(images).split("/")[:-1]
    shared = [a for a, b in zip(first, last, strict=False) if a == b]
    for depth in range(1, len(shared) + 1):
        prefix = "/".join(first[:depth]) + "/"
        if not all(image.startswith(prefix) for image in images):
            return None
        found = recognise_pattern([image.removeprefix(prefix) for image in images], least=_HALF)
        if found is not None:
            return replace(found, prefix=prefix)
    return None


def _everything(listing: Listing) -> Listing:
    found, whole = list_deeper(listing, _MOST_FILES)
    if not whole:
        raise InputError(
            f"{listing.folder} holds more than {_MOST_FILES} files in folders more than "
            f"{MAX_DEPTH} deep; name the folder of the images."
        )
    return found


def _images_below(listing: Listing) -> tuple[str, ...]:
    """Warn of images that lie deeper than those that are read."""
    if not listing.unseen:
        return ()
    below = set(list_deeper(listing, _GLANCE)[0].images) - set(listing.images)
    if not below:
        return ()
    where = f"in folders more than {MAX_DEPTH} deep"
    return (f"there are images {where}, which are not read, such as {min(below)}",)


def _not_known(listing: Listing) -> InputError:
    """Return the error for names that are not known, with what they might mean."""
    example, proposal = listing.images[0], ""
    plain = understand(listing.images, all_alike=False)
    if plain is not None:
        example = next(name for name in listing.images if plain.pattern.parse(name) is not None)
        proposal = _proposal(listing, plain, example)
    if _is_stack(listing.folder / example):
        return InputError(
            f"{listing.folder} holds stacks of planes, such as {example}; give one of them in "
            "place of the folder."
        )
    named = f"holds images such as {example}, named in a way that is not known; {_EXAMPLE}."
    return InputError(f"{listing.folder} {proposal or named}")


def _proposal(listing: Listing, plain: Understanding, example: str) -> str:
    """Say what a name might mean, and what to type if it does; nothing if that cannot be typed."""
    title, meant = plain.pattern.title, plain.pattern.parse(example)
    if meant is None or compile_pattern(title).parse(example) != meant:
        return ""
    other = next((name for name in listing.images if plain.pattern.parse(name) is None), None)
    which = f"such as {example}, whose names may mean several things"
    if other is not None and plain.sure:
        which = f"named in several ways, such as {example} and {other}"
    typed = f'add --pattern "{title}"; otherwise say what it is in the same way'
    return f"holds images {which}. If {example} is {meant}, {typed}."


def _is_stack(path: Path) -> bool:
    try:
        read_header(path)
    except SeveralPlanesError:
        return True
    except (OSError, UnreadablePlaneError):
        return False
    return False


def _as_told(path: Path, text: str) -> FolderNames:
    """Find the images that are named as the user says."""
    pattern = compile_pattern(text)
    listing = list_folder(path, pattern.depth)
    if any(pattern.parse(image) is not None for image in listing.images):
        return FolderNames(listing, pattern)
    if listing.unseen:
        listing = _everything(listing)
    if not listing.images:
        raise listing.none_found()
    by_depth = {image.count("/"): image for image in reversed(listing.images)}
    for depth, image in by_depth.items():
        # The pattern may be right, but for the folders that the images lie in.
        deeper = "{*}/" * (depth - pattern.depth) + text
        if depth > pattern.depth and compile_pattern(deeper).parse(image) is not None:
            raise InputError(
                f"{path} has no image that fits the pattern {text!r} itself, but folders below it "
                f'have, such as {image}; say --pattern "{deeper}", with {{fov}} or {{channel}} in '
                "place of {*} where a folder is one."
            )
    raise InputError(
        f"{path} holds images such as {listing.images[0]}, none of which fits the pattern "
        f"{text!r}; {_EXAMPLE}."
    )
