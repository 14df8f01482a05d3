#!/bin/sh
# What makes a fresh Debian tree a host as a cloud would give it: `customize.sh ROOT`.
set -eu
root=$1
# Each host gets its own of these; a name left here would win over the one given at boot.
rm -f "$root"/etc/ssh/ssh_host_*key* "$root/etc/hostname" "$root/etc/resolv.conf"
: > "$root/etc/machine-id"
echo 'LANG=C.UTF-8' > "$root/etc/default/locale"

# admin: sudo as clouds give it; pat: sudo with a password; guest: no sudo at all.
for user in admin pat guest; do chroot "$root" useradd --create-home --shell /bin/bash "$user"; done
echo 'admin ALL=(ALL) NOPASSWD: ALL' > "$root/etc/sudoers.d/90-admin"
echo 'pat ALL=(ALL) ALL' > "$root/etc/sudoers.d/91-pat"
chmod 440 "$root"/etc/sudoers.d/9*
echo 'pat:correct horse' | chroot "$root" chpasswd

cat > "$root/etc/ssh/sshd_config.d/10-test.conf" <<'CONFIG'
PasswordAuthentication no
PermitRootLogin prohibit-password
UseDNS no
CONFIG

for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
    e2scrub_reap.service fstrim.timer systemd-resolved.service getty@tty1.service \
    console-getty.service systemd-timesyncd.service sys-fs-fuse-connections.mount \
    dev-hugepages.mount; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
rm -rf "$root"/usr/share/doc/* "$root"/usr/share/man/* "$root"/usr/share/locale/* \
    "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/*.log
