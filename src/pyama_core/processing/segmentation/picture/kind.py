"""The kind of picture that a channel shows: what its cells look like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from pyama_core.processing.segmentation.picture.contrast import SMALLEST_SIDE, Contrast, middle_of


class PictureKind(StrEnum):
    """What the cells of a channel look like."""

    ADHERENT = "adherent cells in phase contrast"
    BRIGHT = "bright objects"
    DARK = "dark objects"
    UNSURE = "unsure"


METHODS = {
    PictureKind.ADHERENT: "instances",
    PictureKind.BRIGHT: "bright",
    PictureKind.DARK: "dark",
}
"""The segmentation of each kind."""

_LEAST_COVERED, _MOST_COVERED = 0.004, 0.6
_LEAST_FRAMES = 0.34  # of those looked at must show anything
_MOST_OTHERS = 0.25  # of those that show anything may speak against the kind
_BRIGHT_SHARE, _BRIGHT_RATIO = 0.9, 2.5
_DARK_SHARE, _DARK_RATIO = 0.06, 0.25
_DARK_IN_CROWDS = 0.6, 0.3  # ratio, share of pixels
_BOTH_SHARES, _BOTH_RATIOS = (0.12, 0.66), (0.4, 2.2)
_NOT_BRIGHT, _NOT_DARK = 0.75, 0.25
_LEAST_SHARP = 0.45  # below, contrast is as smooth as uneven illumination
_MOST_DISAGREEMENT = 0.2  # between shares measured at two scales
_MOST_UNEVEN = {PictureKind.ADHERENT: 1.6, PictureKind.BRIGHT: 7.0, PictureKind.DARK: 7.0}
# An edge of the light has a bright side and a dark one, as cells in phase contrast have.
_IN_ONE, _SPANS, _SPARSE = 0.6, 0.6, 0.3  # part in one piece, which spans the frame, of little


@dataclass(frozen=True)
class Picture:
    """What a channel shows, as far as some of its frames tell.

    Attributes
    ----------
    kind : PictureKind
        The kind, or that the frames do not tell.
    likely : PictureKind
        The kind, or where it is not sure the one that is nearest.
    reason : str
        Why, in words.
    contrast : Contrast
        Middle of the frames that show anything.
    n_frames, n_telling : int
        Frames looked at, and those of them that show anything.
    """

    kind: PictureKind
    likely: PictureKind
    reason: str
    contrast: Contrast
    n_frames: int
    n_telling: int

    @property
    def is_sure(self) -> bool:
        """Whether the frames tell the kind."""
        return self.kind is not PictureKind.UNSURE

    @property
    def method(self) -> str:
        """Name of the segmentation that suits the likely kind."""
        return METHODS[self.likely]

    def __str__(self) -> str:
        told = str(self.kind) if self.is_sure else f"unsure, perhaps {self.likely}"
        return f"{told}: {self.reason}"


def judge_picture(frames: Sequence[Contrast], *, is_fluorescence: bool = False) -> Picture:
    """Tell what a channel shows.

    Bright objects are only ever brighter than what is around them, dark ones darker; cells in
    phase contrast are both, and their brightest parts reach about as far as their darkest. Where
    the two figures contradict each other, or the frames each other, where cells cover most of a
    frame or nothing stands out of the noise, the kind is not sure.

    Parameters
    ----------
    frames
        Contrast of frames from the whole movie and several fields of view.
    is_fluorescence
        Whether the file says that the channel is fluorescence, which phase contrast is not.
    """
    telling = [each for each in frames if each.covered >= _LEAST_COVERED]
    contrast = middle_of(telling or [Contrast()])
    likely = _nearest(contrast, is_fluorescence)
    kind = _kind_of(contrast)
    if len(telling) <= _LEAST_FRAMES * len(frames):
        doubt = _too_little(len(telling), len(frames))
    elif contrast.covered > _MOST_COVERED:
        doubt = f"cells cover {contrast.covered:.0%} of the frame, so that no background is seen"
    elif kind is PictureKind.UNSURE:
        doubt = "which is between the kinds"
    elif _share_against(telling, kind) > _MOST_OTHERS:
        doubt = "but frames differ"
    elif kind is not PictureKind.BRIGHT and is_fluorescence:
        looks = "in phase contrast" if kind is PictureKind.ADHERENT else "of dark objects"
        doubt = f"as {looks}, but the channel is fluorescence by its name or emission"
    else:
        doubt = _may_be_illumination(contrast, kind)
    return Picture(
        PictureKind.UNSURE if doubt else kind,
        likely,
        _in_words(contrast, len(telling), doubt) if telling else doubt,
        contrast,
        len(frames),
        len(telling),
    )


def _may_be_illumination(seen: Contrast, kind: PictureKind) -> str:
    """Return why contrast may be that of an unevenly lit frame, and not of cells."""
    if seen.sharpness < _LEAST_SHARP:
        return "but it is as smooth as uneven illumination, not as cells are"
    if seen.disagreement > _MOST_DISAGREEMENT:
        return "but to nearer surroundings it is another share, as under uneven illumination"
    if seen.unevenness > _MOST_UNEVEN[kind]:
        return (
            f"but the background differs {seen.unevenness:.1f} times as far as what stands out of "
            "it, as under steep illumination"
        )
    if seen.largest > _IN_ONE and seen.span > _SPANS and seen.covered < _SPARSE:
        return "but most of it is in one piece across the frame, as of a field stop or a shadow"
    return ""


def _too_little(n_telling: int, n_frames: int) -> str:
    if not n_frames:
        return "no frame could be read"
    return (
        f"only {n_telling} of {n_frames} frames show anything beyond noise (those under "
        f"{SMALLEST_SIDE} pixels are too small to tell)"
    )


def _kind_of(seen: Contrast) -> PictureKind:
    share, ratio = seen.bright_share, seen.reach_ratio
    if share >= _BRIGHT_SHARE and ratio >= _BRIGHT_RATIO:
        return PictureKind.BRIGHT
    crowded_ratio, crowded = _DARK_IN_CROWDS
    in_crowds = ratio <= crowded_ratio and seen.covered >= crowded
    if share <= _DARK_SHARE and (ratio <= _DARK_RATIO or in_crowds):
        return PictureKind.DARK
    lowest, highest = _BOTH_SHARES
    if lowest <= share <= highest and _BOTH_RATIOS[0] <= ratio <= _BOTH_RATIOS[1]:
        return PictureKind.ADHERENT
    return PictureKind.UNSURE


def _nearest(seen: Contrast, is_fluorescence: bool) -> PictureKind:
    if seen.bright_share > (_BOTH_SHARES[1] + _BRIGHT_SHARE) / 2 or is_fluorescence:
        return PictureKind.BRIGHT
    if seen.bright_share < (_BOTH_SHARES[0] + _DARK_SHARE) / 2:
        return PictureKind.DARK
    # Single bright cells that fill the frame have contrast of both signs, but reach far up.
    return PictureKind.BRIGHT if seen.reach_ratio > _BRIGHT_RATIO else PictureKind.ADHERENT


def _share_against(frames: Sequence[Contrast], kind: PictureKind) -> float:
    """Return the share of frames that speak against a kind."""
    shares = [each.bright_share for each in frames]
    if kind is PictureKind.BRIGHT:
        against = sum(share < _NOT_BRIGHT for share in shares)
    elif kind is PictureKind.DARK:
        against = sum(share > _NOT_DARK for share in shares)
    else:
        against = sum(not _DARK_SHARE <= share <= _BRIGHT_SHARE for share in shares)
    return against / len(shares)


def _in_words(seen: Contrast, n_telling: int, doubt: str) -> str:
    ratio = f"{seen.reach_ratio:.2g}" if seen.reach_ratio < 100 else "over 100"
    told = (
        f"{seen.bright_share:.0%} of the contrast is brighter than its surroundings, the brightest "
        f"reach {ratio} times as far as the darkest ({n_telling} frame{'s' * (n_telling != 1)})"
    )
    return f"{told}, {doubt}" if doubt else told
