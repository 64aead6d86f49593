"""YAML that can be neither code nor a bomb."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from pyama_core.errors import InputError, reason_of
from pyama_core.io.regular_files import open_regular

_MAX_SIZE = 1 << 20
_SHOWN = 60
_TAKEN_FOR = tuple(f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "bool", "timestamp"))
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


def load_yaml(path: Path, words: Iterable[Sequence[str]] = ()) -> Any:
    """Read a small YAML file of plain data, written by a person.

    Parameters
    ----------
    path : Path
        The file.
    words : iterable of sequences of str
        Keys, from the outermost to the innermost, of values that are words: what stands there is
        text as it stands, even where YAML takes it for something else, such as ``01`` or ``no``.

    Raises
    ------
    InputError
        It cannot be read, is over 1 MB, is not YAML, or has tags or aliases.
    """
    try:
        with open_regular(path) as file:
            content = file.read(_MAX_SIZE + 1)
    except OSError as error:
        raise InputError(f"cannot read {path}: {reason_of(error, path)}") from error
    if len(content) > _MAX_SIZE:
        raise InputError(f"{path}: expected at most 1 MB of settings, found a larger file")
    try:
        return _parse(content.decode(), words)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # ValueError: not UTF-8, a date with a 13th month, a number of thousands of digits.
        reason = " ".join(str(error).split())
        raise InputError(f"{path} is not valid YAML: {reason}") from error


def _parse(text: str, words: Iterable[Sequence[str]]) -> Any:
    loader = _PlainLoader(text)
    try:
        node = loader.get_single_node()
        for keys in words:
            _keep_as_text(node, keys)
        return None if node is None else loader.construct_document(node)
    finally:
        loader.dispose()


def _keep_as_text(node: yaml.Node | None, keys: Sequence[str]) -> None:
    """Make text of all that stands under some keys, and of keys there; what is empty stays so."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if not keys:
                _keep_as_text(key, keys)
            if not keys or key.value == keys[0]:
                _keep_as_text(value, keys[1:])
    elif isinstance(node, yaml.SequenceNode) and not keys:
        for value in node.value:
            _keep_as_text(value, keys)
    elif isinstance(node, yaml.ScalarNode) and not keys and node.tag in _TAKEN_FOR:
        node.tag = "tag:yaml.org,2002:str"


def dump_yaml(value: object) -> str:
    """Write plain data as YAML, in the order given, short lists on one line."""
    try:
        return _dump(value, _Dumper)
    except UnicodeEncodeError:
        # The fast dumper refuses what is in a file name and is no text; the other escapes it.
        return _dump(value, yaml.SafeDumper)


def _dump(value: object, dumper: type[yaml.SafeDumper]) -> str:
    text: str = yaml.dump(
        value,
        Dumper=dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=None,
        width=120,
    )
    return text
