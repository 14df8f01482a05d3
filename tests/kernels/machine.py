"""What QEMU and its guest are told about each kind of processor, as Debian names them."""

from typing import NamedTuple


class Machine(NamedTuple):
    """An emulated machine of one processor."""

    name: str
    """As Linux names it."""
    emulator: tuple[str, ...]
    console: str


MACHINES = {
    # Each processor without what takes long to emulate.
    "amd64": Machine(
        "x86_64",
        ("qemu-system-x86_64", "-cpu", "max,-erms,-fsrm,-la57,-avx,-avx2", "-M", "q35,hpet=off"),
        "ttyS0",
    ),
    "arm64": Machine(
        "aarch64",
        ("qemu-system-aarch64", "-cpu", "max,pauth=off,sve=off,sme=off,lpa2=off", "-M", "virt"),
        "ttyAMA0",
    ),
}
