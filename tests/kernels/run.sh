# Run the tests as those users, or the demo, that `parts` names; what pytest gets is in `arguments`.
echo "tests begin on Linux $(uname -r) after $(cut -d . -f 1 /proc/uptime) s"
python3 -m venv --without-pip /srv/venv
printf '%s\n' /srv/tests/packages /srv/tests/tree > \
    "$(echo /srv/venv/lib/python3.*/site-packages)/tests.pth"
export PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 MAELSTROM_MUST_SANDBOX=1
# Root's sandbox runs as somebody with identities to give, too.
export MAELSTROM_USER=tester
grep -q ^tester: /etc/subuid ||
    usermod --add-subuids 100000-165535 --add-subgids 100000-165535 tester
modprobe fuse && chmod 666 /dev/fuse
groups=/sys/fs/cgroup
echo "+cpu +memory +pids" > $groups/cgroup.subtree_control
fallocate --length 256M /var/swap && chmod 600 /var/swap
mkswap --quiet /var/swap && swapon /var/swap

# As on hosts that collect crashes.
export MAELSTROM_TEST_CRASHED=/run/crashed
echo "|/usr/bin/touch $MAELSTROM_TEST_CRASHED" > /proc/sys/kernel/core_pattern

# Give a user a control group: the tests run in one part of it, and may hand on the other.
delegate() {
    mkdir "$groups/$1" "$groups/$1/tests" "$groups/$1/given"
    echo "+cpu +memory +pids" > "$groups/$1/cgroup.subtree_control"
    chown -R "$1" "$groups/$1"
    export MAELSTROM_TEST_CGROUP="$groups/$1/given"
    echo 0 > "$groups/$1/tests/cgroup.procs"
}

run_tests() (
    mkdir -m 755 "/var/tmp/$1"
    chown "$1" "/var/tmp/$1"
    delegate "$1"
    xargs -a ../arguments runuser -u "$1" -- env TMPDIR="/var/tmp/$1" \
        /srv/venv/bin/python -m pytest --color=no --tb=short -q \
        -p no:cacheprovider -p tests.kernels.at_once
)

run_demo() (
    cp -r /srv/tests/tree /home/tester/tree
    chown -R tester /home/tester/tree
    cd /home/tester/tree || exit 1
    runuser -u tester -- env HOME=/home/tester \
        /srv/venv/bin/python -m SCons -Q test --maelstrom > /tmp/demo 2>&1
    status=$?
    cat /tmp/demo
    exit $status
)

cd /srv/tests/tree || exit 1
status=0
for part in $(cat ../parts); do
    echo "$part, after $(cut -d . -f 1 /proc/uptime) s:"
    if [ "$part" = demo ]; then run_demo; else run_tests "$part"; fi || status=1
done
echo "all done after $(cut -d . -f 1 /proc/uptime) s"
exit "$status"
