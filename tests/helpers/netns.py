# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two daemons with a network of their own between them, which can be cut without a word: packets are dropped, nothing is refused."""
import contextlib
import itertools
import os
import subprocess

from helpers.host import Host

_numbers = itertools.count()


def run(*words):
    subprocess.run(words, check=True, capture_output=True)


class Network:
    """Two network namespaces, joined; addresses[i] is the one in names[i]."""

    def __init__(self):
        word = f"gw{os.getpid()}{next(_numbers)}"
        self.names = f"{word}a", f"{word}b"
        self.addresses = "10.77.0.1", "10.77.0.2"
        for name in self.names:
            run("ip", "netns", "add", name)
        run("ip", "link", "add", "wire", "netns", self.names[0], "type", "veth", "peer", "name", "wire", "netns", self.names[1])
        for name, address in zip(self.names, self.addresses):
            run("ip", "-n", name, "address", "add", f"{address}/24", "dev", "wire")
            for device in ("wire", "lo"):
                run("ip", "-n", name, "link", "set", device, "up")

    def inside(self, which, *words):
        return ["ip", "netns", "exec", self.names[which], *words]

    def cut(self):
        for which in (0, 1):
            for rule in ("add table inet cut", "add chain inet cut in { type filter hook input priority 0; policy drop; }",
                         "add rule inet cut in iifname lo accept"):
                run(*self.inside(which, "nft", rule))

    def mend(self):
        for which in (0, 1):
            run(*self.inside(which, "nft", "delete table inet cut"))

    def close(self):
        for name in self.names:
            with contextlib.suppress(subprocess.CalledProcessError):
                run("ip", "netns", "delete", name)


class NetworkHost(Host):
    """A godwitd in one of the namespaces."""

    def __init__(self, root, network, which, **common):
        super().__init__(root, tcp_port=16509, **{key: value for key, value in common.items() if key != "tcp_port"})
        self.network, self.which = network, which
        self.tcp_uri = f"qemu+tcp://{network.addresses[which]}:16509/system"

    def command(self):
        words = [word.replace("127.0.0.1", self.network.addresses[self.which]) for word in super().command()]
        return self.network.inside(self.which, *words)
