"""What the records of many fields of view say: what was made, by what, and what was not."""

from __future__ import annotations

import copy
import json
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from pyama_core.errors import DamagedFileError
from pyama_core.io.frame_ranges import format_ranges
from pyama_core.io.storage.records import Provenance, Settings
from pyama_core.outputs import OutputKind
from pyama_core.processing.workflow.fov_state import FovState
from pyama_core.results.channels import ChannelNames
from pyama_core.results.fov_results import FovResults
from pyama_core.results.proof import MissingOutput

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

_OF_ENTRIES = ("checksum", "size", "shape", "dtype", "missing", "released", "not_made", "summary")


def readable_states(fovs: Iterable[FovResults]) -> Iterator[tuple[FovResults, FovState]]:
    """Yield fields of view whose records can be believed, with what these say."""
    for fov in fovs:
        try:
            state = fov.state
        except DamagedFileError:
            continue  # `missing_frame` says so
        yield fov, state


def missing_frame(fovs: Iterable[FovResults]) -> pd.DataFrame:
    """Return a row per output that was asked for and cannot be read."""
    import pandas as pd

    found = [asdict(missing) for fov in fovs for missing in fov.missing]
    return pd.DataFrame(found, columns=[field.name for field in fields(MissingOutput)])


def failures_frame(fovs: Iterable[FovResults]) -> pd.DataFrame:
    """Return a row per field of view that the last run could not finish."""
    import pandas as pd

    found = [
        {"fov": fov.number, "name": fov.name, **state.record.failure.model_dump()}
        for fov, state in readable_states(fovs)
        if state.record.failure is not None
    ]
    return pd.DataFrame(found, columns=["fov", "name", "step", "error"])


def common_parameters(fovs: Iterable[FovResults]) -> dict[str, dict[str, Any]]:
    """Return the parameters that the last run was asked for, of most fields of view."""
    counts: Counter[str] = Counter()
    settings: dict[str, Settings] = {}
    for _, state in readable_states(fovs):
        if (found := state.record.settings) is not None:
            text = json.dumps(found.params, sort_keys=True)
            counts[text] += 1
            settings[text] = found
    if len(counts) > 1:
        logger.warning(
            "FOVs were made with %d different sets of parameters; these are those of most of them, "
            "see provenance",
            len(counts),
        )
    return copy.deepcopy(settings[counts.most_common(1)[0][0]].params) if counts else {}


def provenance_frame(fovs: Iterable[FovResults], names: ChannelNames) -> pd.DataFrame:
    """Return a row per output on record."""
    import pandas as pd

    rows = [
        {
            "fov": fov.number,
            "output": name,
            "kind": entry.kind,
            "channel": names.of(entry.channel),
            "outdated": name in state.outdated,
            **entry.provenance.model_dump(),
            **entry.model_dump(include=set(_OF_ENTRIES)),
        }
        for fov, state in readable_states(fovs)
        for name, entry in sorted(state.record.outputs.items())
    ]
    columns = ["fov", "output", "kind", "channel", "outdated", *Provenance.model_fields]
    return pd.DataFrame(rows, columns=[*columns, *_OF_ENTRIES])


def warn_of_mixture(fovs: Iterable[FovResults], kind: OutputKind) -> None:
    """Say so if outputs of one kind were not all made in the same way."""
    made: dict[tuple[str, str], list[int]] = defaultdict(list)
    for fov, state in readable_states(fovs):
        for name, entry in state.record.outputs.items():
            if entry.kind == kind.name and name not in state.outdated:
                asked = state.record.settings
                made[entry.provenance.algorithm, "" if asked is None else _as_text(asked)].append(
                    fov.number
                )
    if len(made) > 1:
        logger.warning(
            "FOVs were not all made in the same way (%s); run again to make them alike, or choose "
            "some with fovs=",
            "; ".join(f"{format_ranges(numbers)} by {how[0]}" for how, numbers in made.items()),
        )


def _as_text(settings: Settings) -> str:
    return json.dumps(settings.params, sort_keys=True)
