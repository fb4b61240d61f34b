# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the daemon tells about the machine it runs on."""
import os
import socket
import xml.etree.ElementTree as ET

import libvirt

from helpers.tools import table, virsh


def test_identity(host, connection):
    assert connection.getHostname() == host.hostname
    assert connection.getType() == "QEMU" and connection.isEncrypted() == 0 and connection.isSecure() == 1
    assert connection.isAlive() == 1
    assert 9_000_000 <= connection.getLibVersion() and connection.getVersion() >= 7_002_000
    assert connection.getMaxVcpus("qemu") > 0
    assert virsh(host, "hostname").text == host.hostname
    version = virsh(host, "version").text
    assert "Using API: QEMU" in version and "Running hypervisor: QEMU 7" in version
    assert virsh(host, "uri").text.startswith("qemu")


def test_capabilities(host, connection):
    root = ET.fromstring(connection.getCapabilities())
    assert root.findtext("host/uuid") == host.uuid and root.findtext("host/cpu/arch") == "x86_64"
    guest = next(one for one in root.findall("guest") if one.find("arch").get("name") == "x86_64")
    assert guest.findtext("os_type") == "hvm" and guest.findtext("arch/emulator") == "/usr/bin/qemu-system-x86_64"
    machines = {machine.text: machine for machine in guest.findall("arch/machine")}
    assert machines["q35"].get("canonical") == "pc-q35-7.2" and "pc-i440fx-7.2" in machines
    assert {"qemu"} <= {domain.get("type") for domain in guest.findall("arch/domain")}
    cells = root.findall("host/topology/cells/cell")
    assert sum(int(cell.find("cpus").get("num")) for cell in cells) == os.cpu_count()


def test_domain_capabilities(host, connection):
    root = ET.fromstring(connection.getDomainCapabilities(None, "x86_64", "q35", "qemu"))
    assert root.findtext("machine") == "pc-q35-7.2" and root.findtext("domain") == "qemu"
    assert "virtio" in [value.text for value in root.findall("devices/disk/enum[@name='bus']/value")]
    assert "efi" in [value.text for value in root.findall("os/enum[@name='firmware']/value")]
    assert root.find("cpu/mode[@name='custom']").get("supported") == "yes"
    assert "pc-i440fx-7.2" in virsh(host, "domcapabilities", "--machine", "pc").text


def test_node(host, connection):
    model, memory_mib, cpus, mhz, nodes, sockets, cores, threads = connection.getInfo()
    assert model == "x86_64" and cpus == os.cpu_count() and nodes >= 1 and sockets * cores * threads * nodes >= cpus
    with open("/proc/meminfo") as file:
        total = int(file.readline().split()[1])
    assert 0 < memory_mib <= total // 1024      # libvirtd counts the first NUMA cell only on some machines
    assert table(virsh(host, "nodeinfo").text)["CPU(s)"] == str(cpus)
    count, online, *_ = connection.getCPUMap()
    assert count == os.cpu_count() and online == [True] * count
    statistics = connection.getCPUStats(-1)
    assert statistics["user"] > 0 and statistics["idle"] > 0
    memory = connection.getMemoryStats(-1)
    assert memory["total"] == total and 0 < memory["free"] < total
    free = connection.getFreeMemory()
    assert 0 < free < total * 1024
    assert abs(connection.getCellsFreeMemory(0, 1)[0] - free) < 1 << 30
    assert "kB" in virsh(host, "freecell").text or "KiB" in virsh(host, "freecell").text
    assert "CPUs present" in virsh(host, "nodecpumap").text and "total" in virsh(host, "nodememstats").text


def test_cpu_models_and_sysinfo(host, connection):
    models = connection.getCPUModelNames("x86_64")
    assert "qemu64" in models and "Haswell" in models
    assert "Haswell" in virsh(host, "cpu-models", "x86_64").text
    result = virsh(host, "sysinfo", ok=None)
    assert result.status != 0 or ET.fromstring(result.text).get("type") == "smbios"


def test_tcp_and_unix_are_the_same_host(make_host):
    other = make_host("host-t", tcp=True)
    assert libvirt.open(other.tcp_uri).getHostname() == libvirt.open(other.uri).getHostname() == "host-t"
    assert libvirt.open(other.tcp_uri).isSecure() == 0
    with socket.create_connection(("127.0.0.1", other.tcp_port)) as raw:
        raw.sendall(b"GET / HTTP/1.0\r\n\r\n" * 4)      # no RPC: it must be dropped, and nobody else notices
        raw.settimeout(10)
        try:
            assert raw.recv(1000) == b""
        except ConnectionResetError:
            pass
    assert libvirt.open(other.tcp_uri).isAlive()


def test_client_and_server_limits(host):
    clients = [libvirt.open(host.uri) for _ in range(30)]
    assert all(client.isAlive() for client in clients)
    for client in clients:
        client.close()
