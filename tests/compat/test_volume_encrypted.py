# SPDX-License-Identifier: LGPL-2.1-or-later
"""Encrypted volumes: LUKS as it is and inside of qcow2, with secrets. Each making and opening of one costs seconds of the
processor, on purpose: so most of this is for --full."""
import base64
import os
import subprocess

import libvirt
import pytest

from helpers import guest, tools
from helpers.cli import godwit
from helpers.volumes import MIB, code_of, digest, image_info, target, volume_xml

PASSPHRASE = "open sesame"


@pytest.fixture
def secrets(connection):
    """secrets(passphrase, usage=None): makes one, returns its UUID."""
    made = []

    def make(passphrase=PASSPHRASE, usage=None):
        usage = f"<usage type='volume'><volume>{usage}</volume></usage>" if usage else ""
        made.append(connection.secretDefineXML(f"<secret private='yes'>{usage}</secret>"))
        made[-1].setValue(passphrase.encode())
        return made[-1].UUIDString()
    yield make
    for secret in made:
        secret.undefine()


def encryption(uuid=None, more=""):
    return f"<encryption format='luks'>{more}" + (f"<secret type='passphrase' uuid='{uuid}'/>" if uuid else "") + "</encryption>"


def options(path, kind, passphrase=PASSPHRASE):
    how = "driver=luks,key-secret=s" if kind == "raw" else f"driver={kind},encrypt.format=luks,encrypt.key-secret=s"
    return ["--object", f"secret,id=s,data={passphrase}", "--image-opts", f"{how},file.driver=file,file.filename={path}"]


def write(path, kind, pattern):
    """Through the encryption; raises when the passphrase does not fit."""
    subprocess.run(["qemu-io", *options(path, kind), "-c", f"write -P {pattern} 0 64k"], check=True, capture_output=True)


def reads(path, kind, pattern, passphrase=PASSPHRASE):
    done = subprocess.run(["qemu-io", *options(path, kind, passphrase), "-c", f"read -P {pattern} 0 64k"], capture_output=True, text=True)
    return done.returncode == 0 and "failed" not in done.stdout


@pytest.mark.parametrize("kind", [tools.long("raw"), tools.long("qcow2")])
def test_life_of_an_encrypted_volume(connection, pool, secrets, host, kind):
    uuid = secrets()
    cipher = "<cipher name='aes' size='128' mode='xts' hash='sha256'/><ivgen name='plain64'/>" if kind == "raw" else ""
    volume = pool.createXML(volume_xml("v", 4 * MIB, kind, allocation=0, target=encryption(uuid, cipher)))
    assert volume.info()[1] == 4 * MIB
    part = target(volume).find("encryption")
    assert (part.get("format"), part.find("secret").get("uuid"), target(volume).find("format").get("type")) == ("luks", uuid, kind)
    info = image_info(volume.path())
    if kind == "raw":
        assert info["format"] == "luks" and info["format-specific"]["data"]["cipher-alg"] == "aes-128"
    else:
        assert info["encrypted"]
    write(volume.path(), kind, 7)
    pool.refresh()
    assert volume.info()[1] == 4 * MIB and target(volume).find("encryption/secret").get("uuid") == uuid
    # a clone by virsh has the same key
    tools.virsh(host, "vol-clone", "v", "clone", pool.name())
    clone = pool.storageVolLookupByName("clone")
    assert reads(clone.path(), kind, 7) and clone.info()[1] == 4 * MIB
    assert target(clone).find("encryption/secret").get("uuid") == uuid
    clone.resize(6 * MIB)
    assert clone.info()[1] == 6 * MIB and reads(clone.path(), kind, 7)
    clone.wipe()
    assert not reads(clone.path(), kind, 7)
    for one in (volume, clone):
        one.delete()
    assert pool.listVolumes() == []


@pytest.mark.full
def test_a_copy_may_be_recoded_or_opened(pool, secrets):
    first, second = secrets(), secrets("other")
    volume = pool.createXML(volume_xml("v", 2 * MIB, "raw", allocation=0, target=encryption(first)))
    write(volume.path(), "raw", 9)
    recoded = pool.createXMLFrom(volume_xml("recoded", 3 * MIB, "qcow2", target=encryption(second)), volume)
    assert reads(recoded.path(), "qcow2", 9, "other") and recoded.info()[1] == 3 * MIB
    opened = pool.createXMLFrom(volume_xml("opened", 0, "raw"), recoded)
    with open(opened.path(), "rb") as file:
        assert file.read(65536) == b"\x09" * 65536
    assert target(opened).find("encryption") is None and os.path.getsize(opened.path()) == 3 * MIB
    same = pool.createXMLFrom(volume_xml("same", 0, "raw", target=encryption()), volume)
    assert digest(same.path()) == digest(volume.path()) and same.info()[1] == 2 * MIB


def test_refusals(pool, secrets, folder):
    with pytest.raises(libvirt.libvirtError, match="no secret is known") as caught:
        pool.createXML(volume_xml("v", MIB, "raw", target=encryption()))
    assert caught.value.get_error_code() == libvirt.VIR_ERR_NO_SECRET
    assert code_of(pool.createXML, volume_xml("v", MIB, "vmdk", target=encryption(secrets()))) == \
        libvirt.VIR_ERR_CONFIG_UNSUPPORTED
    assert code_of(pool.createXML, volume_xml("v", MIB, "qcow2", target="<encryption format='qcow'/>")) == \
        libvirt.VIR_ERR_CONFIG_UNSUPPORTED
    assert os.listdir(folder) == []


@pytest.mark.full
def test_a_secret_by_usage(pool, secrets, folder):
    uuid = secrets(usage=f"{folder}/v")
    volume = pool.createXML(volume_xml("v", MIB, "raw", target=encryption()))
    assert target(volume).find("encryption/secret").get("uuid") == uuid


def arguments_of(word):
    """The command lines of all processes that have the word in theirs."""
    lines = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                line = file.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if word in line:
            lines.append(line)
    return "\n".join(lines)


@pytest.mark.godwit
def test_a_domain_with_encrypted_disks(connection, pool, secrets):
    uuid, wrong = secrets(), secrets("not that")
    volume = pool.createXML(volume_xml("v", MIB, "raw", allocation=0, target=encryption(uuid)))

    def xml(key):
        return guest.bare_xml("locked", devices=f"<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{volume.path()}'>"
                              f"{encryption(key)}</source><target dev='vda' bus='virtio'/></disk>")
    with pytest.raises(libvirt.libvirtError, match=r"another value on this host .*secret-set-value.*Invalid password"):
        connection.createXML(xml(wrong), libvirt.VIR_DOMAIN_START_PAUSED)
    with pytest.raises(libvirt.libvirtError, match="no secret with matching uuid"):
        connection.createXML(xml("11111111-1111-1111-1111-111111111111"), libvirt.VIR_DOMAIN_START_PAUSED)
    domain = connection.createXML(xml(uuid), libvirt.VIR_DOMAIN_START_PAUSED)
    assert domain.blockInfo("vda")[0] == MIB, "the guest sees what is inside"
    arguments = arguments_of(volume.path())
    assert "guest=locked" in arguments
    for hidden in (PASSPHRASE, base64.b64encode(PASSPHRASE.encode()).decode()):
        assert hidden not in arguments
    with pytest.raises(libvirt.libvirtError, match="the running domain 'locked' uses it"):
        volume.delete()
    domain.destroy()
    told = godwit("image", "convert", volume.path(), f"{volume.path()}.copy", "--to", "qcow2", "--dry-run", uri=connection.getURI())
    assert "(qcow2, not encrypted)" in told.out


def test_network_disks_with_passwords(host, folder):
    """As QEMU would be started: there is neither an iSCSI target nor a Ceph cluster here."""
    iscsi = ("<disk type='network' device='disk'><source protocol='iscsi' name='iqn.2026-01.org:t/1'><host name='::1' port='3261'/>"
             "<auth username='me'><secret type='iscsi' usage='t'/></auth></source><target dev='vda' bus='virtio'/></disk>")
    rbd = ("<disk type='network' device='disk'><auth username='admin'><secret type='ceph' uuid='11111111-1111-1111-1111-111111111111'/></auth>"
           "<source protocol='rbd' name='pool/image'><host name='mon1'/><host name='mon2' port='6790'/></source><target dev='vdb' bus='virtio'/></disk>")
    with open(f"{folder}/x.xml", "w") as file:
        file.write(guest.bare_xml("net", devices=iscsi + rbd))
    text = tools.virsh(host, "domxml-to-native", "qemu-argv", f"{folder}/x.xml").text
    for part in ('"driver":"iscsi"', '"portal":"[::1]:3261"', '"lun":1', '"user":"me"', '"password-secret":"libvirt-2-storage-auth-secret0"',
                 '"driver":"rbd"', '"pool":"pool"', '"image":"image"', '"host":"mon2"', '"port":"6790"', '"user":"admin"',
                 '"key-secret":"libvirt-1-storage-auth-secret0"', '"id":"libvirt-2-storage-auth-secret0"'):
        assert part in text.replace('": ', '":'), part
