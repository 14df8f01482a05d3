"""A job that cannot start says why, names the thing, and tells whose fault it is."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from maelstrom.errors import SpecError
from maelstrom.linux import mount
from maelstrom.linux.calls import Argument
from maelstrom.model.outcome import ExecutionError, Exited, InfrastructureFault, Outcome
from maelstrom.model.spec import AMOUNT_MAX, Bind, Limits, Tmp
from maelstrom.sandbox.launch import linux_version
from maelstrom.sandbox.steps import LINUX_LAYER_LIST
from tests.sandbox.conftest import MANY_LAYERS, Sandbox, text

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
    "/foreign": "program `/foreign` is for RISC-V, and this host is",
    "/dangling": "program `/dangling` is a link to `/nowhere`, which is not in the container",
    "/loop": "cannot look at the program `/loop`: Too many levels of symbolic links",
    "/there/x": "cannot look at the program `/there/x`: Too many levels of symbolic links",
    "/dev/null": "program `/dev/null` is not a regular file",
    "x" * 256: f"program `{'x' * 256}` is not in the container",
    "/" + "x" * 256: f"cannot look at the program `/{'x' * 256}`: File name too long",
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


# What the slot has there is not the job's: its interpreter is a file of the host.
def assert_leads_out(outcome: Outcome) -> None:
    assert isinstance(outcome, ExecutionError), outcome
    assert outcome.message.endswith("leads out of the container by a link below /proc")


WAYS_OUT = {
    "a link of the kernel's": "/proc/self/exe",
    "that of process 1": "/proc/1/exe",
    "a descriptor": "/proc/self/fd/0",
    "a link of a layer": "/interpreter",
    "a script": "/odd-script",
    "a script of a script": "/odder-script",
    "a script whose interpreter has an odd name": "/oddest-script",
}


@pytest.mark.parametrize("way", WAYS_OUT)
@pytest.mark.parametrize(
    "limits", [Limits(), Limits(kernel=(("stack", 8 << 20),))], ids=["spawned", "forked"]
)
def test_no_program_is_started_from_outside(sandbox: Sandbox, way: str, limits: Limits) -> None:
    outcome = sandbox.run(WAYS_OUT[way], "-c", "", layers=("tool", "shell", "odd"), limits=limits)
    assert_leads_out(outcome)


@pytest.mark.parametrize("program", ["/proc/2/exe", "/to-come", "/script-to-come"])
@pytest.mark.parametrize(
    "limits", [Limits(), Limits(kernel=(("stack", 8 << 20),))], ids=["spawned", "forked"]
)
def test_no_program_is_the_slots_in_the_process_to_come(
    sandbox: Sandbox, program: str, limits: Limits
) -> None:
    outcome = sandbox.run(program, "-c", "", layers=("tool", "shell", "odd"), limits=limits)
    assert isinstance(outcome, ExecutionError), outcome
    assert "not in the container" in outcome.message


def test_a_program_that_is_known_is_not_so_in_another_root(sandbox: Sandbox) -> None:
    for layer, target in (("known", "/t"), ("unknown", "/proc/self/exe")):
        place = sandbox.layers_root / layer
        place.mkdir()
        (place / "program").symlink_to(target)
    for _ in range(2):
        outcome = sandbox.run("/program", "exit", "3", layers=("tool", "known"))
        assert isinstance(outcome, Exited), outcome
        assert_leads_out(sandbox.run("/program", "-c", "", layers=("tool", "unknown")))


def test_a_program_that_is_known_is_not_so_where_the_host_can_change_it(
    sandbox: Sandbox, shared: str
) -> None:
    mounts = (Bind("/bound", shared),)
    program = Path(shared, "program")
    program.symlink_to("/t")
    outcome = sandbox.run("/bound/program", "exit", "3", mounts=mounts)
    assert isinstance(outcome, Exited), outcome
    program.unlink()
    program.symlink_to("/proc/self/exe")
    assert_leads_out(sandbox.run("/bound/program", "-c", "", mounts=mounts))


@pytest.mark.parametrize("place", ["/own-files/../..", "/own-place", "/own-files/7"])
@pytest.mark.parametrize("what", ["working directory", "mount point", "stdin", "output"])
def test_no_path_leads_to_what_the_slot_has_open(sandbox: Sandbox, what: str, place: str) -> None:
    fields: dict[str, Any] = {
        "working directory": {"working_directory": f"{place}/x"},
        "mount point": {"mounts": (Tmp(f"{place}/x"),)},
        "stdin": {"stdin_file": f"{place}/x"},
        "output": {"outputs": (f"{place}/x",)},
    }[what]
    if ".." in place:
        with pytest.raises(SpecError, match="must be written plainly"):
            sandbox.run("/t", "true", layers=("tool", "odd"), **fields)
        return
    outcome = sandbox.run("/t", "true", layers=("tool", "odd"), **fields)
    assert isinstance(outcome, Exited if what == "output" else ExecutionError), outcome


def test_no_template_is_started_from_outside(sandbox: Sandbox) -> None:
    layers = ("tool", "odd")
    fields = {"layers": layers, "template_arguments": 2, "template_layers": len(layers)}
    outcome = sandbox.run("/interpreter", "-c", "", **fields)
    assert_leads_out(outcome)


def test_nothing_of_the_host_lies_above_what_a_slot_has_open(sandbox: Sandbox, shared: str) -> None:
    # With a bind, the slot has all of the host's files at hand.
    mounts = (Bind("/bound", shared),)
    for number in range(3, 40):
        for above in ("..", "../..", "../../.."):
            path = f"/proc/self/fd/{number}/{above}/host/{shared}/given"
            outcome = sandbox.run(path, mounts=mounts)
            assert isinstance(outcome, ExecutionError)
            assert "is not in the container" in outcome.message, outcome


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
    "through a link to itself": (
        Tmp("/loop"),
        (
            "cannot mount a file system in memory on `/loop`: "
            "Too many levels of symbolic links: `/loop`"
        ),
    ),
    "through links to one another": (
        Tmp("/there/x"),
        (
            "cannot mount a file system in memory on `/there/x`: "
            "Too many levels of symbolic links: `/there/x`"
        ),
    ),
    "a name that is too long": (
        Tmp("/" + "x" * 256),
        (
            f"cannot mount a file system in memory on `/{'x' * 256}`: "
            f"File name too long: `/{'x' * 256}`"
        ),
    ),
    "a path the host lacks": (
        Bind("/x", "/no/such/path"),
        "cannot bind `/no/such/path` of the host to `/x`: No such file or directory",
    ),
}


@pytest.mark.parametrize("name", MOUNTS)
def test_a_mount_that_cannot_be_is_told_why(sandbox: Sandbox, name: str) -> None:
    wanted, message = MOUNTS[name]
    outcome = sandbox.run("/t", "true", layers=("tool", "odd"), mounts=(wanted,))
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


def test_the_way_up_is_tried_again_while_others_mount(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    refusals = iter(range(9))
    call = mount.system_call

    def refuse(name: str, *arguments: Argument) -> int:
        if next(refusals, None) is not None:
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        return call(name, *arguments)

    monkeypatch.setattr(mount, "system_call", refuse)
    (tmp_path / "inner").mkdir()
    root = os.open(tmp_path, os.O_PATH)
    found = mount.open_in_root(root, "/inner/../inner")
    assert os.fstat(found).st_ino == (tmp_path / "inner").stat().st_ino
    assert next(refusals, None) is None
    os.close(found)
    os.close(root)


HIDDEN = {
    "file": "a directory is wanted and it is a file",
    "loop": "Too many levels of symbolic links",
    "nothing": "File exists",
}


@pytest.mark.parametrize("kind", HIDDEN)
@pytest.mark.parametrize("name", ["proc", "dev", "tmp"])
def test_a_layer_that_hides_what_every_container_has_is_told(
    sandbox: Sandbox, name: str, kind: str
) -> None:
    outcome = sandbox.run("/t", "true", layers=("tool", f"{name}-{kind}"))
    assert isinstance(outcome, ExecutionError), outcome
    assert outcome.message.endswith(f": {HIDDEN[kind]}: `/{name}`")
    assert f"/{name}" in outcome.message.partition(":")[0]


@pytest.mark.parametrize("name", ["proc", "dev", "tmp"])
def test_a_link_in_their_place_leads_to_them(sandbox: Sandbox, name: str) -> None:
    outcome = sandbox.run("ls", "-A", f"/{name}", layers=("shell", f"{name}-link"))
    assert isinstance(outcome, Exited)
    assert outcome.status == 0
    assert "passwd" not in text(outcome)


def test_no_link_leads_a_mount_into_what_is_the_slots(sandbox: Sandbox, shared: str) -> None:
    # `/escape` is a link to `/proc/1/root`.
    for place in ("/escape/proc/1", "/escape/dev/null", "/escape/layers"):
        mounts = (Bind(place, shared),)
        outcome = sandbox.run("/t", "true", layers=("tool", "odd"), mounts=mounts)
        assert isinstance(outcome, ExecutionError), place
    assert text(sandbox.run("cat", "/dev/null")) == ""


def test_paths_of_the_host_lead_where_they_do_there(sandbox: Sandbox, shared: str) -> None:
    link = Path(shared, "link")
    link.symlink_to(f"{shared}/given")
    outcome = sandbox.run("cat", "/x", mounts=(Bind("/x", str(link)),))
    assert text(outcome) == "given\n"


@pytest.mark.skipif(linux_version() < LINUX_LAYER_LIST, reason="this kernel has no list of layers")
def test_two_hundred_layers_are_no_matter(sandbox: Sandbox) -> None:
    layers = ("shell", *MANY_LAYERS)
    outcome = sandbox.run("sh", "-c", "ls /many | wc -l; cat /same", layers=layers)
    assert text(outcome).split() == [f"{len(MANY_LAYERS)}", f"{len(MANY_LAYERS) - 1}"]


@pytest.mark.parametrize(
    "limits",
    [
        Limits(write_bytes_max=1),
        Limits(write_bytes_max=AMOUNT_MAX),
        Limits(open_files_max=1),
        Limits(open_files_max=AMOUNT_MAX),
        Limits(processes_max=1),
        Limits(processes_max=AMOUNT_MAX),
        Limits(memory_bytes_max=AMOUNT_MAX),
        Limits(output_bytes_max=1),
        Limits(output_bytes_max=AMOUNT_MAX),
    ],
    ids=str,
)
def test_limits_at_the_edge_are_limits(sandbox: Sandbox, limits: Limits) -> None:
    outcome = sandbox.run("/t", "true", limits=limits)
    assert isinstance(outcome, Exited), outcome
    assert outcome.status == 0


def test_a_missing_layer_is_our_fault(sandbox: Sandbox) -> None:
    outcome = sandbox.run("/t", layers=("tool", "gone"))
    assert isinstance(outcome, InfrastructureFault)
    assert outcome.message.startswith("cannot mount 2 layers as the root: ")


def test_text_that_has_no_bytes_is_the_specs_fault(sandbox: Sandbox) -> None:
    outcome = sandbox.run("/t", "\ud800")
    assert isinstance(outcome, ExecutionError)


def test_after_all_that_a_job_runs_as_ever(sandbox: Sandbox) -> None:
    assert text(sandbox.run("sh", "-c", "echo fine")) == "fine\n"
