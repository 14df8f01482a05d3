"""Write `cluster.toml` to begin with, and add or remove a worker in it, keeping all else. Pure."""

import json

from maelstrom.errors import UserError
from provision.toml_lines import lines_of

TEMPLATE = """\
# A cluster: one broker, and workers that run test cases for it. `nox -s cluster_up` makes the
# hosts so. Keys that begin with # are optional, and shown with what holds without them, or an
# example. docs/cluster-up.md explains them.
format = 1
#version = "1.0.0"         # refuse to install another version than this
#wheel = "dist/NAME.whl"   # install this instead of the checkout

#certificate_days = 90     # they are renewed by `cluster_up` when a third of that is left
#ca_passphrase = "ask"     # for the authority's key; or "file:PATH", "env:NAME", "command:WORDS"

[ssh]                      # holds for all hosts; what is missing comes from your ssh configuration
user = "admin"             # root, or one who may use sudo
#port = 22
#key = "~/.ssh/id_ed25519"
#jump = "me@gate.example.org:22"
#config = "~/.ssh/config"
#known_hosts = "hosts"     # beside those that ssh knows

[broker]
host = "10.0.0.1"          # how ssh finds it: each host may have user, ssh_port, key and jump
#address = "10.0.0.1"      # how workers and clients find it
#port = 9001
#store_size = "10G"

[workers.w1]               # one table for each; a worker may be on the broker's host
host = "10.0.0.2"
#slots = 8                 # cases at a time; without it one for each CPU
#store_size = "10G"
#resources = { gpu = 2 }   # what cases may ask for besides a slot
#labels = ["arch=x86"]     # what cases may require the host to be
#identities = true         # cases may have several users and groups in their container

[workers.w2]
host = "10.0.0.3"
"""


def with_worker(text: str, name: str, host: str, slots: int) -> str:
    """Return the inventory with one more worker at its end."""
    if ("workers", name) in lines_of(text):
        raise UserError(f"there is a worker `{name}` already", hint="give this one another name")
    lines = [text.rstrip("\n"), "", f"[workers.{name}]", f"host = {json.dumps(host)}"]
    if slots:
        lines.append(f"slots = {slots}")
    return "\n".join([*lines, ""])


def without_worker(text: str, name: str) -> str:
    """Return the inventory without a worker: its table, up to the next one."""
    lines = text.splitlines(keepends=True)
    found = lines_of(text)
    first = found.get(("workers", name))
    if first is None or not lines[first - 1].lstrip().startswith("["):
        raise UserError(
            f"there is no table `[workers.{name}]` to remove", hint="remove it with an editor"
        )
    later = [line for path, line in found.items() if line > first and path[:2] != ("workers", name)]
    tables = [line for line in later if lines[line - 1].lstrip().startswith("[")]
    end = min(tables, default=len(lines) + 1)
    # Comments right above the next table belong to it.
    while end - 2 > first - 1 and lines[end - 2].lstrip().startswith("#") and end <= len(lines):
        end -= 1
    return "".join([*lines[: first - 1], *lines[end - 1 :]]).rstrip("\n") + "\n"
