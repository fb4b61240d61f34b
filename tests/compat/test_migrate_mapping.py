# SPDX-License-Identifier: LGPL-2.1-or-later
"""Networks, bridges and pools that are called otherwise on the destination."""
import contextlib
import os
import socket
import xml.etree.ElementTree as ET

import libvirt
import pytest

from helpers.cli import godwit
from helpers.guest import bare_xml
from helpers.tools import long, virsh
from helpers.traveller import ROUTE
from helpers.volumes import digest, fill

pytestmark = pytest.mark.godwit
INACTIVE = libvirt.VIR_DOMAIN_XML_INACTIVE
CARDS = ("<interface type='network'><source network='office'/></interface>"
         "<interface type='network'><source network='lab'/></interface>"
         "<interface type='bridge'><source bridge='br0'/></interface>"
         "<interface type='direct'><source dev='eth0' mode='bridge'/></interface>")


def volume_disk(pool, volume="disk.img"):
    return ("<disk type='volume' device='disk'><driver name='qemu' type='raw' cache='none'/>"
            f"<source pool='{pool}' volume='{volume}'/><target dev='vda' bus='virtio'/></disk>")


def names(host, name="mapped", flags=0):
    """[networks], [bridges and interfaces], [pools] of a domain."""
    with contextlib.closing(libvirt.open(host.uri)) as connection:
        root = ET.fromstring(connection.lookupByName(name).XMLDesc(flags))
    sources = [source.attrib for source in root.findall("devices/*/source")]
    return [[source[key] for source in sources for key in keys if key in source]
            for keys in (("network",), ("bridge", "dev"), ("pool",))]


def migrate(hosts, *words, ok=True):
    return godwit("migrate", "mapped", hosts[1].tcp_uri, *words, *ROUTE, uri=hosts[0].uri, ok=ok, timeout=120)


@pytest.fixture
def defined(two_hosts):
    def define(devices):
        with contextlib.closing(libvirt.open(two_hosts[0].uri)) as connection:
            return connection.defineXML(bare_xml("mapped", devices=devices)).name()
    return define


@pytest.mark.parametrize("words", [[], long(["--p2p"])], ids=["direct", "p2p"])
def test_definition(two_hosts, defined, words):
    """Two networks change their names with each other; what is not named stays."""
    defined(CARDS + volume_disk("images"))
    migrate(two_hosts, "--offline", "--persistent", *words, "--map-network", "office:lab", "--map-network=lab:office",
            "--map-bridge", "eth0:enp1s0", "--map-pool", "images:fast")
    assert names(two_hosts[1]) == [["lab", "office"], ["br0", "enp1s0"], ["fast"]]
    assert names(two_hosts[0]) == [["office", "lab"], ["br0", "eth0"], ["images"]]


def test_names_that_make_no_sense(two_hosts, defined):
    defined(CARDS)
    offline = ["--offline", "--persistent"]
    answer = migrate(two_hosts, *offline, "--map-network", "office:x", "--map-network", "offcie:y", ok=False)
    assert "uses no network 'offcie'" in answer.errors and "'lab'" in answer.errors
    assert "uses no storage pool 'p'" in migrate(two_hosts, *offline, "--map-pool", "p:q", ok=False).errors
    assert "names 'br0' twice" in migrate(two_hosts, *offline, "--map-bridge", "br0:a", "--map-bridge", "br0:b",
                                          ok=False).errors
    for word in ("office", ":x", "office:", "office:x,lab:y"):
        assert f"'{word}' is not OLD:NEW" in migrate(two_hosts, *offline, "--map-network", word, ok=False).errors
    assert not virsh(two_hosts[1], "list", "--all", "--name").text


@pytest.fixture
def pools(two_hosts, folder):
    """Makes a pool of that name on each host; returns the two directories."""
    made = []

    def make(here, there, shared):
        folders = [f"{folder}/{here}", f"{folder}/{here if shared else there}"]
        for host, name, path in zip(two_hosts, (here, there), folders):
            os.makedirs(path, exist_ok=True)
            virsh(host, "pool-create-as", name, "dir", "--target", path)
            made.append((host, name))
        with open(f"{folders[0]}/disk.img", "wb") as file:
            file.truncate(4 << 20)
        virsh(two_hosts[0], "pool-refresh", here)
        virsh(two_hosts[1], "pool-refresh", there)
        return folders
    yield make
    for host in two_hosts:
        virsh(host, "destroy", "mapped", ok=None)
    for host, name in made:
        virsh(host, "pool-destroy", name)


def start_paused(host):
    virsh(host, "start", "--paused", "mapped")


@pytest.mark.parametrize("words", [[], long(["--p2p"])], ids=["direct", "p2p"])
def test_live_on_shared_storage(two_hosts, defined, pools, words):
    pools("shared-a", "shared-b", shared=True)
    defined(volume_disk("shared-a"))
    start_paused(two_hosts[0])
    answer = migrate(two_hosts, "--check", *words, ok=False)
    assert "shared-a" in answer.out, "the preflight missed that there is no such pool"
    assert migrate(two_hosts, "--check", *words, "--map-pool", "shared-a:shared-b").status == 0
    migrate(two_hosts, "--live", "--persistent", "--undefinesource", *words, "--map-pool", "shared-a:shared-b")
    assert names(two_hosts[1])[2] == names(two_hosts[1], flags=INACTIVE)[2] == ["shared-b"]


def volumes(host, pool):
    return [line.split()[0] for line in virsh(host, "vol-list", pool).text.splitlines()[2:]]


@pytest.mark.parametrize("words", [["--p2p"], long([])], ids=["p2p", "direct"])
def test_copied_into_the_other_pool(two_hosts, defined, pools, words):
    """The image is made in the pool of the new name, which lists it; an arrival that fails leaves it in neither."""
    here, there = pools("own-a", "own-b", shared=False)
    content = fill(f"{here}/disk.img", [0, 2 << 20])
    defined(volume_disk("own-a"))
    start_paused(two_hosts[0])
    copy = ["--live", "--copy-storage-all", *words, "--map-pool", "own-a:own-b"]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        migrate(two_hosts, *copy, "--disks-port", taken.getsockname()[1], ok=False)
    assert os.listdir(there) == [] == volumes(two_hosts[1], "own-b")
    migrate(two_hosts, *copy)
    assert volumes(two_hosts[1], "own-b") == ["disk.img"]
    assert names(two_hosts[1])[2] == ["own-b"]
    virsh(two_hosts[1], "destroy", "mapped")
    assert digest(f"{there}/disk.img") == content
