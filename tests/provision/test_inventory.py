"""What `cluster.toml` may say, and what is said about what it may not."""

import pytest

from maelstrom.errors import UserError
from provision.inventory import BrokerRole, Host, Login, WorkerRole, read_inventory

GOOD = """\
format = 1
[ssh]
user = "ann"
jump = "bob@gate:2222"
[broker]
host = "10.0.0.1"
[workers.w1]
host = "10.0.0.2"
slots = 8
store_size = "20G"
"""


def test_an_inventory_of_ten_lines_is_enough() -> None:
    inventory = read_inventory(GOOD)
    ann = {"user": "ann", "jump": "bob@gate:2222"}
    assert inventory.hosts == (
        Host("broker", Login("10.0.0.1", **ann), broker=BrokerRole("10.0.0.1")),
        Host("w1", Login("10.0.0.2", **ann), worker=WorkerRole("w1", 8, 20 << 30)),
    )


def test_what_a_host_says_goes_before_what_all_say() -> None:
    text = GOOD + 'user = "carol"\nssh_port = 2200\njump = "other"\nkey = "~/.ssh/w1"\n'
    login = read_inventory(text).host("w1").login
    assert login == Login("10.0.0.2", user="carol", port=2200, key="~/.ssh/w1", jump="other")


def test_a_broker_may_be_found_at_another_address_than_ssh_finds_it() -> None:
    inventory = read_inventory(GOOD.replace("[workers.w1]", 'address = "b.example"\n[workers.w1]'))
    assert inventory.broker.address == "b.example"
    assert inventory.hosts[0].login.host == "10.0.0.1"


def test_a_worker_on_the_brokers_host_makes_one_host_of_two_roles() -> None:
    (host,) = read_inventory(GOOD.replace("10.0.0.2", "10.0.0.1")).hosts
    assert host.roles == ("broker", "worker")


def test_a_worker_says_what_cases_may_ask_for() -> None:
    text = GOOD + "resources = { scope = 1, gpu = 2 }\nidentities = true\n"
    text += 'labels = ["fast", "arch=x86", "fast"]\n'
    assert read_inventory(text).host("w1").worker == WorkerRole(
        "w1", 8, 20 << 30, (("gpu", 2), ("scope", 1)), ("arch=x86", "fast"), has_identities=True
    )


BAD = {
    "a key with a typing error": (
        GOOD.replace("slots", "slot"),
        9, "`slot` is not a key of worker `w1`", "did you mean `slots`?",
    ),
    "a key that nothing resembles": (
        GOOD.replace("slots = 8", "xyzzy = 8"),
        9, "`xyzzy` is not a key of worker `w1`", "host, identities, jump",
    ),
    "a table that is not one": (
        GOOD.replace("[broker]", "[brokers]"), 5, "`brokers` is not a key", "`broker`?",
    ),
    "a passphrase itself": (
        'ca_passphrase = "correct horse"\n' + GOOD, 1, "`ca_passphrase` cannot be", 'write "ask"',
    ),
    "a worker twice": (
        GOOD + '[workers.w1]\nhost = "10.0.0.3"\n', 11, "worker `w1` is there twice", "own name",
    ),
    "two workers on one host": (
        GOOD + '[workers.w2]\nhost = "10.0.0.2"\n',
        12, "workers `w1` and `w2` are the same host", "`slots` of both",
    ),
    "no broker": (
        'format = 1\n[workers.w1]\nhost = "a"\n', 1, "there is no broker", "add `[broker]`",
    ),
    "a broker without workers": (
        'format = 1\n[broker]\nhost = "a"\n', 1, "there is a broker but no worker", "[workers.w1]",
    ),
    "a worker without a host": (
        GOOD.replace('host = "10.0.0.2"\n', ""), 7, "`[workers.w1]` has no `host`", "ADDRESS",
    ),
    "a worker with the broker's name": (
        GOOD.replace("workers.w1", "workers.broker"), 7, "`broker` cannot be the name", "taken",
    ),
    "a worker with a name that is none": (
        GOOD.replace("workers.w1", 'workers."../x"'), 7, "`../x` cannot be the name", "hyphens",
    ),
    "an inventory of a newer version": (
        GOOD.replace("format = 1", "format = 2"), 1, "format 2 is newer", "update this checkout",
    ),
    "an inventory without a format": (
        GOOD.replace("format = 1\n", ""), 1, "does not say its `format`", "`format = 1`",
    ),
    "no slots": (GOOD.replace("= 8", "= 0"), 9, "`slots = 0` cannot be", "from 1 to 1000"),
    "slots that are true": (GOOD.replace("= 8", "= true"), 9, "`slots = True`", "whole number"),
    "a size without a unit": (
        GOOD.replace('"20G"', "20"), 10, "`store_size = 20` cannot be", '"20G"',
    ),
    "a host that would be an option of ssh": (
        GOOD.replace("10.0.0.2", "-oProxyCommand=x"), 8, "cannot be", "a host name",
    ),
    "a resource that is a slot": (
        GOOD + "resources = { slots = 1 }\n", 11, "`resources` cannot be", "`{ gpu = 2 }`",
    ),
    "less than one of a resource": (
        GOOD + "resources = { gpu = 0 }\n", 11, "`resources` cannot be", "`{ gpu = 2 }`",
    ),
    "labels that are a table": (
        GOOD + 'labels = { arch = "x86" }\n', 11, "`labels` cannot be", '["arch=x86", "fast"]',
    ),
    "a label that is no word": (
        GOOD + 'labels = ["a,b"]\n', 11, "`labels` cannot be", "a list of words",
    ),
    "identities that are no yes or no": (
        GOOD + "identities = 65536\n", 11, "`identities = 65536` cannot be", "true or false",
    ),
    "what is not TOML": (GOOD.replace("slots = 8", "slots ="), 9, "invalid value", "toml.io"),
    "a worker on the broker's host with another login": (
        GOOD.replace("10.0.0.2", "10.0.0.1") + 'user = "carol"\n', 7, "another login", "the same",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_is_refused_with_its_line_and_what_to_write(case: str) -> None:
    text, line, message, hint = BAD[case]
    with pytest.raises(UserError) as caught:
        read_inventory(text)
    assert caught.value.message.startswith(f"cluster.toml line {line}: ")
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_host_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(UserError, match="no host `w7`") as caught:
        read_inventory(GOOD).host("w7")
    assert caught.value.hint == "it has broker, w1"
