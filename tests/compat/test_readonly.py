# SPDX-License-Identifier: LGPL-2.1-or-later
"""The read-only socket: every look works, every touch is refused with the protocol's own error."""
import gc

import libvirt
import pytest

from helpers.guest import bare_xml
from helpers.tools import virsh

XML = bare_xml("looked-at")


@pytest.fixture
def readonly(host):
    libvirt.open(host.uri).defineXML(XML)
    opened = libvirt.openReadOnly(host.uri_ro)
    yield opened
    opened.close()


def test_looks_work(host, readonly):
    domain = readonly.lookupByName("looked-at")
    assert domain.info()[0] == libvirt.VIR_DOMAIN_SHUTOFF
    assert "<name>looked-at</name>" in domain.XMLDesc()
    assert readonly.getCapabilities() and readonly.getHostname() == host.hostname
    assert "looked-at" in virsh(host, "list", "--all", readonly=True).text


@pytest.mark.parametrize("touch", [
    lambda c: c.defineXML(XML),
    lambda c: c.createXML(XML),
    lambda c: c.lookupByName("looked-at").undefine(),
    lambda c: c.lookupByName("looked-at").create(),
    lambda c: c.lookupByName("looked-at").destroy(),
    lambda c: c.lookupByName("looked-at").suspend(),
    lambda c: c.lookupByName("looked-at").setAutostart(1),
    lambda c: c.lookupByName("looked-at").setMemory(65528),
    lambda c: c.lookupByName("looked-at").rename("x"),
    lambda c: c.lookupByName("looked-at").XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE),
], ids=["define", "createXML", "undefine", "create", "destroy", "suspend", "autostart", "setmem", "rename", "secure-xml"])
@pytest.mark.parametrize("way", ["flag", "socket"])
def test_touches_are_refused(host, readonly, touch, way):
    # With the flag the client library refuses by itself; with a plain open of the socket the daemon must.
    opened = readonly if way == "flag" else libvirt.open(host.uri_ro)
    gc.collect()        # a handle that is collected between a failed call and its exception would take the error away
    with pytest.raises(libvirt.libvirtError) as caught:
        touch(opened)
    assert caught.value.get_error_code() == libvirt.VIR_ERR_OPERATION_DENIED, caught.value
    assert [domain.name() for domain in readonly.listAllDomains()] == ["looked-at"]
