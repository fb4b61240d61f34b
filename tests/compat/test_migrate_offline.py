# SPDX-License-Identifier: LGPL-2.1-or-later
"""--offline: a guest that does not run is moved as its definition, with what its firmware remembers."""
import os

import libvirt
import pytest

from helpers import guest
from helpers.cli import godwit
from helpers.tools import virsh
from helpers.traveller import ROUTE

pytestmark = pytest.mark.godwit
OFFLINE = ["--offline", "--persistent"]


@pytest.fixture
def settled(two_hosts, scratch):
    """A defined guest with NVRAM, and the same with another place for that on the destination."""
    here, there = f"{scratch}/here.fd", f"{scratch}/there.fd"
    for path in (here, there):
        if os.path.exists(path):
            os.unlink(path)
    with open(here, "wb") as out:
        out.write(bytes(range(256)) * 2064)     # 528 KiB
    connection = libvirt.open(two_hosts[0].uri)
    xml = guest.domain_xml("settled", boot=False, serial=None, machine="q35").replace(
        "hvm</type>", "hvm</type><loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader>"
        f"<nvram>{here}</nvram>")
    connection.defineXML(xml)
    connection.close()
    changed = f"{scratch}/changed.xml"
    with open(changed, "w") as out:
        out.write(virsh(two_hosts[0], "dumpxml", "--inactive", "settled").text.replace(here, there))
    yield changed, here, there
    for host in two_hosts:
        virsh(host, "undefine", "--keep-nvram", "settled", ok=None)


def defined(host):
    return virsh(host, "list", "--all", "--name").text.split()


def same(one, other):
    with open(one, "rb") as a, open(other, "rb") as b:
        return a.read() == b.read()


@pytest.mark.parametrize("words", [[], ["--p2p"]], ids=["direct", "p2p"])
def test_definition_and_nvram(two_hosts, settled, words):
    changed, here, there = settled
    virsh(two_hosts[0], "migrate", *OFFLINE, "--undefinesource", *words, "--xml", changed, "settled",
          two_hosts[1].tcp_uri, *ROUTE)
    assert [defined(host) for host in two_hosts] == [[], ["settled"]]
    assert there in virsh(two_hosts[1], "dumpxml", "settled").text
    assert same(here, there)


def test_own_client(two_hosts, settled):
    changed, here, there = settled
    godwit("migrate", "settled", two_hosts[1].tcp_uri, *OFFLINE, "--xml", changed, *ROUTE, uri=two_hosts[0].uri)
    assert [defined(host) for host in two_hosts] == [["settled"], ["settled"]]
    assert same(here, there)


def test_what_does_not_fit(two_hosts, settled):
    source, target = two_hosts
    assert "--persistent" in virsh(source, "migrate", "--offline", "settled", target.tcp_uri, *ROUTE, ok=False).errors
    answer = virsh(source, "migrate", *OFFLINE, "--copy-storage-all", "settled", target.tcp_uri, *ROUTE, ok=False)
    assert "storage" in answer.errors, answer
    virsh(source, "start", "settled")
    assert "settled" in virsh(source, "migrate", *OFFLINE, "settled", target.tcp_uri, *ROUTE, ok=False).errors
    virsh(source, "destroy", "settled")
    assert [defined(host) for host in two_hosts] == [["settled"], []]
