"""Base names that outputs of any system can be named after."""

from __future__ import annotations

import os
import re

from pyama_core.errors import InputError
from pyama_core.io.checksums import new_hasher

APPLE_DOUBLE = "._"
"""What macOS puts before the names of files of its own on drives of others."""

_NO_TEXT = re.compile("[\ud800-\udfff\0/\\\\:]")
_LONGEST_BASE = 211
"""With what follows, and a temporary name around it, no file system's 255 bytes are exceeded."""
_KEPT_OF_LONG = 190


def portable_base_name(name: str) -> str:
    """Return a base name of outputs that can be written as text, and by which they can be found.

    Bytes of a name that are no UTF-8, and characters that separate names on some system, become
    ``%`` and two digits, as in URLs; of a name too long to be lengthened, the rest becomes a
    checksum. Any other name stays as it is.

    Examples
    --------
    >>> portable_base_name("Übung 1 (100%)"), portable_base_name("12:30")
    ('Übung 1 (100%)', '12%3A30')
    >>> portable_base_name("movie " * 50)[-16:]
    'ie movi~b3ef37e8'
    """
    text = _NO_TEXT.sub(lambda match: _escaped(match[0]), name) or "unnamed"
    text = re.sub(r"^\._|^\.{1,2}$", lambda match: match[0].replace(".", "%2E"), text)
    content = text.encode()
    if len(content) <= _LONGEST_BASE:
        return text
    hasher = new_hasher()
    hasher.update(content)
    return f"{content[:_KEPT_OF_LONG].decode(errors='ignore')}~{hasher.hexdigest()[:8]}"


def _escaped(character: str) -> str:
    """Write a character as its bytes in a file name: those that it had, if it stands for one."""
    try:
        content = os.fsencode(character)
    except UnicodeEncodeError:
        content = character.encode("utf-8", "surrogatepass")
    return "".join(f"%{byte:02X}" for byte in content)


def require_portable(base_name: str) -> None:
    """Make sure that outputs can be named after a base name.

    Raises
    ------
    InputError
        They cannot; readers of this package never give such a name.
    """
    portable = portable_base_name(base_name)
    if portable != base_name or base_name.startswith(APPLE_DOUBLE):
        raise InputError(
            f"outputs cannot be named after base_name {base_name!r}; choose another, such as "
            f"{portable.lstrip('.')!r}"
        )
