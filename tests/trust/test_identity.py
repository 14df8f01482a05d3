import pytest

from maelstrom.errors import TrustError, UserError
from maelstrom.trust.identity import Certificate, Identity, Role, believe

DAY = 86400.0
ALPHA = Certificate(Identity(Role.WORKER, "alpha"), 0xA1FA, 100 * DAY, 107 * DAY)


@pytest.mark.parametrize(
    ("now_s", "roles", "revoked", "refusal"),
    {
        "it is believed": (101 * DAY, [Role.WORKER], [], None),
        "another's revocation is no matter": (101 * DAY, [Role.WORKER], [0xBEEF], None),
        "clocks may differ a little": (100 * DAY - 200, [Role.WORKER], [], None),
        "expired": (
            108 * DAY, [Role.WORKER], [],
            ("certificate a1fa of worker/alpha expired at 1970-04-18 00:00:00 UTC; "
             "it is 1970-04-19 00:00:00 UTC here, 1 d 0 h later"),
        ),
        "a clock an hour off": (
            100 * DAY - 3600, [Role.WORKER], [],
            ("certificate a1fa of worker/alpha is not valid before 1970-04-11 00:00:00 UTC; "
             "it is 1970-04-10 23:00:00 UTC here, 1 h 0 min earlier"),
        ),
        "revoked": (
            101 * DAY, [Role.WORKER], [0xA1FA], "certificate a1fa of worker/alpha was revoked",
        ),
        "the wrong role": (
            101 * DAY, [Role.CLIENT, Role.ADMIN], [],
            "certificate a1fa of worker/alpha has the wrong role: this needs admin or client",
        ),
    }.values(),
)  # fmt: skip
def test_a_refusal_names_the_certificate_and_the_reason(
    now_s: float, roles: list[Role], revoked: list[int], refusal: str | None
) -> None:
    if refusal is None:
        believe(ALPHA, now_s=now_s, roles=roles, revoked=revoked)
        return
    with pytest.raises(TrustError) as caught:
        believe(ALPHA, now_s=now_s, roles=roles, revoked=revoked)
    assert caught.value.message == refusal
    assert caught.value.hint


def test_the_last_third_of_a_life_is_for_renewal() -> None:
    assert [ALPHA.is_due(day * DAY) for day in (101, 104, 105, 106, 109)] == [
        False, False, True, True, True,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text", ["", "worker", "worker/", "root/ann", "client/../x", "client/a b", "client/" + "a" * 64]
)
def test_what_is_no_identity(text: str) -> None:
    with pytest.raises(UserError):
        Identity.parse(text)


def test_an_identity_reads_as_it_prints() -> None:
    assert str(Identity.parse("client/ann")) == "client/ann"
    assert Identity.parse("client/ann").uri == "spiffe://maelstrom/client/ann"


@pytest.mark.parametrize(
    "names",
    [
        (),
        (("DNS", "spiffe://maelstrom/worker/alpha"),),
        (("URI", "https://maelstrom/worker/alpha"),),
        (("URI", "spiffe://maelstrom/worker/a"), ("URI", "spiffe://maelstrom/client/a")),
        (("URI", "spiffe://maelstrom/king/a"),),
    ],
)
def test_a_certificate_must_say_whose_it_is(names: tuple[tuple[str, str], ...]) -> None:
    found = {
        "serialNumber": "0A",
        "notBefore": "Jan  5 09:34:43 2031 GMT",
        "notAfter": "Jan  5 09:34:43 2032 GMT",
        "subjectAltName": names,
    }
    with pytest.raises(TrustError):
        Certificate.of_peer(found)
