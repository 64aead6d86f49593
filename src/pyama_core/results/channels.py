"""What channels are called in tables: by their names in the file, never two by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ChannelNames:
    """Names of channels by number.

    Attributes
    ----------
    names : tuple of str
        As the file gives them; empty where they are not known.
    """

    names: tuple[str, ...] = ()

    def of(self, channel: int) -> str:
        """Return the name of a channel: its own, or ``ch_1`` where that is empty or not unique.

        Examples
        --------
        >>> names = ChannelNames(("Phase", "GFP", "GFP", ""))
        >>> [names.of(channel) for channel in range(5)]
        ['Phase', 'GFP_ch_1', 'GFP_ch_2', 'ch_3', 'ch_4']
        """
        name = self.names[channel].strip() if channel < len(self.names) else ""
        if not name:
            return f"ch_{channel}"
        same = Counter(other.strip() for other in self.names)[name]
        return name if same == 1 else f"{name}_ch_{channel}"

    def of_each(self, channels: Iterable[int]) -> Sequence[str]:
        """Return the names of several channels."""
        return [self.of(channel) for channel in channels]
