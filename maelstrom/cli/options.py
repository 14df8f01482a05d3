"""Kinds of values on command lines and in files."""

import click

from maelstrom.errors import UserError
from maelstrom.model import amounts, label
from maelstrom.model.amounts import Amounts
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


resources_option = click.option(
    "--resources",
    metavar="NAME=N,...",
    default="",
    help="What jobs may ask for besides slots, and how much of it this host has: `gpu=2,scope=1`.",
)
labels_option = click.option(
    "--labels",
    metavar="WORD,...",
    default="",
    help="What this host is, for jobs that require it: `arch=x86,fast`.",
)


def read_resources(text: str) -> Amounts:
    """Read `gpu=2,scope=1`; raises a usage error."""
    try:
        return amounts.read_resources(text)
    except ValueError as error:
        raise click.UsageError(
            f"`{error}` is not a resource: write NAME=N, as in `gpu=2`"
        ) from None


def read_labels(text: str) -> Amounts:
    """Read `arch=x86,fast` as resources; raises a usage error."""
    try:
        return label.read_labels(text)
    except ValueError as error:
        raise click.UsageError(
            f"`{error}` is not a label: write a word, as in `arch=x86,fast`"
        ) from None
