# SPDX-License-Identifier: LGPL-2.1-or-later
"""Statistics of running guests, in bulk and one by one."""
import os
import signal
import subprocess
import time

import libvirt
import pytest

from helpers.guest import bare_xml, disk_image, domain_xml, qemu_pids
from helpers.tools import table, virsh, wait_until


def bare(name, scratch, **options):
    return bare_xml(name, disk=disk_image(f"{scratch}/{name}.raw"), **options)


@pytest.fixture
def paused(connection, scratch):
    return connection.createXML(bare("still", scratch, vcpus=2, nic=True), libvirt.VIR_DOMAIN_START_PAUSED)


def of(connection, domain, groups=0, flags=0):
    return connection.domainListGetStats([domain], groups, flags)[0][1]


def test_every_group(connection, paused, scratch):
    seen = of(connection, paused)
    assert seen["state.state"] == libvirt.VIR_DOMAIN_PAUSED
    assert seen["cpu.time"] > 0 and seen["balloon.rss"] > 1024
    assert seen["vcpu.current"] == seen["vcpu.maximum"] == 2
    assert seen["vcpu.0.state"] == seen["vcpu.1.state"] == 1 and "vcpu.1.time" in seen
    assert seen["net.count"] == 1
    assert seen["block.count"] == 1 and seen["block.0.name"] == "vda"
    assert seen["block.0.path"] == f"{scratch}/still.raw"
    assert seen["block.0.capacity"] == seen["block.0.physical"] == 16 << 20
    assert seen["dirtyrate.calc_status"] == 0
    only = of(connection, paused, libvirt.VIR_DOMAIN_STATS_STATE | libvirt.VIR_DOMAIN_STATS_BLOCK)
    assert {key.split(".")[0] for key in only} == {"state", "block"}
    assert only["block.0.rd.reqs"] == 0


def test_unknown_group_and_filters(connection, paused, scratch):
    connection.defineXML(bare("asleep", scratch))
    with pytest.raises(libvirt.libvirtError) as caught:
        connection.getAllDomainStats(1 << 20, libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ENFORCE_STATS)
    assert caught.value.get_error_code() == libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED
    connection.getAllDomainStats(1 << 20)
    names = lambda flags: sorted(domain.name() for domain, _ in connection.getAllDomainStats(0, flags))  # noqa: E731
    assert names(0) == ["asleep", "still"]
    assert names(libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE) == ["still"]
    assert names(libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_SHUTOFF) == ["asleep"]
    inactive = of(connection, connection.lookupByName("asleep"))
    assert inactive["balloon.maximum"] == inactive["balloon.current"] and inactive["block.count"] == 1
    assert not [key for key in inactive if key.startswith("net.")]


def test_backing_chain(connection, scratch):
    base, top = f"{scratch}/base.qcow2", f"{scratch}/top.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", base, "64M"], check=True)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", top], check=True)
    disk = f"<disk type='file'><driver name='qemu' type='qcow2'/><source file='{top}'/><target dev='vda' bus='virtio'/></disk>"
    domain = connection.createXML(bare_xml("layers", devices=disk),
                                  libvirt.VIR_DOMAIN_START_PAUSED)
    seen = of(connection, domain, libvirt.VIR_DOMAIN_STATS_BLOCK, libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_BACKING)
    assert seen["block.count"] == 2
    assert (seen["block.0.path"], seen["block.1.path"]) == (top, base)
    assert seen["block.1.capacity"] == 64 << 20


def test_counters_grow_while_the_guest_works(connection, scratch, line):
    disk = disk_image(f"{scratch}/busy.raw")
    domain = connection.createXML(domain_xml("busy", serial=line.xml, disk=disk, disk_rate=50, nic=True))
    wait_until(lambda: of(connection, domain)["block.0.wr.reqs"] > 20, timeout=60, what="writes")
    seen = of(connection, domain)
    assert seen["block.0.wr.bytes"] > 0 and seen["block.0.wr.times"] > 0 and seen["block.0.allocation"] > 0
    assert seen["vcpu.0.time"] > 0 and seen["cpu.user"] > 0
    assert domain.blockStats("vda")[2] >= seen["block.0.wr.reqs"]
    assert domain.blockStatsFlags("vda")["wr_operations"] >= seen["block.0.wr.reqs"]
    assert domain.vcpus()[0][0][2] > 0
    assert domain.memoryStats()["rss"] > 1024
    domain.setMemoryStatsPeriod(1, libvirt.VIR_DOMAIN_AFFECT_LIVE)
    wait_until(lambda: "available" in domain.memoryStats(), timeout=20, what="memory as the guest tells it")
    assert of(connection, domain)["balloon.available"] > 100000


def test_block_info_and_errors(host, connection, paused, scratch):
    assert paused.blockInfo("vda") == [16 << 20, 0, 16 << 20]
    assert paused.blockInfo(f"{scratch}/still.raw")[0] == 16 << 20
    for call in (paused.blockInfo, paused.blockStats, paused.blockStatsFlags):
        with pytest.raises(libvirt.libvirtError) as caught:
            call("vdz")
        assert caught.value.get_error_code() == libvirt.VIR_ERR_INVALID_ARG
    assert "No errors found" in virsh(host, "domblkerror", "still").text
    paused.blockResize("vda", 32 << 20, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)
    assert paused.blockInfo("vda")[0] == 32 << 20
    assert of(connection, paused)["block.0.capacity"] == 32 << 20
    assert paused.blockPeek("vda", 0, 512) == b"\0" * 512


def test_cpu_memory_and_tuning_questions(host, paused):
    assert paused.getCPUStats(True)[0]["cpu_time"] > 0
    assert paused.maxVcpus() == 2 and paused.vcpusFlags(libvirt.VIR_DOMAIN_AFFECT_LIVE) == 2
    assert list(paused.schedulerType()) == ["posix", 9]
    assert paused.schedulerParameters()["vcpu_quota"] == -1
    assert paused.memoryParameters()["hard_limit"] == (1 << 53) - 1
    assert paused.blkioParameters()["device_weight"] == ""
    assert paused.numaParameters()["numa_nodeset"] == ""
    assert paused.blockIoTune("vda")["total_bytes_sec"] == 0
    paused.setBlockIoTune("vda", {"total_iops_sec": 500})
    assert paused.blockIoTune("vda")["total_iops_sec"] == 500
    paused.setBlockIoTune("vda", {"read_iops_sec": 5})      # takes the place of the total
    assert (paused.blockIoTune("vda")["total_iops_sec"], paused.blockIoTune("vda")["read_iops_sec"]) == (0, 5)
    with pytest.raises(libvirt.libvirtError):
        paused.setBlockIoTune("vda", {"read_iops_sec": 5, "total_iops_sec": 9})
    assert paused.securityLabel()[0] == ""
    assert "Affinity" in virsh(host, "vcpupin", "still").text


def test_pinning(connection, paused):
    cpus = connection.getInfo()[2]
    first = tuple(cpu == 0 for cpu in range(cpus))
    paused.pinVcpu(1, first)
    assert paused.vcpuPinInfo()[1] == first
    assert paused.vcpus()[1][1] == first
    paused.pinEmulator(first, libvirt.VIR_DOMAIN_AFFECT_LIVE)
    assert paused.emulatorPinInfo() == first
    xml = paused.XMLDesc()
    assert "<vcpupin vcpu='1' cpuset='0'/>" in xml and "<emulatorpin cpuset='0'/>" in xml
    pid = qemu_pids([paused.UUIDString()])[paused.UUIDString()]
    assert os.sched_getaffinity(pid) == {0}
    with pytest.raises(libvirt.libvirtError):
        paused.pinVcpu(7, first)
    with pytest.raises(libvirt.libvirtError):
        paused.pinVcpu(0, tuple(False for _ in range(cpus)))


def test_memory_of_a_definition(connection, scratch):
    domain = connection.defineXML(bare("plan", scratch))
    with pytest.raises(libvirt.libvirtError) as caught:
        domain.setMemory(32768)
    assert caught.value.get_error_code() == libvirt.VIR_ERR_OPERATION_INVALID
    domain.setMemoryFlags(32768, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
    assert "<currentMemory unit='KiB'>32768</currentMemory>" in domain.XMLDesc()
    with pytest.raises(libvirt.libvirtError) as caught:
        domain.setMemoryFlags(1 << 30, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
    assert caught.value.get_error_code() == libvirt.VIR_ERR_INVALID_ARG
    domain.setMaxMemory(131072)
    assert domain.maxMemory() == 131072
    domain.setVcpusFlags(4, libvirt.VIR_DOMAIN_AFFECT_CONFIG | libvirt.VIR_DOMAIN_VCPU_MAXIMUM)
    domain.setVcpusFlags(2, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
    assert "<vcpu placement='static' current='2'>4</vcpu>" in domain.XMLDesc()
    domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    domain.setVcpus(3)
    assert of(connection, domain)["vcpu.current"] == 3
    assert len(domain.vcpus()[0]) == 3
    with pytest.raises(libvirt.libvirtError):
        domain.setVcpus(5)


@pytest.mark.godwit
def test_a_hung_guest_delays_nobody(host, connection, scratch):
    domains = [connection.createXML(bare(f"row{i}", scratch), libvirt.VIR_DOMAIN_START_PAUSED) for i in range(4)]
    before = {domain.name(): stats for domain, stats in connection.getAllDomainStats()}
    hung = domains[1]
    pid = qemu_pids([hung.UUIDString()])[hung.UUIDString()]
    os.kill(pid, signal.SIGSTOP)
    try:
        for _ in range(3):
            start = time.monotonic()
            seen = {domain.name(): stats for domain, stats in connection.getAllDomainStats()}
            assert time.monotonic() - start < 0.5
            assert len(seen) == 4
            assert seen["row1"]["block.0.capacity"] == before["row1"]["block.0.capacity"]
        others = [domain for domain in domains if domain is not hung]
        start = time.monotonic()
        assert len(connection.domainListGetStats(others)) == 3
        assert time.monotonic() - start < 0.1
        start = time.monotonic()
        assert hung.info()[0] == libvirt.VIR_DOMAIN_PAUSED
        assert hung.blockStats("vda")[0] == 0
        connection.getAllDomainStats(0, libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT)
        assert time.monotonic() - start < 0.1
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: table(virsh(host, "domcontrol", "row1").text + ":"), what="the guest's answer")


def test_statistics_survive_a_restart(host, connection, paused):
    if not hasattr(host, "kill"):
        pytest.skip("the peer is not restarted")
    host.kill()
    host.start()
    again = libvirt.open(host.uri)
    seen = again.getAllDomainStats()[0][1]
    assert seen["block.0.capacity"] == 16 << 20 and "vcpu.1.time" in seen
    again.close()
