"""What all commands share: how one is declared, and options that several take."""

from __future__ import annotations

import functools
import inspect as inspect_module
import logging
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from pyama_core.cli.streams import echo, lost_output
from pyama_core.version import __version__

app = typer.Typer(
    name="pyama",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks and debug messages.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Axes = Annotated[
    str | None,
    typer.Option("--axes", help="Axes of a plain TIFF stack, slowest first, e.g. TCYX."),
]
Sizes = Annotated[
    str | None,
    typer.Option("--sizes", metavar="N,N", help="Sizes of --axes but Y and X, e.g. 10,3."),
]
Pattern = Annotated[
    str | None,
    typer.Option(
        "--pattern",
        metavar="NAMES",
        help="How images in a folder are named, e.g. '{*}_{channel}_{fov}_{time}.tif'.",
    ),
]
Outside = Annotated[
    bool,
    typer.Option("--outside", help="Also read files that FILE names outside of its own folder."),
]
Numbering = Annotated[
    str | None,
    typer.Option(
        "--numbering",
        metavar="HOW",
        help="Frame numbers in names of images: auto (those that jump are gaps), order (no gaps), "
        "or how far frames are apart.",
    ),
]
_SHOWING = ("inspect", "status", "samples")
"""Commands that have done nothing if their output is lost."""


def _show_version(wanted: bool) -> None:
    if wanted:
        echo(f"pyama-core {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """From time-lapse microscopy files to one fluorescence trace per cell."""


def command(
    function: Callable[..., int],
    name: str | None = None,
    settings: dict[str, Any] | None = None,
) -> Callable[..., None]:
    """Register a command: its return value is the exit code, its errors are one or two lines.

    It is called like the function, if no other name is given.

    Every command gains the option `--debug`, and refuses paths whose text is empty.
    """
    signature = inspect_module.signature(function, eval_str=True)
    paths = {name: flag for name, flag in map(_path_of, signature.parameters.values()) if flag}

    @functools.wraps(function)
    def run(*args: Any, debug: bool = False, **kwargs: Any) -> None:
        from pyama_core.cli.messages import listen
        from pyama_core.errors import PyamaError, ShortageError, is_shortage
        from pyama_core.io.paths import given_path

        with listen(logging.DEBUG if debug else logging.INFO):
            try:
                for name, flag in paths.items():
                    if kwargs[name] is not None:
                        kwargs[name] = given_path(kwargs[name], flag)
                code = function(*args, **kwargs)
            except PyamaError as error:
                if debug:
                    traceback.print_exc()
                echo(f"error: {error}", err=True)
                code = 2
            except (MemoryError, RuntimeError, OSError, ImportError) as error:
                if debug or not is_shortage(error):
                    raise
                echo(f"error: {ShortageError.about('go on', error)}", err=True)
                code = 1
            lost = _tell_lost_output()
        raise typer.Exit(code or (1 if lost and function.__name__ in _SHOWING else 0))

    parameter = inspect_module.Parameter(
        "debug", inspect_module.Parameter.KEYWORD_ONLY, default=False, annotation=Debug
    )
    typed = [*map(_as_typed, signature.parameters.values()), parameter]
    run.__signature__ = signature.replace(parameters=typed)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in typed}
    app.command(name, context_settings=settings)(run)
    return run


def _tell_lost_output() -> bool:
    """Say why standard output could not be written; a reader who has seen enough lost nothing."""
    error = lost_output()
    if error is None or isinstance(error, BrokenPipeError):
        return False
    echo(f"error: cannot write to standard output: {error.strerror or error}", err=True)
    return True


def _path_of(parameter: inspect_module.Parameter) -> tuple[str, str]:
    """Return the name of a parameter and, if it is a path, the flag that people know it by."""
    kind, about = get_args(parameter.annotation)[:2] or (None, None)
    if kind not in (Path, Path | None):
        return parameter.name, ""
    # Where a default may stand, typer keeps the first of the flags.
    flags = [about.default, *(about.param_decls or ())]
    long = [flag for flag in flags if isinstance(flag, str) and flag.startswith("--")]
    return parameter.name, long[0] if long else about.metavar


def _as_typed(parameter: inspect_module.Parameter) -> inspect_module.Parameter:
    """Let a path be taken as text, for a path without text is the current folder."""
    if not _path_of(parameter)[1]:
        return parameter
    kind, *about = get_args(parameter.annotation)
    text = str if kind is Path else str | None
    return parameter.replace(annotation=Annotated[text, *about])
