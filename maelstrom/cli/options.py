"""Kinds of values on command lines and in files."""

import re

import click

from maelstrom.errors import UserError
from maelstrom.model.label import as_resources, is_label
from maelstrom.wire.address import Address, parse

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class AddressType(click.ParamType[Address]):
    """`HOST:PORT` or `unix:PATH`."""

    name = "address"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Address:
        """Read it."""
        try:
            return parse(str(value))
        except UserError as error:
            self.fail(f"{error.message}; {error.hint}", param, ctx)


class SizeType(click.ParamType[int]):
    """A number of bytes, with K, M, G or T behind it."""

    name = "size"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Read it."""
        text = str(value).upper().removesuffix("B").removesuffix("I")
        digits = text.rstrip("KMGT")
        if not digits.isdecimal() or text[len(digits) :] not in _UNITS:
            self.fail(f"`{value}` is not a size; write for example 500M or 10G", param, ctx)
        return int(digits) * _UNITS[text[len(digits) :]]


def read_resources(text: str) -> tuple[tuple[str, int], ...]:
    """Read `gpu=2,scope=1`; raises a usage error."""
    found: dict[str, int] = {}
    for part in filter(None, text.split(",")):
        name, equals, amount = part.strip().partition("=")
        is_plain = bool(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", name)) and name != "slots"
        if not equals or not is_plain or not amount.isdecimal() or int(amount) < 1:
            raise click.UsageError(f"`{part}` is not a resource: write NAME=N, as in `gpu=2`")
        found[name] = int(amount)
    return tuple(sorted(found.items()))


def read_labels(text: str) -> tuple[tuple[str, int], ...]:
    """Read `arch=x86,fast` as resources; raises a usage error."""
    labels = [part.strip() for part in text.split(",") if part]
    for label in labels:
        if not is_label(label):
            raise click.UsageError(f"`{label}` is not a label: write a word, as in `arch=x86,fast`")
    return as_resources(labels)
