# SPDX-License-Identifier: LGPL-2.1-or-later
"""The documents that describe host and guests, as the clients that live by them read them."""
import os
import subprocess
import xml.etree.ElementTree as ET

import libvirt
import pytest

from helpers.tools import table, virsh

SCHEMAS = "/usr/share/libvirt/schemas"
INCOMPATIBLE, IDENTICAL, SUPERSET = 0, 1, 2


def validate(document, schema):
    """Against the grammar that libvirt's clients are packaged with."""
    done = subprocess.run(["xmllint", "--noout", "--relaxng", f"{SCHEMAS}/{schema}.rng", "-"], input=document,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def domain_capabilities(connection, arch="x86_64", machine=None, kind="qemu"):
    return connection.getDomainCapabilities(None, arch, machine, kind)


def host_cpu(connection):
    return ET.tostring(ET.fromstring(connection.getCapabilities()).find("host/cpu"), encoding="unicode")


def host_model(connection):
    """The processor that domain capabilities promise, as a <cpu>."""
    mode = ET.fromstring(domain_capabilities(connection)).find("cpu/mode[@name='host-model']")
    mode.tag = "cpu"
    mode.attrib.clear()
    ET.SubElement(mode, "arch").text = "x86_64"
    return ET.tostring(mode, encoding="unicode")


def test_capabilities_follow_the_grammar(connection):
    validate(connection.getCapabilities(), "capability")


@pytest.mark.parametrize("arch, machine", [("x86_64", "pc"), ("x86_64", "q35"), ("i686", None)])
def test_domain_capabilities_follow_the_grammar(connection, arch, machine):
    validate(domain_capabilities(connection, arch, machine), "domaincaps")


@pytest.mark.parametrize("words, code", [
    ((None, "foo", None, None), libvirt.VIR_ERR_INVALID_ARG),
    ((None, None, "foo", None), libvirt.VIR_ERR_INVALID_ARG),
    ((None, None, None, "foo"), libvirt.VIR_ERR_INVALID_ARG),
    ((None, None, None, "xen"), libvirt.VIR_ERR_INVALID_ARG),
    ((None, "s390x", None, None), libvirt.VIR_ERR_CONFIG_UNSUPPORTED),
    (("/nowhere/qemu", None, None, None), libvirt.VIR_ERR_SYSTEM_ERROR),
])
def test_wrong_targets_are_named(connection, words, code):
    with pytest.raises(libvirt.libvirtError) as caught:
        connection.getDomainCapabilities(*words)
    assert caught.value.get_error_code() == code
    assert next(word for word in words if word) in str(caught.value)


def test_virtinst_understands_both(host):
    """virt-install and virt-manager choose emulator, machine, firmware and processor with these classes."""
    script = f"""
import sys
sys.path.insert(0, "/usr/share/virt-manager")
from virtinst import DomainCapabilities, VirtinstConnection
connection = VirtinstConnection({host.uri!r})
connection.open(None, None)
guest = connection.caps.guest_lookup(os_type="hvm", arch="x86_64", typ="qemu", machine="q35")
assert guest.emulator == "/usr/bin/qemu-system-x86_64" and guest.is_machine_alias("q35", "pc-q35-7.2")
found = DomainCapabilities.build_from_params(connection, guest.emulator, "x86_64", "q35", "qemu")
assert found.supports_safe_host_model() and not found.supports_safe_host_passthrough()
assert "qemu64" in found.get_cpu_models() and "EPYC-Milan" not in found.get_cpu_models()
assert found.supports_video_virtio() and found.supports_memorybacking_memfd()
assert found.supports_firmware_efi() and found.find_uefi_path_for_arch().startswith("/usr/share/OVMF/")
assert isinstance(found.get_cpu_security_features(), list)
"""
    done = subprocess.run(["/usr/bin/python3", "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.godwit
def test_the_host_suits_itself(connection):
    assert connection.compareCPU(host_cpu(connection)) == IDENTICAL
    assert connection.compareHypervisorCPU(None, None, None, "qemu", host_model(connection)) in (IDENTICAL, SUPERSET)


@pytest.mark.godwit
def test_processors_are_compared(connection):
    plain = "<cpu><arch>x86_64</arch><model>qemu32</model></cpu>"
    assert connection.compareHypervisorCPU(None, None, None, "qemu", plain) == SUPERSET
    foreign = "<cpu><arch>aarch64</arch><model>qemu32</model></cpu>"
    assert connection.compareCPU(foreign) == INCOMPATIBLE
    with pytest.raises(libvirt.libvirtError) as caught:
        connection.compareCPU(foreign, libvirt.VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE)
    assert caught.value.get_error_code() == libvirt.VIR_ERR_CPU_INCOMPATIBLE
    for wrong in ("<cpu><model>Foo</model></cpu>", "<cpu/>", "<cpu", "<domain/>"):
        with pytest.raises(libvirt.libvirtError):
            connection.compareCPU(wrong)


@pytest.mark.godwit
def test_a_baseline_runs_on_all(connection):
    cpus = [host_cpu(connection), "<cpu><arch>x86_64</arch><model>Nehalem</model></cpu>"]
    baseline = connection.baselineCPU(cpus)
    assert connection.compareCPU(baseline) in (IDENTICAL, SUPERSET)
    own = connection.baselineHypervisorCPU(None, None, None, "qemu", [host_model(connection)],
                                           libvirt.VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES)
    assert connection.compareHypervisorCPU(None, None, None, "qemu", own) in (IDENTICAL, SUPERSET)
    features = [feature.get("name") for feature in ET.fromstring(own).findall("feature[@policy='require']")]
    assert "sse2" in features


def test_virsh_describes_processors(host, tmp_path):
    path = tmp_path / "capabilities.xml"
    path.write_text(virsh(host, "capabilities").text)
    assert "identical" in virsh(host, "cpu-compare", path).text
    assert "<model fallback='forbid'>" in virsh(host, "cpu-baseline", path).text
    path.write_text(virsh(host, "domcapabilities", "--virttype", "qemu").text)
    assert "hypervisor" in virsh(host, "hypervisor-cpu-compare", "--virttype", "qemu", path).text
    assert "<cpu mode='custom'" in virsh(host, "hypervisor-cpu-baseline", "--virttype", "qemu", path).text


def test_pages_are_counted(host, connection):
    size = os.sysconf("SC_PAGESIZE") // 1024
    free = next(iter(connection.getFreePages([size], 0, 1).values()))[size]
    assert free > 0 and f"{size}KiB" in virsh(host, "freepages", "--all").text
    with pytest.raises(libvirt.libvirtError):
        connection.getFreePages([7], 0, 1)
    with pytest.raises(libvirt.libvirtError):
        connection.getFreePages([size], 4096, 1)
    with pytest.raises(libvirt.libvirtError):
        connection.getCPUStats(4096)
    with pytest.raises(libvirt.libvirtError):
        connection.getMemoryStats(4096)


def test_page_merging_is_shown(host, connection):
    shown = connection.getMemoryParameters()
    if not os.path.isdir("/sys/kernel/mm/ksm"):
        assert shown == {}
        return
    with open("/sys/kernel/mm/ksm/sleep_millisecs") as file:
        assert shown["shm_sleep_millisecs"] == int(file.read())
    with pytest.raises(libvirt.libvirtError):
        connection.setMemoryParameters({"shm_full_scans": 1})
    connection.setMemoryParameters({"shm_sleep_millisecs": shown["shm_sleep_millisecs"]})


def test_percentages(host):
    shown = table(virsh(host, "nodecpustats", "--percent").text)
    assert shown["usage"].endswith("%") and shown["idle"].endswith("%")
