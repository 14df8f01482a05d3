"""A job that cannot start says why, names the thing, and tells whose fault it is."""

import pytest

from maelstrom.model.outcome import ExecutionError, InfrastructureFault
from maelstrom.model.spec import Bind, Tmp
from tests.sandbox.conftest import Sandbox, text

PROGRAMS = {
    "/nowhere/at/all": "program `/nowhere/at/all` is not in the container",
    "nothing": "program `nothing` is not in the container: looked in /usr/local/bin",
    "./here": "program `./here` is not in the container",
    "/directory": "program `/directory` is a directory",
    "/plain": "program `/plain` is not executable",
    "/noexec": "program `/noexec` is not executable",
    "/plain/below": "program `/plain/below` is not in the container: a part of the path is a file",
    "/nonsense": "program `/nonsense` is neither an ELF program nor a script",
    "/empty": "program `/empty` is an empty file",
    "/orphan": "interpreter `/opt/missing/python3` of the script `/orphan` is not in the container",
    "/dos": "script `/dos` has DOS line ends after its interpreter's name",
    "/foreign": "program `/foreign` is for aarch64, and this host is",
    "/dangling": "program `/dangling` is a link to `/nowhere`, which is not in the container",
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_that_cannot_start_is_told_why(sandbox: Sandbox, program: str) -> None:
    outcome = sandbox.run(program, layers=("tool", "shell", "odd"))
    assert isinstance(outcome, ExecutionError), outcome
    assert outcome.message.startswith(PROGRAMS[program])


def test_a_missing_loader_is_named(sandbox: Sandbox, layers_root: object) -> None:
    mounts = (Tmp("/lib64"), Tmp("/lib"))
    outcome = sandbox.run("/bin/cat", mounts=mounts)
    assert isinstance(outcome, ExecutionError)
    assert outcome.message.startswith("loader `/lib")
    assert outcome.message.endswith("of the program `/bin/cat` is not in the container")
    assert outcome.hint == "add a layer with its shared libraries"


def test_a_script_runs_by_its_name(sandbox: Sandbox) -> None:
    layers = ("tool", "shell", "odd")
    environment = (("PATH", "/nowhere:/:/bin"),)
    outcome = sandbox.run("script", "x", layers=layers, environment=environment)
    assert text(outcome) == "from a script x\n"


MOUNTS = {
    "a directory over a file": (
        Tmp("/plain"),
        (
            "cannot mount a file system in memory on `/plain`: "
            "a directory is wanted and it is a file: `/plain`"
        ),
    ),
    "a file over a directory": (
        Bind("/directory", "/etc/passwd"),
        (
            "cannot bind `/etc/passwd` of the host to `/directory`: "
            "a file is wanted and it is a directory: `/directory`"
        ),
    ),
    "below a file": (
        Tmp("/plain/x"),
        "cannot mount a file system in memory on `/plain/x`: Not a directory: `/plain/x`",
    ),
    "through a dangling link": (
        Tmp("/dangling"),
        "cannot mount a file system in memory on `/dangling`: File exists: `/dangling`",
    ),
    "a path the host lacks": (
        Bind("/x", "/no/such/path"),
        "cannot bind `/no/such/path` of the host to `/x`: No such file or directory",
    ),
}


@pytest.mark.parametrize("name", MOUNTS)
def test_a_mount_that_cannot_be_is_told_why(sandbox: Sandbox, name: str) -> None:
    mount, message = MOUNTS[name]
    outcome = sandbox.run("/t", "true", layers=("tool", "odd"), mounts=(mount,))
    assert isinstance(outcome, ExecutionError), outcome
    assert outcome.message == message


def test_a_working_directory_that_is_a_file_is_told(sandbox: Sandbox) -> None:
    outcome = sandbox.run("/t", layers=("tool", "odd"), working_directory="/plain")
    assert isinstance(outcome, ExecutionError)
    assert outcome.message == (
        "cannot make the directory `/plain`: a directory is wanted and it is a file: `/plain`"
    )


def test_links_in_layers_lead_nowhere_but_into_the_container(sandbox: Sandbox) -> None:
    # `/escape` points to the root of process 1, `/relative` above the root.
    layers = ("shell", "odd")
    outcome = sandbox.run("ls", "-d", "/etc/made", layers=layers, mounts=(Tmp("/relative/made"),))
    assert text(outcome) == "/etc/made\n"
    outcome = sandbox.run("ls", layers=layers, mounts=(Tmp("/escape/made"),))
    assert isinstance(outcome, ExecutionError)
    assert outcome.message.startswith("cannot mount a file system in memory on `/escape/made`: ")


def test_a_missing_layer_is_our_fault(sandbox: Sandbox) -> None:
    outcome = sandbox.run("/t", layers=("tool", "gone"))
    assert isinstance(outcome, InfrastructureFault)
    assert outcome.message.startswith("cannot mount 2 layers as the root: ")


def test_text_that_has_no_bytes_is_the_specs_fault(sandbox: Sandbox) -> None:
    outcome = sandbox.run("/t", "\ud800")
    assert isinstance(outcome, ExecutionError)


def test_after_all_that_a_job_runs_as_ever(sandbox: Sandbox) -> None:
    assert text(sandbox.run("sh", "-c", "echo fine")) == "fine\n"
