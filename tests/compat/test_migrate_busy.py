# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is asked of a domain while it is being migrated, and has to wait for the end of that, is refused at once."""
import subprocess
import time

import libvirt
import pytest

from helpers.tools import table, virsh, wait_until
from helpers.traveller import ROUTE, Traveller

pytestmark = pytest.mark.godwit


def test_definitions_are_not_changed_under_a_migration(two_hosts, line):
    traveller = Traveller(two_hosts, line, dirty=4, area=8)
    mover = subprocess.Popen(["virsh", "-c", traveller.source.uri, "migrate", "--live", "--bandwidth", "1", traveller.name,
                              traveller.target.tcp_uri, *ROUTE], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: table(virsh(traveller.source, "domjobinfo", traveller.name, ok=None).text)
                   .get("Memory total", "0.000 B") != "0.000 B", timeout=20, what="the transfer", step=0.1)
        connection = libvirt.open(traveller.source.uri)
        domain = connection.lookupByName(traveller.name)
        started = time.monotonic()
        for refused in (domain.undefine, lambda: domain.setAutostart(1), lambda: domain.rename("other")):
            with pytest.raises(libvirt.libvirtError) as caught:
                refused()
            assert caught.value.get_error_code() == libvirt.VIR_ERR_OPERATION_INVALID
            assert "it is being migrated" in str(caught.value) and "domjobabort" in str(caught.value), caught.value
        assert time.monotonic() - started < 10
        domain.abortJob()
    finally:
        mover.kill()
        mover.wait()
