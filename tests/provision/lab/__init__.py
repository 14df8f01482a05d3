"""Real hosts for tests, booted by systemd-nspawn on this machine; needs root."""
