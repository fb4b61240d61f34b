# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stock virt-install imports the test guest, and it boots."""
from helpers import guest
from helpers.tools import run, virsh


def test_virt_install_imports_a_guest(host, line, scratch):
    folder = guest.build()
    disk = guest.disk_image(f"{scratch}/imported.raw")
    result = run("virt-install", "--connect", host.uri, "--virt-type", "qemu", "--name", "imported", "--memory", "256",
                 "--vcpus", "1", "--osinfo", "debian11", "--import", "--disk", f"{disk},format=raw,bus=virtio",
                 "--network", "user,model=virtio", "--graphics", "none", "--noautoconsole", "--boot",
                 f"kernel={folder}/kernel,initrd={folder}/initrd,kernel_args={guest.KERNEL_ARGUMENTS} disk=20",
                 "--serial", f"unix,source.mode=connect,source.path={line.path}", "--uuid",
                 "7f6b4ab0-3f3c-4b1e-9a53-9d7a2b1c0d11", timeout=120)
    guest.made_uuids.add("7f6b4ab0-3f3c-4b1e-9a53-9d7a2b1c0d11")
    assert result.status == 0, result
    line.wait_for("READY", timeout=90)
    line.wait_for("DISK 5 ok")
    assert virsh(host, "domstate", "imported").text == "running"
    line.check()


def test_virt_install_dry_run_of_a_firmware_guest(host):
    result = run("virt-install", "--connect", host.uri, "--name", "dry", "--memory", "1024", "--osinfo", "fedora37", "--import",
                 "--disk", "none", "--network", "none", "--graphics", "vnc", "--boot", "uefi", "--dry-run", "--print-xml",
                 timeout=120)
    assert result.status == 0 and "<name>dry</name>" in result.text, result
