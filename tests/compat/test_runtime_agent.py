# SPDX-License-Identifier: LGPL-2.1-or-later
"""Debian's qemu-guest-agent in the test guest, asked by stock clients."""
import time

import libvirt
import libvirt_qemu
import pytest

from helpers import agent_guest
from helpers.cli import godwit
from helpers.guest import bare_xml
from helpers.tools import virsh, wait_until


@pytest.fixture(scope="module")
def agent(module_host):
    """A running guest whose agent has connected, and the lifecycle of the agent as the clients were told."""
    if not agent_guest.initrd():
        pytest.skip("apt cannot give qemu-guest-agent")
    connection = libvirt.open(module_host.uri)
    told = []
    number = connection.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE,
                                               lambda _, domain, state, reason, __: told.append((domain.name(), state, reason)),
                                               None)
    domain = connection.createXML(agent_guest.domain_xml("talks", serial=None, hb=500))
    assert "state='disconnected'" in domain.XMLDesc()
    with pytest.raises(libvirt.libvirtError) as caught:
        domain.getTime()
    assert caught.value.get_error_code() == libvirt.VIR_ERR_AGENT_UNRESPONSIVE
    wait_until(lambda: len(told) == 2, timeout=90, what="the agent's event")
    assert told == [("talks", libvirt.VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_STATE_DISCONNECTED,
                     libvirt.VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_REASON_DOMAIN_STARTED),
                    ("talks", libvirt.VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_STATE_CONNECTED,
                     libvirt.VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_REASON_CHANNEL)]
    assert "state='connected'" in domain.XMLDesc()
    connection.domainEventDeregisterAny(number)
    yield domain
    connection.close()


def test_questions(module_host, agent):
    assert abs(agent.getTime()["seconds"] - time.time()) < 5
    assert agent.hostname(libvirt.VIR_DOMAIN_GET_HOSTNAME_AGENT) == "agent-guest"
    addresses = agent.interfaceAddresses(libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT)
    assert {"type": 0, "addr": "127.0.0.1", "prefix": 8} in addresses["lo"]["addrs"]
    info = agent.guestInfo()
    assert info["hostname"] == "agent-guest" and info["timezone.offset"] == 0 and info["if.0.name"] == "lo"
    assert list(agent.guestInfo(libvirt.VIR_DOMAIN_GUEST_INFO_HOSTNAME)) == ["hostname"]
    assert agent.guestVcpus()["online"] == "0"
    assert agent.vcpusFlags(libvirt.VIR_DOMAIN_VCPU_GUEST) == 1
    assert agent.fsInfo() == []
    assert "lo" in virsh(module_host, "domifaddr", "talks", "--source", "agent", "--full").text


def test_commands(agent):
    assert libvirt_qemu.qemuAgentCommand(agent, '{"execute":"guest-ping"}', 5, 0) == '{"return":{}}'
    for bad in ("junk", "{}", "[]"):
        with pytest.raises(libvirt.libvirtError) as caught:
            libvirt_qemu.qemuAgentCommand(agent, bad, 5, 0)
        assert caught.value.get_error_code() in (libvirt.VIR_ERR_INVALID_ARG, libvirt.VIR_ERR_INTERNAL_ERROR)
    with pytest.raises(libvirt.libvirtError):
        libvirt_qemu.qemuAgentCommand(agent, '{"execute":"no-such-command"}', 5, 0)
    with pytest.raises(libvirt.libvirtError):
        agent.setUserPassword("root", "x")      # this guest has no passwd program
    assert agent.fsFreeze() == 0 and agent.fsThaw() == 0
    agent.agentSetResponseTimeout(7)
    assert agent.hostname(libvirt.VIR_DOMAIN_GET_HOSTNAME_AGENT) == "agent-guest"


GODWIT_TOO = ["domfsinfo talks", "domhostname talks --source agent", "domifaddr talks --source agent",
              "domifaddr talks --source agent --full", "domifaddr talks eth0 --source agent", "guestinfo talks --hostname",
              "guestinfo talks --os --timezone", "guestinfo talks --interface", "guestvcpus talks", "domfsfreeze talks",
              "domfsthaw talks", "domfstrim talks", "domfstrim talks --mountpoint /nope", "get-user-sshkeys talks nobody",
              "qemu-agent-command talks '{\"execute\":\"guest-ping\"}'", "set-user-password talks root x",
              "qemu-agent-command talks --timeout 5 '{\"execute\":\"guest-get-timezone\"}'", "vcpucount talks --guest",
              "qemu-agent-command talks '{\"execute\":\"nope\"}'", "dompmsuspend talks nope", "guest-agent-timeout talks --timeout 9"]


def test_godwit_prints_what_virsh_prints(module_host, agent):
    for line in GODWIT_TOO:
        theirs, ours = virsh(module_host, line, ok=None), godwit(line, uri=module_host.uri, ok=None)
        assert (theirs.status, theirs.text.split()) == (ours.status, ours.out.split()), f"{line}:\n{theirs}\n{ours}"
    addresses = godwit("domifaddr talks --source agent --output json", uri=module_host.uri).json
    assert {"name": "lo", "address": "127.0.0.1", "prefix": 8} .items() <= addresses[0].items()
    assert godwit("guestinfo talks --hostname --output json", uri=module_host.uri).json == {"hostname": "agent-guest"}
    assert godwit("domfsinfo talks --output json", uri=module_host.uri).json == []


def test_agent_after_a_restart(module_host, agent):
    if not hasattr(module_host, "kill"):
        pytest.skip("the peer is not restarted")
    module_host.kill()
    module_host.start()
    connection = libvirt.open(module_host.uri)
    domain = connection.lookupByName("talks")
    wait_until(lambda: "state='connected'" in domain.XMLDesc(), what="the channel's state")
    assert abs(domain.getTime()["seconds"] - time.time()) < 5
    domain.suspend()
    with pytest.raises(libvirt.libvirtError) as caught:
        domain.getTime()
    assert caught.value.get_error_code() == libvirt.VIR_ERR_OPERATION_INVALID
    domain.resume()
    domain.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_GUEST_AGENT)
    wait_until(lambda: not [one for one in connection.listAllDomains() if one.name() == "talks"], timeout=20,
               what="the end of the guest")
    connection.close()


def test_without_agent(connection):
    domain = connection.createXML(bare_xml("mute"))
    for ask in (domain.getTime, domain.fsInfo, lambda: domain.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_GUEST_AGENT)):
        with pytest.raises(libvirt.libvirtError) as caught:
            ask()
        assert caught.value.get_error_code() == libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED
