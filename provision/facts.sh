# What a host is and has: run there as root by `sh -s`, with PATHS, UNITS, USERS, SETTINGS and
# NAMES set before. Changes nothing. Each part begins with a line `@@ NAME`.
export LC_ALL=C
part() { printf '@@ %s\n' "$1"; }

part os; cat /etc/os-release 2>/dev/null
part machine; uname -m
part linux; uname -r
part clock; date +%s.%N
part cpus; nproc
part memory; cat /proc/meminfo
part systemd; systemctl --version 2>/dev/null
part container; systemd-detect-virt --container 2>/dev/null
part pythons
asked=
for python in /usr/bin/python3 /usr/bin/python3.1[1-9] /usr/local/bin/python3; do
    [ -x "$python" ] || continue
    # Each once, by whatever names it goes.
    real=$(readlink -f "$python")
    case " $asked " in *" $real "*) continue ;; esac
    asked="$asked $real"
    printf '%s ' "$python"
    "$python" -I -S -c 'import sys, importlib.util as found
found.find_spec("venv") or sys.exit(1); print(*sys.version_info[:3])' 2>/dev/null || echo broken
done
part disks; df -PB1 /opt /var/lib
part users; for user in $USERS; do getent passwd "$user"; done
part subuids; cat /etc/subuid 2>/dev/null
part subgids; cat /etc/subgid 2>/dev/null
part paths
for path in $PATHS; do
    stat -c '%n %a %U %G %F' "$path" 2>/dev/null || continue
    if [ -L "$path" ]; then printf '  '; readlink "$path"; fi
    if [ -f "$path" ] && [ ! -L "$path" ]; then printf '  '; base64 -w0 "$path"; echo; fi
done
part releases
for path in $(ls -tr /opt/maelstrom/releases/*/.complete 2>/dev/null); do
    [ -e "$path" ] && basename "$(dirname "$path")"
done
part units
systemctl show -p Id,LoadState,ActiveState,SubState,UnitFileState,NeedDaemonReload \
    -p NRestarts,StatusText,MainPID -- $UNITS 2>/dev/null
part started
for path in /run/maelstrom/*.started; do
    [ -e "$path" ] && printf '%s %s\n' "$(basename "$path" .started)" "$(cat "$path")"
done
part ports; ss -Hltnp 2>/dev/null
part settings
for name in $SETTINGS; do
    [ -e "/proc/sys/$name" ] && printf '%s %s\n' "$name" "$(cat "/proc/sys/$name")"
done
part names
for name in $NAMES; do
    printf '%s %s\n' "$name" "$(getent ahosts "$name" | head -n 1 | cut -d ' ' -f 1)"
done
part certificates
for path in /var/lib/maelstrom-*/tls/identity.pem; do
    [ -e "$path" ] || continue
    role=${path#/var/lib/maelstrom-}
    # The same file holds the key, which never leaves the host.
    printf '%s %s\n' "${role%%/*}" "$(sed -n '/BEGIN CERT/,/END CERT/p' "$path" | base64 -w0)"
done
part end
