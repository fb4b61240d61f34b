# SPDX-License-Identifier: LGPL-2.1-or-later
"""godwit migrate --check with a libvirtd at one end: what its protocol tells is used, the rest is not claimed."""
import libvirt

from helpers.cli import godwit
from helpers.guest import bare_xml, disk_image
from helpers.tools import virsh


def check(source, destination, *words, ok=True):
    return godwit("migrate", "--check", "mover", destination.tcp_uri, *words, "--output", "json", uri=source.uri, ok=ok)


def start(host, text):
    connection = libvirt.open(host.uri)
    connection.defineXML(text).create()
    connection.close()


def worst(document):
    order = ["pass", "unknown", "note", "warn", "fail"]
    found = {}
    for finding in document["destinations"][0]["findings"]:
        found[finding["id"]] = max(found.get(finding["id"], "pass"), finding["result"], key=order.index)
    return found


def test_libvirtd_as_destination(mixed_hosts, tmp_path):
    peer, host = mixed_hosts
    disk = disk_image(f"{tmp_path}/disk")
    start(host, bare_xml("mover", disk=disk))
    for words in ([], ["--p2p"]):
        found = worst(check(host, peer, *words).json)
        for rule in ("same-host", "name-free", "emulator", "machine", "qemu-older", "vcpus"):
            assert found[rule] == "pass", found
        for rule in ("disk-present", "disk-same", "port"):
            assert found[rule] == "unknown", found
        assert "fail" not in found.values()


def test_what_libvirtd_tells_counts(mixed_hosts, tmp_path):
    peer, host = mixed_hosts
    start(host, bare_xml("mover"))
    other = bare_xml("mover")
    virsh(peer, "define", "/dev/stdin", stdin=other)
    path = f"{tmp_path}/there.xml"
    with open(path, "w") as file:
        nic = "<interface type='network'><source network='nowhere'/><mac address='52:54:00:00:00:01'/></interface>"
        file.write(virsh(host, "dumpxml", "--migratable", "mover").text.replace("</devices>", f"{nic}</devices>"))
    found = worst(check(host, peer, "--xml", path, ok=False).json)
    assert [rule for rule, result in found.items() if result == "fail"] == ["name-free", "networks"]


def test_libvirtd_as_source(mixed_hosts):
    peer, host = mixed_hosts
    start(peer, bare_xml("mover"))
    assert "only godwitd can check a migration" in check(peer, host, ok=False).errors
