"""A program in a copy of the worker's unit: with all that closes it, and all that it is given."""

from tests.provision.lab.host import Host

_UNIT = "/etc/systemd/system/maelstrom-worker.service"
_COPY = "/run/systemd/system/try-worker.service"
# What starts the worker, and ends it, is another program's own.
_OTHERS = "Type|Restart|RestartSec|ExecStartPre|WatchdogSec|NotifyAccess|Timeout[A-Za-z]*"


def run_in_unit(host: Host, command: str, *settings: str) -> str:
    """Run a shell command as the worker is run; return what it wrote, and its exit status."""
    more = "".join(f"{setting}\\n" for setting in settings)
    said = host.run(
        f"sed -E -e '/^({_OTHERS})=/d' -e '/^ExecStart=/d'"
        f" -e 's#^\\[Service\\]#[Service]\\nType=oneshot\\nExecStart=/bin/sh /run/try.sh\\n{more}"
        f"StandardOutput=truncate:/run/try.log\\nStandardError=inherit#' {_UNIT} > {_COPY}"
        f" && printf '%s\\n' '{command}' > /run/try.sh && chmod 644 /run/try.sh"
        " && systemctl daemon-reload; systemctl start try-worker; status=$?; cat /run/try.log;"
        f" rm -f {_COPY} /run/try.sh /run/try.log; systemctl reset-failed try-worker 2>/dev/null;"
        " systemctl daemon-reload; echo status $status",
        check=False,
        timeout_s=900,
    )
    assert "'" not in command
    return said
