"""YAML that can be neither code nor a bomb."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from pyama_core.io.errors import InputError
from pyama_core.io.regular_files import open_regular

_MAX_SIZE = 1 << 20
_SHOWN = 60
_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _PlainLoader(yaml.SafeLoader):
    """Refuses aliases, by which a few lines can stand for gigabytes."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not allowed")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Refuse a key that stands twice, of which YAML would silently take the last."""
        seen: set[str] = set()
        for key in (key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key in seen:
                raise yaml.YAMLError(f"the key {key[:_SHOWN]!r} stands twice")
            seen.add(key)
        return super().construct_mapping(node, deep)


def load_yaml(path: Path) -> Any:
    """Read a small YAML file of plain data, written by a person.

    Raises
    ------
    InputError
        It cannot be read, is over 1 MB, is not YAML, or has tags or aliases.
    """
    try:
        with open_regular(path) as file:
            content = file.read(_MAX_SIZE + 1)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    if len(content) > _MAX_SIZE:
        raise InputError(f"{path}: expected at most 1 MB of settings, found a larger file")
    try:
        return yaml.load(content.decode(), Loader=_PlainLoader)  # noqa: S506
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # ValueError: not UTF-8, a date with a 13th month, a number of thousands of digits.
        reason = " ".join(str(error).split())
        raise InputError(f"{path} is not valid YAML: {reason}") from error


def dump_yaml(value: object) -> str:
    """Write plain data as YAML, in the order given, short lists on one line."""
    text: str = yaml.dump(
        value,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=None,
        width=120,
    )
    return text
