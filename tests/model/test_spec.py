"""A spec checks itself, has one encoding, and equal specs have equal digests."""

import msgspec
import pytest

from maelstrom.errors import SpecError
from maelstrom.model.digest import Digest
from maelstrom.model.spec import Bind, JobSpec, Limits, Network, Tmp

WRONG = {
    "no program": ({"program": ""}, "needs a program"),
    "a NUL in an argument": ({"arguments": ("a\0b",)}, "NUL"),
    "arguments without end": ({"arguments": ("x" * (1 << 20),)}, "the limit is"),
    "a variable with an equals sign": ({"environment": (("A=B", "1"),)}, "environment variable"),
    "a variable without a name": ({"environment": (("", "1"),)}, "environment variable"),
    "a NUL in a value": ({"environment": (("A", "\0"),)}, "`A`"),
    "a relative working directory": ({"working_directory": "a"}, "absolute"),
    "a working directory with dots": ({"working_directory": "/a/../b"}, "'/b'"),
    "a mount over everything": ({"mounts": (Tmp("/"),)}, "`/`"),
    "a relative mount point": ({"mounts": (Tmp("tmp"),)}, "absolute"),
    "a mount point with dots": ({"mounts": (Tmp("/a/../b"),)}, "'/b'"),
    "a mount point with a NUL": ({"mounts": (Tmp("/a\0"),)}, "absolute"),
    "a relative path of the host": ({"mounts": (Bind("/a", "b"),)}, "host path 'b'"),
    "a NUL in a path of the host": ({"mounts": (Bind("/a", "/b\0"),)}, "host path"),
    "less than no room": ({"mounts": (Tmp("/a", -1),)}, "`/a`"),
    "more room than there can be": ({"mounts": (Tmp("/a", 1 << 63),)}, "`/a`"),
    "less than no files": ({"limits": Limits(open_files_max=-1)}, "`open_files_max`"),
    "more memory than there can be": ({"limits": Limits(memory_bytes_max=1 << 63)}, "memory"),
    "a NUL in a name": ({"environment": (("A\0", ""),)}, "environment variable"),
    "a NUL in the program": ({"program": "/\0"}, "NUL"),
    "too many layers": ({"layers": (Digest.of(b""),) * 201}, "201 layers"),
    "a negative timeout": ({"timeout_s": -1.0}, "out of range"),
    "a timeout that is no number": ({"timeout_s": float("nan")}, "out of range"),
    "an unknown device": ({"devices": ("null", "floppy")}, "`floppy`"),
    "a device twice": ({"devices": ("null", "null")}, "twice"),
    "a user that cannot be": ({"user": -1}, "-1 cannot be a user"),
    "groups without identities": ({"groups": (5,)}, "need `has_identities`"),
    "capabilities of nobody": ({"has_powers": True}, "are root's"),
    "an unknown limit": ({"limits": Limits(kernel=(("height", 1),))}, "`height`"),
    "less than no stack": ({"limits": Limits(kernel=(("stack", -1),))}, "`stack`"),
    "less than no processor": ({"limits": Limits(processors=-1.0)}, "`processors`"),
    "time before the start": ({"uptime_s": -2}, "uptime"),
    "two standard inputs": ({"stdin": b"x", "stdin_file": "/x"}, "both"),
    "a relative standard input": ({"stdin_file": "x"}, "absolute"),
    "all as an output": ({"outputs": ("/",)}, "captured root"),
    "a relative output": ({"outputs": ("x",)}, "absolute"),
    "what is no file as an output": ({"outputs": ("/proc/1/environ",)}, "kernel's making"),
    "outputs without end": ({"outputs": ("/x",) * 1001}, "1001 outputs"),
    "half a slot": ({"resources": (("slots", 0),)}, "positive"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_spec_is_refused_with_the_reason(name: str) -> None:
    fields, reason = WRONG[name]
    with pytest.raises(SpecError, match=reason):
        JobSpec(**{"program": "/bin/true", **fields})


def test_a_spec_survives_the_wire() -> None:
    spec = JobSpec(
        "/bin/true",
        arguments=("-v",),
        environment=(("A", "ä"),),
        layers=(Digest.of(b"x"),),
        mounts=(Bind("/data", "/srv"), Tmp("/scratch", 1 << 20)),
        network=Network.LOOPBACK,
        timeout_s=3.5,
    )
    assert JobSpec.decode(spec.encode()) == spec
    assert JobSpec.decode(spec.encode()).digest == spec.digest


def test_a_spec_from_the_wire_is_checked_like_any_other() -> None:
    with pytest.raises(SpecError):
        JobSpec.decode(msgspec.msgpack.encode({"program": ""}))
    with pytest.raises(SpecError):
        JobSpec.decode(msgspec.msgpack.encode({"program": "x", "nonsense": 1}))
    with pytest.raises(SpecError):
        JobSpec.decode(b"\xc1")


def test_any_difference_is_a_different_identity() -> None:
    specs = [
        JobSpec("a"),
        JobSpec("b"),
        JobSpec("a", arguments=("",)),
        JobSpec("a", timeout_s=1.0),
        JobSpec("a", network=Network.LOOPBACK),
        JobSpec("a", environment=(("A", ""),)),
    ]
    assert len({spec.digest for spec in specs}) == len(specs)


@pytest.mark.parametrize(
    ("spec", "is_local"),
    [
        (JobSpec("a"), False),
        (JobSpec("a", network=Network.LOOPBACK), False),
        (JobSpec("a", network=Network.LOCAL), True),
        (JobSpec("a", mounts=(Bind("/a", "/a"),)), True),
    ],
)
def test_what_needs_the_host_stays_on_the_host(spec: JobSpec, is_local: bool) -> None:
    assert spec.is_local is is_local


@pytest.mark.parametrize("text", ["", "ab", "A" * 64, "g" * 64])
def test_a_digest_is_64_lower_case_hex_digits(text: str) -> None:
    with pytest.raises(SpecError):
        Digest(text, 0)


def test_a_digest_is_the_same_in_pieces() -> None:
    assert Digest.of(b"hello") == Digest.of_chunks([b"he", b"", b"llo"])
