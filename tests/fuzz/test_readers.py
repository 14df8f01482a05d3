"""Whoever reads what others wrote knows one kind of trouble with it, the one that is announced."""

import contextlib
import io
import os
import tarfile
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from maelstrom.cli import commands, service
from maelstrom.errors import MaelstromError
from maelstrom.frameworks import FRAMEWORKS, framework
from maelstrom.frameworks.base import Target
from maelstrom.layers import archive
from maelstrom.layers.hasher import Hasher
from maelstrom.model.case import Case
from maelstrom.model.manifest import Directory, File, Manifest, Symlink
from maelstrom.model.outcome import Exited, Outcome
from maelstrom.model.spec import Bind, JobSpec, Tmp
from maelstrom.trust import build, tokens
from maelstrom.trust.identity import Identity
from maelstrom.wire import address, messages
from maelstrom.wire.connection import Codec, encode
from maelstrom.wire.framing import Framer, frame
from maelstrom.wire.greeting import Role, encode_hello, hello, read_hello
from tests.fuzz.budget import within_budget
from tests.fuzz.damage import damaged
from tests.sim.disk import LAYERS
from tests.support.outcomes import effects, exited
from tests.support.programs import DATA

UNIONS = [
    messages.ClientToBroker,
    messages.WorkerToBroker,
    messages.BrokerToClient,
    messages.Blobs,
    messages.BrokerToWorker,
    messages.AdminToBroker,
    messages.JoinToBroker,
    Outcome,
]
CODECS: list[Codec[object]] = [Codec(union) for union in UNIONS]
KEY = build.new_key()
CA_KEY, CA = build.authority("Ours", datetime.now(UTC))
SPEC = JobSpec(
    program="/x",
    arguments=("a", "b"),
    environment=(("A", "b"),),
    layers=tuple(LAYERS),
    mounts=(Bind("/tmp", "/x"), Tmp("/y")),
)
MANIFEST = Manifest(
    [
        ("a", File(LAYERS[0])),
        ("b/c", File(LAYERS[1], True)),
        ("d", Directory()),
        ("e", Symlink(b"a")),
    ]
)
BODIES = [
    encode(messages.Submit(1, SPEC.encode(), SPEC.layers, (("slots", 1),))),
    encode(messages.Join("x", 1, (("gpu", 1),))),
    encode(messages.Get(((LAYERS[0], 0),))),
    encode(exited(0, b"out", b"err")),
]


def _tar() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, kind in (("a", tarfile.REGTYPE), ("b", tarfile.SYMTYPE), ("c", tarfile.DIRTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.size = kind, "a", 5 if name == "a" else 0
            tar.addfile(member, io.BytesIO(b"hello"))
    return made.getvalue()


TARS = [_tar(), io.BytesIO(_tar()).getvalue()]


def read_tar(content: bytes) -> None:
    """Make a layer of it."""
    with tempfile.TemporaryDirectory() as place, Hasher(Path(place)) as hasher:
        path = Path(place) / "x.tar"
        path.write_bytes(content)
        archive.build(str(path), hasher)


def read_frames(content: bytes) -> None:
    """Read frames as a peer that was greeted."""
    framer = Framer(1000)
    for body in framer.feed(content):
        assert 1 <= len(body) <= 1000
    assert len(framer._kept) < 1004, "no more is kept than one frame"


def read_messages(content: bytes) -> None:
    """Read a body as every kind of peer does."""
    for codec in CODECS:
        with contextlib.suppress(MaelstromError):
            codec.read(content)


READERS: dict[str, tuple[Callable[[bytes], object], list[bytes]]] = {
    "frames": (read_frames, [b"".join(map(frame, BODIES)), frame(b"x") * 3]),
    "messages": (read_messages, BODIES),
    "hellos": (read_hello, [encode_hello(hello(Role.CLIENT, "1.0", "token"))]),
    "manifests": (Manifest.decode, [MANIFEST.encoded]),
    "specs": (JobSpec.decode, [SPEC.encode(), JobSpec(program="x").encode()]),
    "archives": (read_tar, TARS),
    "certificates": (build.from_pem, [build.to_pem(CA)]),
    "requests": (build.public_key, [build.request(KEY, "x")]),
    "revocation lists": (
        lambda content: build.read_revocation_list(content, CA),
        [build.revocation_list(CA_KEY, CA, [(7, datetime.now(UTC))], datetime.now(UTC))],
    ),
    "keys": (build.key_from_pem, [build.key_to_pem(KEY)]),
    "join tokens": (
        lambda content: tokens.parse(content.decode("latin-1")),
        [b"0" * 12 + b"." + b"A" * 43 + b"@sha256:" + b"0" * 64],
    ),
    "addresses": (
        lambda content: address.parse(content.decode("latin-1")),
        [b"host:1", b"[::1]:9001", b"plain:localhost:1", b"unix:/x"],
    ),
    "identities": (lambda content: Identity.parse(content.decode("latin-1")), [b"client/ann"]),
}


def _refuser(read: Callable[[bytes], object], contents: list[bytes]) -> Callable[[], None]:
    @within_budget
    @given(damaged(contents))
    def refuse(content: bytes) -> None:
        with contextlib.suppress(MaelstromError):
            read(content)

    return refuse


REFUSERS = {name: _refuser(*reader) for name, reader in READERS.items()}


@pytest.mark.parametrize("name", REFUSERS)
def test_what_cannot_be_read_is_refused(name: str) -> None:
    REFUSERS[name]()


PRINTED = [
    *(path.read_bytes()[:3000] for path in sorted(DATA.glob("*.json"))),
    b"a.\n  b\n  c  # GetParam() = 1\n",
    b"TAP version 13\n1..2\nok 1 - a\nnot ok 2 - b # TODO c\n",
    b"<?xml version='1.0'?><testsuite tests='1'><testcase name='a'/></testsuite>",
    b'{"cases": [["a", "b"]]}\n',
]


@within_budget
@given(st.sampled_from(sorted(FRAMEWORKS)), damaged(PRINTED), damaged(PRINTED), st.integers(0, 3))
def test_a_program_may_print_anything(name: str, out: bytes, err: bytes, status: int) -> None:
    known = framework(name)
    outcome = Exited(status, effects(out, err))
    case = Case("a.b")
    with contextlib.suppress(MaelstromError):
        cases = known.cases(outcome)
        assert len({each.name for each in cases}) == len(cases)
        case = cases[0] if cases else case
    known.verdict(case, outcome)
    known.invocation(Target("./x"), case)


TOML = [
    b'listen = ["[::]:9001"]\nstore-size = "5G"\nclient-jobs = 5\nlog-level = "info"\n',
    b'[store]\nsize = 1\n"http-port" = 1.5\n',
]


@within_budget
@given(damaged(TOML))
def test_a_configuration_is_taken_or_explained(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "broker.toml"
        path.write_bytes(content)
        words = ["--print-config", "--config-file", str(path)]
        result = CliRunner().invoke(commands.broker, words, env={"XDG_CONFIG_HOME": place})
    assert result.exit_code in (0, 2), result.exception
    assert result.exception is None or isinstance(result.exception, SystemExit)
    if result.exit_code:
        assert "broker.toml" in result.output or "--" in result.output, result.output


WORDS = st.text(
    st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=20
) | st.sampled_from(["/nowhere", "@abstract", "@", "/" + "x" * 200, "30000000", "9" * 400])


@within_budget
@given(WORDS, WORDS, WORDS | st.just(str(os.getpid())))
def test_whoever_starts_us_may_say_anything(where: str, wait: str, pid: str) -> None:
    told = {"NOTIFY_SOCKET": where, "WATCHDOG_USEC": wait, "WATCHDOG_PID": pid}
    with mock.patch.dict(os.environ, told):
        service.notify("READY=1")
        assert service.watchdog_s() >= 0
