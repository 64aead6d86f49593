"""The daily commands: `nox -l` lists them, `nox -s lint tests` runs some."""

from __future__ import annotations

import nox

nox.options.sessions = ["lint", "tests"]
nox.options.reuse_existing_virtualenvs = True


@nox.session
def lint(session: nox.Session) -> None:
    """Style and types."""
    session.install("-e", ".[dev]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy", "src")


@nox.session(python=["3.11", "3.12", "3.13", "3.14"])
def tests(session: nox.Session) -> None:
    """The tests that run in minutes; words after -- go to pytest."""
    session.install("-e", ".[dev]")
    session.run("pytest", *(session.posargs or ["-n", "2", "--dist", "worksteal"]))


@nox.session
def slow(session: nox.Session) -> None:
    """The long tests."""
    session.install("-e", ".[dev]")
    session.run("pytest", "-m", "slow", *(session.posargs or ["-n", "2", "--dist", "loadfile"]))


@nox.session(venv_backend="none")
def page(session: nox.Session) -> None:
    """Check and bundle the page in the browser."""
    session.chdir("web")
    for words in (["ci"], ["run", "check"], ["test"], ["run", "build"]):
        session.run("npm", *words, external=True)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site into `site`; any warning is an error."""
    session.install("-e", ".[docs]")
    session.run("mkdocs", "build", *session.posargs, env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session
def packages(session: nox.Session) -> None:
    """Build sdist and wheel, and check them."""
    session.install("build", "twine")
    session.run("python", "-m", "build")
    session.run("twine", "check", "--strict", *session.posargs or ["dist/*"])
