# SPDX-License-Identifier: LGPL-2.1-or-later
"""An emulator that hangs when it is asked what it can do. Only who needs the answer asks: nobody who reads a definition."""
import os
import signal

import libvirt
import pytest

from helpers.guest import EMULATOR, bare_xml, domain_xml

pytestmark = pytest.mark.godwit


def write_program(path, text):
    with open(path, "w") as out:
        out.write(f"#!/bin/sh\n{text}\n")
    os.chmod(path, 0o755)


@pytest.fixture
def emulator(scratch):
    """The path of a program that is QEMU for now."""
    write_program(f"{scratch}/emulator", f"exec {EMULATOR} \"$@\"")
    return f"{scratch}/emulator"


def restart(host):
    host.kill(signal.SIGKILL)
    host.start()
    return libvirt.open(host.uri)


def definition(host, uuid):
    return f"{host.root}/etc/godwit/domains/{uuid}.xml"


def test_reading_a_definition_asks_no_emulator(host, emulator):
    connection = libvirt.open(host.uri)
    defined = connection.defineXML(domain_xml("g", boot=False, emulator=emulator)).XMLDesc()
    connection.close()
    asked = f"{emulator}.asked"
    write_program(emulator, f"touch {asked}\nexec sleep 60")    # and it has changed: what is known of it holds no more
    connection = restart(host)
    domain = connection.lookupByName("g")
    assert domain.XMLDesc() == defined and domain.info()[0] == libvirt.VIR_DOMAIN_SHUTOFF
    domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_TITLE, "another", None, None, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
    assert "<title>another</title>" in domain.XMLDesc()
    assert connection.getAllDomainStats() and not os.path.exists(asked)
    connection.close()


@pytest.mark.parametrize("written, runs", [(" machine='q35'", "pc-q35-7.2"), (" machine='pc'", "pc-i440fx-7.2"),
                                           ("", "pc-i440fx-7.2")])
def test_what_runs_has_a_machine_type_that_means_the_same_everywhere(host, written, runs):
    connection = libvirt.open(host.uri)
    text = bare_xml("g", nic=True)
    path = definition(host, connection.defineXML(text).UUIDString())
    connection.close()
    with open(path, "w") as file:                               # an administrator's editor
        file.write(text.replace(" machine='pc'", written))
    connection = restart(host)
    domain = connection.lookupByName("g")
    domain.create()
    running = domain.XMLDesc()
    assert f"machine='{runs}'" in running and running.count("<address type='pci'") > 1
    connection.close()
