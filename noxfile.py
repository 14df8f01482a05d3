"""What can be done with this repository: `nox -l` lists it, `nox -s NAME` does it."""

import os
import shutil
import sys

import nox

nox.needs_version = ">=2023.4"
nox.options.sessions = ["lint", "types", "tests"]
nox.options.error_on_missing_interpreters = True

# Releases of Debian on which `cluster_up` is tried.
TEST_HOSTS = ("bookworm", "trixie")
# Debian 12's, one between, and the newest: the tool promises to work with all of them.
SCONS_VERSIONS = ("4.4.0", "4.8.1", "4.11.1")


@nox.session
def demo(session: nox.Session) -> None:
    """Run the main job on this repository's own SConstruct; `-- --fail` shows a failing case."""
    session.install("-e", ".[test]")
    arguments = [argument for argument in session.posargs if argument != "--fail"]
    wanted = ["fail=1"] if "--fail" in session.posargs else []
    session.run("scons", "-Q", "test", "--maelstrom", *wanted, *arguments)


@nox.session
def tests(session: nox.Session) -> None:
    """Run our own tests (two minutes on two cores); arguments go to pytest."""
    session.install("-e", ".[test]")
    # Most of the time goes into waiting for processes.
    side_by_side = ("-n", str((os.cpu_count() or 1) + 1), "--dist", "loadfile")
    session.run("pytest", *(session.posargs or side_by_side))


@nox.session
def sim(session: nox.Session) -> None:
    """Play clusters, of cores and of daemons, from 10 000 seeds; `-- --seed N` plays one again."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "tests.sim", *(session.posargs or ["10000"]))
    if not session.posargs:
        session.run("pytest", "-q", "-rP", "tests/sim", env={"MAELSTROM_SCALE": "1"})


@nox.session
def fuzz(session: nox.Session) -> None:
    """Fuzz all boundaries, a minute each, led by coverage; `-- --seconds 600 NAME` for more."""
    session.install("-e", ".[test,fuzz]")
    session.run("python", "-m", "tests.fuzz", *session.posargs)


@nox.session
def faults(session: nox.Session) -> None:
    """Harm real programs on a network of their own (root, half an hour): kill, stop, cut, fill."""
    session.install("-e", ".[test]")
    session.run("pytest", "-q", "tests/faults", *session.posargs, env={"MAELSTROM_FAULTS": "1"})


@nox.session
@nox.parametrize("scons", SCONS_VERSIONS)
def scons(session: nox.Session, scons: str) -> None:
    """Run the tests of the SCons tool with one version of SCons."""
    session.install("-e", ".[test]", f"scons=={scons}")
    session.run("pytest", "tests/scons", "tests/e2e", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and form of every file."""
    session.install("ruff>=0.6")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check types, strictly."""
    session.install("-e", ".[test]", "mypy>=1.11")
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the book into docs/_build/html; warnings are errors."""
    session.install("-e", ".[docs]")
    session.run("sphinx-build", "-W", "-q", "-b", "html", "docs", "docs/_build/html")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure against bare processes and other sandboxes, as ratios; `-- provision`: hosts."""
    session.install("-e", ".[test,bench,provision]")
    if shutil.which("bwrap") is None:
        session.log("bwrap is not installed: its rows are left out")
    session.run("python", "-m", "tests.bench", *session.posargs)


@nox.session
def provision(session: nox.Session) -> None:
    """Test `cluster_up` and its sisters on real hosts, booted here; needs root."""
    session.install("-e", ".[test,provision]")
    # All that the hosts need lives in namespaces of its own, and vanishes with them.
    session.run(
        *("python", "-m", "tests.provision.lab", *TEST_HOSTS, "--"),
        *(f"{session.bin}/python", "-m", "pytest", *(session.posargs or ["tests/provision"])),
    )


@nox.session
def kernels(session: nox.Session) -> None:
    """Test the sandbox under Debian 12's and 13's own kernels, emulated; root, half an hour."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "tests.kernels", *session.posargs)


def _cluster(session: nox.Session, verb: str) -> None:
    """Run a command of `provision`, from an environment that all of these sessions share."""
    place = session.cache_dir / "cluster"
    python = str(place / "bin/python")
    if not (place / "installed").exists():
        session.run(sys.executable, "-m", "venv", str(place), external=True)
        session.run(python, "-m", "pip", "install", "-q", "-e", ".[provision]", external=True)
        (place / "installed").touch()
    session.run(python, "-m", "provision", verb, *session.posargs, external=True)


@nox.session(venv_backend="none")
def cluster_init(session: nox.Session) -> None:
    """Write a `cluster.toml` to begin with."""
    _cluster(session, "init")


@nox.session(venv_backend="none")
def cluster_plan(session: nox.Session) -> None:
    """Show what `cluster_up` would change on the hosts, and change nothing."""
    _cluster(session, "plan")


@nox.session(venv_backend="none")
def cluster_up(session: nox.Session) -> None:
    """Make the hosts of `cluster.toml` a cluster over SSH; `-- --local 2` tries it on this one."""
    _cluster(session, "up")


@nox.session(venv_backend="none")
def cluster_status(session: nox.Session) -> None:
    """Show version, unit, clock, certificate, slots and disk of each host."""
    _cluster(session, "status")


@nox.session(venv_backend="none")
def cluster_upgrade(session: nox.Session) -> None:
    """Bring this checkout's version to the hosts, one after the other; back again on failure."""
    _cluster(session, "upgrade")


@nox.session(venv_backend="none")
def cluster_add(session: nox.Session) -> None:
    """Add a worker and bring it up: `-- NAME HOST`."""
    _cluster(session, "add")


@nox.session(venv_backend="none")
def cluster_remove(session: nox.Session) -> None:
    """Take a worker off its host and revoke its certificate: `-- NAME`."""
    _cluster(session, "remove")


@nox.session(venv_backend="none")
def cluster_rotate(session: nox.Session) -> None:
    """Give the daemons new keys and certificates."""
    _cluster(session, "rotate")


@nox.session(venv_backend="none")
def cluster_logs(session: nox.Session) -> None:
    """Show what the daemons wrote; `-- --follow` goes on."""
    _cluster(session, "logs")


@nox.session(venv_backend="none")
def cluster_down(session: nox.Session) -> None:
    """Take everything of ours off the hosts."""
    _cluster(session, "down")


@nox.session
def real(session: nox.Session) -> None:
    """Test real projects in their own way and in ours; needs Debian's sources, see docs."""
    session.install("-e", ".[test]", "pytest-xdist")
    session.run("python", "-m", "tests.real", *session.posargs)


if __name__ == "__main__":
    sys.exit("run `nox -l` to see what can be done")
