"""The configuration file: what the flags hold, and all parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveInt,
    StrictStr,
)

from pyama_core.errors import InputError
from pyama_core.io.paths import not_empty
from pyama_core.io.readers.frame_source import ReadOptions
from pyama_core.io.yaml_files import load_yaml
from pyama_core.processing.workflow.keeping import parse_keep
from pyama_core.processing.workflow.services.analysis import default_segmentation
from pyama_core.processing.workflow.services.parameters import (
    ParameterError,
    StepParameters,
    validate_sections,
)
from pyama_core.processing.workflow.services.types import Channels

_WORDS = (("channels",), ("fovs",), ("tracking", "brightness_channel"), ("samples",))
"""What a person means by `01` or `no` there is for the names in the file to say, not for YAML."""


def _as_word(value: object) -> object:
    return str(value) if type(value) is int else value


Word = Annotated[StrictStr, BeforeValidator(_as_word)]
PathText = Annotated[str, AfterValidator(not_empty)]


def _parse_numbering(word: str) -> str | int | None:
    try:
        numbering = ReadOptions.parse({"numbering": word}).numbering
    except InputError as error:
        raise ValueError("expected auto, order or how far frames are apart") from error
    return None if numbering == "auto" else numbering


def _known_keep(words: str | list[str]) -> str | list[str]:
    parse_keep(words)
    return words


class ChannelWords(BaseModel):
    """Channels by name or number."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pc: Word | None = Field(default=None, description="phase contrast, which is segmented")
    segment: Word | None = Field(
        default=None,
        description="the channel that is segmented in place of phase contrast; may be one of fl",
    )
    fl: list[Word] = Field(default=[], description="fluorescence, which is measured")
    nuclei: Word | None = Field(
        default=None,
        description="shows nuclei, by which segmentation (instances) separates cells, and which "
        "are measured apart where extraction.features asks for compartments",
    )


class RunConfig(StepParameters):
    """Everything that a run can be told."""

    file: PathText | None = Field(default=None, description="microscope file")
    output: PathText | None = Field(default=None, description="folder for all outputs")
    channels: ChannelWords = Field(
        default=ChannelWords(),
        description="by name, or by number from 0; name:2 and index:2 where a name is a number",
    )
    fovs: Word | list[Word] = Field(
        default="all",
        description="FOVs, by number or name, such as 0-3,7 or A1,B2; or all",
    )
    samples: PathText | dict[str, Any] | None = Field(
        default=None,
        description="conditions and the FOVs of each, such as {control: 0-9, drug: A2,A3}, or a "
        "table of them (CSV); pyama samples changes them later",
    )
    batch_size: PositiveInt | None = Field(
        default=None, description="FOVs that are copied at a time; empty: as many as workers"
    )
    workers: PositiveInt | None = Field(
        default=None, description="processes that work; empty: one per processor"
    )
    keep: Annotated[StrictStr | list[StrictStr], AfterValidator(_known_keep)] = Field(
        default="all",
        description="stacks that stay when a FOV is done: all; labels; traces, which is tables "
        "alone; or kinds such as [seg_labeled, fl_corrected]; the rest is released",
    )
    axes: str | None = Field(
        default=None, description="axes of a plain TIFF stack, slowest first, such as TCYX"
    )
    sizes: StrictStr | PositiveInt | list[PositiveInt] | None = Field(
        default=None, description="sizes of axes but Y and X, such as 10,3, where no file says them"
    )
    pattern: str | None = Field(
        default=None,
        description="how images in a folder are named, such as '{*}_{channel}_{fov}_{time}.tif'",
    )
    outside: bool = Field(
        default=False, description="also read files that FILE names outside of its own folder"
    )
    numbering: Annotated[Word, AfterValidator(_parse_numbering)] | None = Field(
        default=None,
        description="frame numbers in names of images; empty: those that jump are gaps; order: no "
        "gaps; or how far frames are apart in numbers",
    )
    strict: bool = Field(
        default=False,
        description="stop when the first position contradicts what was assumed of the cells (their "
        "size, what the channel shows, that any are good); what is done stays",
    )
    check: bool = Field(
        default=False, description="compare what is there with its checksums before believing it"
    )


def load_config(
    path: Path | None,
    overrides: dict[str, Any],
    flags: Mapping[tuple[str, ...], str] = MappingProxyType({}),
) -> RunConfig:
    """Read a configuration and put what flags say over it.

    Relative paths of files that steps read start from its folder, or the current one without it;
    the texts of `file` and `output` stay as they are.

    Parameters
    ----------
    path : Path or None
        YAML file.
    overrides : dict
        Nested values that win over the file's.
    flags : mapping of tuple of str to str
        The flag that each of them was typed with, by its keys, to be named if it is wrong.

    Raises
    ------
    InputError
        The file cannot be read, or something in it is unknown or out of bounds.
    """
    content = {} if path is None else load_yaml(path, _WORDS)
    if content is None:
        content = {}
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected keys and values, found {type(content).__name__}")
    # A key without a value, such as a section whose lines are all comments, is its default.
    content = {key: value for key, value in content.items() if value is not None}
    base = None if path is None else path.parent
    try:
        merged = _merged(content, overrides)
        return validate_sections(RunConfig, merged, base, _default_segmentation(merged))
    except ParameterError as error:
        raise InputError(_blame(error, path, overrides, flags)) from error


def _default_segmentation(content: Mapping[str, Any]) -> str:
    channels = content.get("channels")
    known = channels if isinstance(channels, Mapping) else {}
    return default_segmentation(Channels(pc=known.get("pc"), segment=known.get("segment")))


def _blame(
    error: ParameterError,
    path: Path | None,
    overrides: dict[str, Any],
    flags: Mapping[tuple[str, ...], str],
) -> str:
    """Say who gave a wrong value: the flag that was typed, otherwise the file."""
    flag = flags.get(error.place)
    if flag is not None:
        as_key = flag.removeprefix("--").replace("-", "_")
        key = "" if as_key == error.place[-1] else f" ({'.'.join(error.place)})"
        return f"{flag}{key}: {error.reason}"
    method = flags.get((error.place[0], "method"))
    typed = f" (with {method} {overrides[error.place[0]]['method']})" if method else ""
    return f"{error}{typed}" if path is None else f"{path}: {error}{typed}"


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        known = merged.get(key)
        if isinstance(value, dict) and (known is None or isinstance(known, dict)):
            merged[key] = _merged(known or {}, value)
        else:
            merged[key] = value
    return merged


def commented_yaml(config: RunConfig) -> str:
    """Write a configuration as YAML with a comment on every key."""
    lines = [
        "# Configuration of pyama run; flags win over what stands here.",
        "# Values that you do not want to change can be left out.",
        "",
    ]
    sections = set(StepParameters.model_fields)
    order = [name for name in type(config).model_fields if name not in sections]
    for name in [*order, *StepParameters.model_fields]:
        lines += _commented(name, getattr(config, name), type(config).model_fields[name], "")
    return "\n".join([*lines, ""])


def _commented(name: str, value: Any, field: Any, indent: str) -> Iterator[str]:
    if field.description:
        yield f"{indent}# {field.description}"
    if isinstance(value, BaseModel):
        yield f"{indent}{name}:"
        for key, inner in type(value).model_fields.items():
            yield from _commented(key, getattr(value, key), inner, indent + "  ")
        yield ""
    else:
        text = yaml.safe_dump(
            str(value) if isinstance(value, Path) else value,
            default_flow_style=True,
            allow_unicode=True,
            width=1000,
            sort_keys=False,
        )
        plain = text.removesuffix("...\n").rstrip("\n")
        yield f"{indent}{name}: {plain}"
