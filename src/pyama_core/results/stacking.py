"""Tables of many fields of view as one, with the sample of each row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pyama_core.processing.workflow.samples.samples import Samples
from pyama_core.results.tables import KEYS, FovTables

if TYPE_CHECKING:
    import pandas as pd


def with_verdicts(tables: FovTables, *, good_only: bool = False) -> pd.DataFrame:
    """Return traces with the column ``good``, which is of the cell; unknown counts as not good."""
    traces = tables.traces
    verdicts = tables.cells.set_index("cell")["good"].reindex(traces["cell"])
    good = verdicts.fillna(False).to_numpy(bool)
    if good_only:
        traces, good = traces[good], good[good]
    judged = traces.copy(deep=False)
    judged.insert(len(KEYS), "good", good)
    return judged


def stack_tables(tables: Sequence[pd.DataFrame], samples: Samples) -> pd.DataFrame:
    """Put tables, at least one, below each other, with the sample of each row before the rest."""
    import pandas as pd

    stacked = pd.concat(tables, ignore_index=True)
    names = samples.all()
    number_of = {name: number for number, name in enumerate(names)}
    codes = np.array([number_of[samples.of(fov)] for fov in range(len(samples.names))], np.intp)
    rows = codes[stacked["fov"].to_numpy(np.intp)]
    of_each = pd.Categorical.from_codes(rows, categories=pd.Index(names))
    stacked.insert(0, "sample", pd.Series(of_each))
    return stacked


def samples_frame(samples: Samples) -> pd.DataFrame:
    """Return a row per field of view; columns that only have numbers become numbers."""
    import pandas as pd

    fovs = range(len(samples.names))
    frame = pd.DataFrame(
        {
            "fov": np.array(fovs, np.int32),
            "name": pd.Series(samples.names, dtype="str"),
            "sample": pd.Categorical([samples.of(fov) for fov in fovs], categories=samples.all()),
        }
    )
    for column, values in samples.further.items():
        frame[column] = _numbers_or_text([values.get(fov, "") for fov in fovs])
    return frame


def _numbers_or_text(values: list[str]) -> pd.Series[Any]:
    import pandas as pd

    text = pd.Series(values, dtype="str").replace("", None)
    try:
        return pd.to_numeric(text)
    except ValueError:
        return text
