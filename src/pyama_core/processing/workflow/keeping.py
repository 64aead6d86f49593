"""What a run keeps of the stacks that it makes; the rest is released FOV by FOV.

It is no parameter of a step: bytes, provenance and settings are the same whatever is kept, so a
change computes nothing again. What was released stands in the records, output by output; what was
asked to be kept is nowhere on record, and counts for the run that is told so.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from pyama_core.errors import InputError, PyamaError
from pyama_core.outputs import Output, OutputKind, all_kinds, kind_named
from pyama_core.processing.workflow.graph import declarations
from pyama_core.processing.workflow.release import LABELS, needed_still
from pyama_core.processing.workflow.services.base import BaseProcessingService
from pyama_core.processing.workflow.services.job import FovJob

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Keep:
    """Which kinds of output stay on disk when a field of view is done.

    Attributes
    ----------
    kinds : frozenset of str or None
        Names of kinds out of those that can be released; None is all of them.
    """

    kinds: frozenset[str] | None = None

    def __str__(self) -> str:
        kept = [kind.name for kind in all_kinds() if kind.releasable and self.has(kind)]
        return ", ".join(["tables", *kept])

    def with_kinds(self, kinds: Iterable[str]) -> Keep:
        """Return what keeps some kinds as well."""
        return self if self.kinds is None else Keep(self.kinds.union(kinds))

    def has(self, kind: OutputKind) -> bool:
        """Whether outputs of a kind stay; those that cannot be released always do."""
        return not kind.releasable or self.kinds is None or kind.name in self.kinds


KEEP_ALL = Keep()
CHOICES: Mapping[str, Keep] = MappingProxyType(
    {
        "all": KEEP_ALL,
        "labels": Keep(frozenset(LABELS)),
        "traces": Keep(frozenset()),
    }
)
"""What can be kept by one word, from the most to the least."""


def parse_keep(words: str | Sequence[str]) -> Keep:
    """Read what is to be kept: a word of `CHOICES`, or kinds, separated by commas or as a list.

    Raises
    ------
    InputError
        A kind is unknown or cannot be released, or there is none.

    Examples
    --------
    >>> sorted(parse_keep("labels, fl_corrected").kinds)
    ['fl_corrected', 'nuclei', 'seg_labeled']
    """
    given = words.split(",") if isinstance(words, str) else list(words)
    chosen = [word.strip() for word in given]
    known = [kind.name for kind in all_kinds() if kind.releasable]
    wrong = next((word for word in chosen if word not in (*CHOICES, *known)), None)
    if wrong is None and chosen:
        keeps = [CHOICES.get(word, Keep(frozenset({word}))).kinds for word in chosen]
        kinds = [kept for kept in keeps if kept is not None]
        return Keep(frozenset().union(*kinds)) if len(kinds) == len(keeps) else KEEP_ALL
    kind = None if wrong is None else kind_named(wrong)
    always = "; tables are always kept" if kind is not None else ""
    raise InputError(
        f"expected {', '.join(CHOICES)}, or kinds out of {', '.join(known)}, "
        f"found {words if wrong is None else wrong!r}{always}"
    )


def release_rest(
    services: Sequence[BaseProcessingService], job: FovJob, keep: Keep, *, failed: bool = False
) -> None:
    """Release what is not kept of the outputs that were asked for; say so, or why not.

    What an output is made from that is not there yet is left alone, unless the field of view
    failed, and this run will make nothing more of it: it must not take the room of the others.

    Parameters
    ----------
    services : sequence of BaseProcessingService
        All services, the copying included.
    job : FovJob
        The field of view, with its lock.
    keep : Keep
        What stays.
    failed : bool
        Whether work on it has ended without all outputs.
    """
    if keep == KEEP_ALL:
        return
    needed = set() if failed else needed_still(services, job)
    outputs = (each.output for each in declarations(job.analysis))
    release_outputs(
        job, [each for each in outputs if each not in needed and not keep.has(each.kind)]
    )


def release_outputs(job: FovJob, outputs: Iterable[Output]) -> None:
    """Release outputs, as far as they are on record; say so, or why not."""
    sizes = []
    try:
        for output in outputs:
            found = job.folder.record.find(output)
            if found is not None and job.folder.release(found[0]):
                sizes.append(found[1].size)
    except PyamaError as error:
        # It is done all the same; the next run releases what is left.
        logger.warning("FOV %d: not all is released that is not kept: %s", job.fov, error)
    if sizes:
        logger.info("FOV %d: released %d files, %.2f GB", job.fov, len(sizes), sum(sizes) / 1e9)
