# SPDX-License-Identifier: LGPL-2.1-or-later
"""A conversion whose source is a real libvirtd behind a real sshd on this machine."""
import os
import subprocess
import time
from xml.etree import ElementTree

import libvirt
import pytest

from helpers.cli import godwit
from helpers.daemon import free_port
from helpers.host import BUILD
from helpers.peer import Peer

GUEST = """<domain type='qemu'><name>old</name><uuid>0e3f2c34-8a1f-4c7e-9d13-2f9a52f3b001</uuid><memory>65536</memory>
<os><type arch='x86_64'>hvm</type></os><devices>
<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{image}'/><target dev='hda' bus='ide'/></disk>
<interface type='bridge'><mac address='00:16:3e:01:02:03'/><source bridge='xenbr0'/><model type='rtl8139'/></interface>
<graphics type='vnc' port='-1' passwd='geheim'/></devices></domain>"""


@pytest.fixture(scope="module")
def sshd(scratch):
    """A port at which a private sshd listens, the key that it lets in, and ssh."""
    if not os.path.exists("/usr/sbin/sshd"):
        pytest.fail("/usr/sbin/sshd is missing: scripts/deps test installs it")
    os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
    for name in ("host_key", "id"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{scratch}/{name}"], check=True)
    port = free_port()
    options = {"Port": port, "ListenAddress": "127.0.0.1", "HostKey": f"{scratch}/host_key", "AuthorizedKeysFile": f"{scratch}/id.pub",
               "PidFile": "none", "StrictModes": "no", "UsePAM": "no", "SetEnv": f"PATH={BUILD}:/usr/bin:/bin",
               "PasswordAuthentication": "no", "PermitRootLogin": "yes"}
    server = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", *(word for name, value in options.items()
                                                                              for word in ("-o", f"{name}={value}"))],
                              stderr=open(f"{scratch}/sshd.log", "w"))
    try:
        deadline = time.monotonic() + 30
        while "listening" not in open(f"{scratch}/sshd.log").read():
            assert server.poll() is None and time.monotonic() < deadline, open(f"{scratch}/sshd.log").read()
            time.sleep(0.05)
        ssh = f"{scratch}/ssh"      # the real one, which leaves root's known hosts alone
        with open(ssh, "w") as file:
            file.write("#!/bin/sh\nexec /usr/bin/ssh -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \"$@\"\n")
        os.chmod(ssh, 0o755)
        yield port, f"{scratch}/id", ssh
    finally:
        server.terminate()
        server.wait()


def test_definition_over_ssh(make_host, scratch, sshd, tmp_path):
    peer = make_host("peer", kind=Peer)
    port, key, ssh = sshd
    image = tmp_path / "a.img"
    image.write_bytes(bytes(1 << 20))
    source = libvirt.open(peer.uri)
    source.defineXML(GUEST.format(image=image))
    before = source.lookupByName("old").XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE)
    # a libvirtd of this machine has no Xen: name= asks it for its QEMU
    uri = (f"xen+ssh://root@127.0.0.1:{port}/?name=qemu:///system&socket={peer.socket}&keyfile={key}&no_verify=1&no_tty=1"
           f"&command={ssh}")
    answer = godwit("convert", "old", "-i", "libvirt", "-ic", uri, "--xml-only", "--bridge", "br0", "--virt-type", "qemu")
    tree = ElementTree.fromstring(answer.out)
    assert tree.find(".//interface/source").get("bridge") == "br0" and tree.find(".//interface/model").get("type") == "virtio"
    assert tree.find(".//graphics").get("passwd") == "geheim" and "geheim" not in answer.errors
    assert "are on another host" in godwit("convert", "old", "-ic", uri, "-os", tmp_path, "--virt-type", "qemu", ok=False).errors
    assert "ssh says" in godwit("convert", "old", "-ic", uri.replace(key, "/nonexistent"), "--xml-only", ok=False).errors
    assert source.lookupByName("old").XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE) == before
    source.lookupByName("old").undefine()
