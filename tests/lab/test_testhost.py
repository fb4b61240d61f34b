# SPDX-License-Identifier: LGPL-2.1-or-later
"""What needs a kernel that this machine may not have (device mapper, NFS, iSCSI, SCSI adapters, multipath) is tested in the test
host, a virtual machine with Debian's own kernel. Its image is made by tests/lab/testhost/build, once; without it, only --full
makes it (a few minutes)."""
import xml.etree.ElementTree

import pytest

from helpers import testhost

POOLS = [f"tests/compat/test_pool_{kind}.py" for kind in ("logical", "netfs", "iscsi", "scsi")]
SHORT = [f"{POOLS[0]}::test_life", f"{POOLS[1]}::test_life[nfs]"]
SKIPPED_FOR_US = "runs in tests/lab/test_testhost.py"


def passes(results, *words):
    """The tests run there and succeed, and none was skipped for want of what the test host is there for."""
    status, output = testhost.run(["pytest", *words], str(results), timeout=3600)
    assert status == 0, f"in the test host:\n{output[-6000:]}"
    cases = xml.etree.ElementTree.parse(f"{results}/results.xml").getroot().findall(".//testcase")
    skipped = [case.get("name") for case in cases if SKIPPED_FOR_US in (case.find("skipped").get("message") if
                                                                        case.find("skipped") is not None else "")]
    assert cases and not skipped, f"skipped in the test host, too: {skipped}"


def test_storage(tmp_path):
    if not testhost.image(cached_only=True):
        pytest.skip("the test host's image is not made yet: tests/lab/testhost/build makes it, and so does --full")
    passes(tmp_path, *SHORT)


@pytest.mark.full
@pytest.mark.alone
def test_all_of_storage(tmp_path):
    passes(tmp_path, "--full", *POOLS)
