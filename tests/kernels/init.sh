#!/bin/sh
# Be process 1 of a machine that only runs tests: unpack the second disk, run what is in it, stop.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts 2> /dev/null ||
    { mkdir -p /dev/pts && mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts; }
mkdir -p /dev/shm
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ip link set lo up
hostname debian
# As systemd sets them.
ulimit -H -n 524288
ulimit -S -n 1024
mkdir /srv/tests
tar -x -f /dev/vdb -C /srv/tests
sh /srv/tests/run.sh
echo "tests ended with status $?"
sync
echo o > /proc/sysrq-trigger
sleep 60
