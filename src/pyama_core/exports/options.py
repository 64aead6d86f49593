"""What can be asked of the forms, beside which part of the results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from pyama_core.errors import InputError

Layout = Literal["long", "wide", "both"]
TimeColumn = Literal["h", "min", "frame"]


class Options(BaseModel):
    """What can be asked of a form; of most, nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def read(cls, form: str, given: Mapping[str, Any]) -> Self:
        """Return validated options.

        Parameters
        ----------
        form : str
            Name of the form, for messages.
        given : mapping
            Options by name; those that are None were not given.

        Raises
        ------
        InputError
            The form has no such option, or it has another value.
        """
        known = {name: value for name, value in given.items() if value is not None}
        if unknown := known.keys() - cls.model_fields.keys():
            name = min(unknown)
            raise InputError(f"exporting {form} has no option {name!r} (--{name})")
        try:
            return cls(**known)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise InputError(f"{place}: {first['msg']}, found {first['input']!r}") from error


class FeatureOptions(Options):
    """Of what holds measurements.

    Attributes
    ----------
    features : tuple of str, optional
        Only these measurements: columns such as ``area`` or ``intensity_total_GFP``, or
        ``intensity_total`` for that of all channels.
    """

    features: tuple[str, ...] | None = None


class TableOptions(FeatureOptions):
    """Of tables.

    Attributes
    ----------
    layout : str
        ``long``: a row per cell and frame; ``wide``: a table per sample and feature, with a column
        per cell; or both.
    time : str
        What is in the first column of wide tables: hours, minutes or the number of the frame.
    """

    layout: Layout = "both"
    time: TimeColumn = "h"


class TextTableOptions(TableOptions):
    """Of tables as text.

    Attributes
    ----------
    decimal : str
        ``point``: numbers such as 0.5, columns separated by commas; ``comma``: numbers such as 0,5,
        columns separated by semicolons, as spreadsheets of many countries expect.
    """

    decimal: Literal["point", "comma"] = "point"


class WorkbookOptions(TableOptions):
    """Of a workbook, which holds much less than other forms."""

    layout: Layout = "long"
