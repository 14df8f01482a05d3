"""Projects of others, with the tests they have: `python -m tests.real`, or `nox -s real`.

Their ordinary way of testing and ours run in turns, on the same machine; verdicts and times of both
are compared. Three are Debian's sources, which need `deb-src` among the apt sources and what
`apt-get build-dep serf nanopb gpsd` installs; two are made here.
"""
