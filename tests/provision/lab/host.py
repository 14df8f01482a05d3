"""One Debian host: its disk, its power switch, its plug and its console."""

import os
import shutil
import subprocess
import threading
import time
import uuid
from pathlib import Path

from tests.provision.lab import cgroups
from tests.provision.lab.command import run
from tests.provision.lab.network import Network

BOOT_S_MAX = 60.0
SHUTDOWN_S_MAX = 30.0
REBOOTED = 133  # What systemd-nspawn ends with when the host wants to boot again.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SYSCALLS = "@keyring landlock_create_ruleset landlock_add_rule landlock_restrict_self"
ADDRESSES = {"root": 0, "home/admin": 1000, "home/pat": 1001, "home/guest": 1002}


class Host:
    """A host; made by a Lab."""

    def __init__(self, name: str, address: str, *, network: Network, directory: Path) -> None:
        self.name = name
        self.address = address
        self.host_key = ""
        self._network = network
        self._directory = directory / name
        self._cgroup = f"{network.prefix}/{name}"
        self.root = self._directory / "root"
        self._process: subprocess.Popen[bytes] | None = None
        self._is_wanted_on = False

    def install(self, base: Path, public_key: str, var_bytes: int) -> None:
        """Make its disk: the image below, what it writes above; `/var` is a file system."""
        self.root.mkdir(parents=True)
        upper = self._directory / "upper"
        upper.mkdir()
        run("mount", "-t", "tmpfs", "-o", "size=2g,mode=755", "maelstrom-upper", upper)
        for name in ("changed", "work"):
            (upper / name).mkdir()
        options = f"lowerdir={base},upperdir={upper}/changed,workdir={upper}/work"
        run("mount", "-t", "overlay", "maelstrom-root", "-o", options, self.root)
        self._make_var(base, var_bytes)
        etc = self.root / "etc"
        (etc / "hostname").write_text(f"{self.name}\n")
        (etc / "machine-id").write_text(f"{uuid.uuid4().hex}\n")
        (etc / "hosts").write_text(f"127.0.0.1 localhost\n{self.address} {self.name}\n")
        self.make_host_key()
        for home, user in ADDRESSES.items():
            directory = self.root / home / ".ssh"
            directory.mkdir(mode=0o700, exist_ok=True)
            (directory / "authorized_keys").write_text(public_key)
            for path in (directory, directory / "authorized_keys"):
                os.chown(path, user, user)

    def _make_var(self, base: Path, size_bytes: int) -> None:
        # The upper directory of an overlay must not itself be on one.
        disk, var = self._directory / "var.ext4", self._directory / "var"
        var.mkdir()
        with disk.open("wb") as file:
            file.truncate(size_bytes)
        run("mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=1,nodiscard", disk)
        run("mount", "-o", "loop,noatime", disk, var)
        run("cp", "-a", f"{base}/var/.", var)

    def make_host_key(self) -> None:
        """Give it another key of its own."""
        key = self.root / "etc/ssh/ssh_host_ed25519_key"
        for path in (key, key.with_suffix(".pub")):
            path.unlink(missing_ok=True)
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.name, "-f", key)
        self.host_key = " ".join(key.with_suffix(".pub").read_text().split()[:2])

    def boot(self) -> None:
        """Switch it on and wait until it answers."""
        self._is_wanted_on = True
        self._start()
        end = time.monotonic() + BOOT_S_MAX
        while not self._network.answers(self.address, 22, b"SSH-"):
            if time.monotonic() > end or (self._process and self._process.poll() == 1):
                raise RuntimeError(f"{self.name} did not boot:\n{self.console()[-3000:]}")
            time.sleep(0.03)

    def _start(self) -> None:
        groups = cgroups.directories(self._cgroup)
        for group in groups:
            group.mkdir(parents=True, exist_ok=True)
        command = [
            "systemd-nspawn", "-D", str(self.root), "--boot", "--register=no", "--keep-unit",
            f"--machine={self._network.namespace(self.name)}",
            f"--network-namespace-path=/run/netns/{self._network.namespace(self.name)}",
            "--resolv-conf=off", "--timezone=off", "--link-journal=no", "--console=pipe",
            f"--bind={self._directory}/var:/var", f"--system-call-filter={_SYSCALLS}",
        ]  # fmt: skip
        # Into its cgroups first: the host makes its own below them.
        joined = "".join(f"echo $$ > {group}/cgroup.procs; " for group in groups)
        with (self._directory / "console").open("ab") as console:
            self._process = subprocess.Popen(
                ["sh", "-c", f'{joined}exec "$@"', "sh", *command],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                env={"PATH": PATH, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
                start_new_session=True,
            )
        threading.Thread(target=self._watch, args=(self._process,), daemon=True).start()

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        if process.wait() == REBOOTED and self._is_wanted_on:
            self._start()

    def console(self) -> str:
        """Return what the host wrote to its console."""
        return (self._directory / "console").read_text(errors="replace")

    @property
    def is_on(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def shut_down(self) -> None:
        """Switch it off as `poweroff` does."""
        self._is_wanted_on = False
        if self._process is not None and self.is_on:
            self._process.terminate()
            self._process.wait(SHUTDOWN_S_MAX)

    def cut_power(self) -> None:
        """Kill all its processes at once."""
        self._is_wanted_on = False
        if self._process is not None and self.is_on:
            cgroups.kill(self._cgroup)
            self._process.wait(SHUTDOWN_S_MAX)

    def freeze(self, *, frozen: bool) -> None:
        """Make it hang while it still answers pings, or heal it."""
        cgroups.freeze(self._cgroup, frozen=frozen)

    def set_link(self, state: str) -> None:
        """Plug it in (`up`) or out (`down`)."""
        self._network.set_link(self.name, state)

    def run(
        self, command: str, *, check: bool = True, user: str = "root", timeout_s: float = 120
    ) -> str:
        """Run a shell command inside, not through ssh; return what it wrote."""
        assert self._process is not None
        leader = run("pgrep", "-P", str(self._process.pid)).stdout.split()[0]
        become = [] if user == "root" else ["runuser", "-u", user, "--"]
        # Nothing of our environment may reach the host.
        done = run(
            "nsenter", "-t", leader, "-a", "env", "-i", f"PATH={PATH}", "LANG=C.UTF-8",
            f"HOME=/home/{user}", *become, "sh", "-c", command, check=check,
            timeout_s=timeout_s,
        )  # fmt: skip
        return done.stdout

    def destroy(self) -> None:
        """Switch it off and remove its disk."""
        self.cut_power()
        for path in (self._directory / "var", self.root, self._directory / "upper"):
            run("umount", path, check=False)
        cgroups.remove(self._cgroup)
        shutil.rmtree(self._directory, ignore_errors=True)
