"""The project's tasks: ``nox -l`` lists them, ``nox -s docs`` runs one, ``nox`` alone runs the gate.

They run in the environment that nox is in, that of ``pip install -e '.[dev,docs]'``; `gate`, `lowest`,
`newest` and `wheel` make one of their own. The commands are in ``.ci``.
"""

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["gate"]


@nox.session
def gate(session: nox.Session) -> None:
    """Run all that must pass, in a fresh environment: lint, types, site, tests, the README's study."""
    _bash(session, ".ci/run")


@nox.session
def lint(session: nox.Session) -> None:
    """Check the code's style and its format."""
    _bash(session, ".ci/step", "lint")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types."""
    _bash(session, ".ci/step", "types")


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests; what follows ``--`` are options of pytest."""
    _bash(session, ".ci/step", "tests", *session.posargs)


@nox.session
def slow(session: nox.Session) -> None:
    """Run the long proofs; what follows ``--`` are options of pytest."""
    _bash(session, ".ci/step", "tests", "-m", "slow", *session.posargs)


@nox.session
def lowest(session: nox.Session) -> None:
    """Test the wheel with the lowest versions of its dependencies that are declared."""
    _bash(session, ".ci/wheel", "lowest", *session.posargs)


@nox.session
def newest(session: nox.Session) -> None:
    """Test the wheel with the newest versions of its dependencies."""
    _bash(session, ".ci/wheel", "newest", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation site in build/site; a warning is an error."""
    _bash(session, ".ci/step", "docs")


@nox.session(venv_backend="venv")
def wheel(session: nox.Session) -> None:
    """Build the source distribution and the wheel in dist, and check what they hold."""
    session.install("build", "pytest", "twine")
    _bash(session, ".ci/step", "wheel")


def _bash(session: nox.Session, *command: str) -> None:
    session.run("bash", *command, external=True)
