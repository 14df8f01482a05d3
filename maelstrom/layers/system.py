"""The lowest layer of every container: what programs expect of any system.

Names of users and of this host's own address, the links of a merged /usr as they are here (so that
libraries collected here are found), and the locale C.UTF-8. Nothing that tells one host from
another of the same distribution.
"""

import os

from maelstrom.layers.hasher import Hasher
from maelstrom.layers.host import HostPaths
from maelstrom.layers.tree import BuiltLayer, Tree

USER_ID = 1000
FILES = {
    "/etc/passwd": (
        "root:x:0:0:root:/root:/bin/sh\n"
        f"maelstrom:x:{USER_ID}:{USER_ID}:maelstrom:/tmp:/bin/sh\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    ),
    "/etc/group": f"root:x:0:\nmaelstrom:x:{USER_ID}:\nnogroup:x:65534:\n",
    "/etc/hosts": "127.0.0.1 localhost\n::1 localhost ip6-localhost\n127.0.1.1 maelstrom\n",
    "/etc/nsswitch.conf": (
        "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n"
    ),
    "/etc/host.conf": "multi on\n",
}
DIRECTORIES = ("/etc", "/root", "/usr/bin", "/usr/lib", "/usr/sbin", "/var/tmp")
MERGED = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
COPIED = ("/etc/protocols", "/etc/services", "/usr/lib/locale/C.utf8", "/usr/lib/locale/C.UTF-8")


def build(*, hasher: Hasher) -> BuiltLayer:
    """Build the base layer for containers made from this host."""
    tree = Tree()
    hosts = HostPaths("/nonexistent")
    for path, content in FILES.items():
        tree.add_bytes(path, content.encode())
    for path in DIRECTORIES:
        tree.add_directory(path)
    for path in MERGED:
        if os.path.islink(path):
            hosts.add(tree, path)
    for path in COPIED:
        for directory, _, names in os.walk(path):
            for name in names:
                hosts.add(tree, os.path.join(directory, name))
        if os.path.isfile(path):
            hosts.add(tree, path)
    return tree.finish(hasher)
