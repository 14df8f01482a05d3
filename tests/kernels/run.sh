# Run the tests as an ordinary user and as root, and the demo; what pytest gets is in `arguments`.
echo "tests begin on Linux $(uname -r) after $(cut -d . -f 1 /proc/uptime) s"
python3 -m venv --without-pip /srv/venv
echo /srv/tests/packages > "$(echo /srv/venv/lib/python3.*/site-packages)/tests.pth"
export PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 MAELSTROM_MUST_SANDBOX=1
cd /srv/tests/tree || exit 1
status=0
for user in tester root; do
    mkdir -m 755 "/var/tmp/$user"
    chown "$user" "/var/tmp/$user"
    echo "pytest as $user:"
    xargs -a ../arguments runuser -u "$user" -- env TMPDIR="/var/tmp/$user" \
        /srv/venv/bin/python -m pytest --color=no --tb=short -q -p no:cacheprovider || status=1
done
echo "the demo as tester, after $(cut -d . -f 1 /proc/uptime) s:"
cp -r /srv/tests/tree /home/tester/tree
chown -R tester /home/tester/tree
cd /home/tester/tree || exit 1
runuser -u tester -- env HOME=/home/tester \
    /srv/venv/bin/python -m SCons -Q test --maelstrom > /tmp/demo 2>&1 || status=1
cat /tmp/demo
echo "all done after $(cut -d . -f 1 /proc/uptime) s"
exit "$status"
