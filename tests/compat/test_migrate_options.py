# SPDX-License-Identifier: LGPL-2.1-or-later
"""Options of `virsh migrate` that change how QEMU sends: encryption, compression, and what a host may not be able to."""
import os
import subprocess

import pytest

from helpers import guest
from helpers.cli import godwit
from helpers.tools import long, run, virsh, wait_until
from helpers.traveller import ROUTE, RUNNING, SHUTOFF, Traveller

pytestmark = pytest.mark.godwit


@pytest.fixture
def traveller(two_hosts, line):
    return Traveller(two_hosts, line, dirty=4, area=8)


def certificate(folder, name, template, *words):
    """A key and a certificate NAME-cert.pem, made by certtool."""
    with open(f"{folder}/{name}.info", "w") as out:
        out.write(template)
    for command in (["--generate-privkey", "--key-type", "ecdsa", "--outfile", f"{folder}/{name}-key.pem"],
                    [*words, "--load-privkey", f"{folder}/{name}-key.pem", "--template", f"{folder}/{name}.info",
                     "--outfile", f"{folder}/{name}-cert.pem"]):
        done = run("certtool", *command)
        assert done.status == 0, done


@pytest.fixture(scope="module")
def certified(module_hosts, scratch):
    """Both hosts have certificates of one authority; the servers' names are the hosts'."""
    folder = f"{scratch}/authority"
    os.mkdir(folder)
    certificate(folder, "ca", "cn = test\nca\ncert_signing_key\n", "--generate-self-signed")
    by_ca = ["--generate-certificate", "--load-ca-certificate", f"{folder}/ca-cert.pem", "--load-ca-privkey",
             f"{folder}/ca-key.pem"]
    for host in module_hosts:
        target = f"{host.root}/etc/pki/qemu"
        os.makedirs(target)
        certificate(target, "server", f"cn = {host.hostname}\ndns_name = {host.hostname}\ntls_www_server\n", *by_ca)
        certificate(target, "client", f"cn = {host.hostname}\ntls_www_client\n", *by_ca)
        run("cp", f"{folder}/ca-cert.pem", target)


@pytest.mark.parametrize("words", [[], long(["--p2p"]), long(["--parallel"])], ids=["direct", "p2p", "parallel"])
def test_tls(two_hosts, certified, traveller, words):
    traveller.migrate("--live", "--tls", "--tls-destination", "host-b", *words)
    assert traveller.states() == [SHUTOFF, RUNNING]
    traveller.lives()
    objects = virsh(two_hosts[1], "qemu-monitor-command", "--hmp", "traveller", "qom-list /objects").text
    assert "tls" not in objects, objects
    traveller.ends()


def test_tls_with_disks_by_the_own_client(two_hosts, certified, traveller):
    copy = f"{traveller.disk}.copy"
    xml = f"{traveller.disk}.xml"
    with open(xml, "w") as out:
        out.write(virsh(two_hosts[0], "dumpxml", "--migratable", "traveller").text.replace(traveller.disk, copy))
    godwit("migrate", "traveller", two_hosts[1].tcp_uri, "--live", "--tls", "--tls-destination", "host-b",
           "--copy-storage-all", "--xml", xml, *ROUTE, uri=two_hosts[0].uri, timeout=120)
    assert traveller.states() == [SHUTOFF, RUNNING]
    traveller.lives()
    for host in two_hosts:
        virsh(host, "destroy", "traveller", ok=None)
    assert guest.check_disk(copy) >= guest.acknowledged_block(traveller.line.texts())


def test_tls_with_somebody_else(two_hosts, certified, traveller):
    """A certificate of another name is refused, and the guest stays; then it goes without encryption."""
    answer = traveller.migrate("--live", "--tls", ok=False)      # 127.0.0.1 stands in no certificate
    assert "certificate" in answer.errors.lower() and "127.0.0.1" in answer.errors, answer
    assert traveller.states() == [RUNNING, None]
    traveller.lives()
    os.rename(f"{two_hosts[1].root}/etc/pki/qemu/server-key.pem", f"{two_hosts[1].root}/etc/pki/qemu/gone")
    try:
        answer = traveller.migrate("--live", "--tls", "--tls-destination", "host-b", ok=False)
    finally:
        os.rename(f"{two_hosts[1].root}/etc/pki/qemu/gone", f"{two_hosts[1].root}/etc/pki/qemu/server-key.pem")
    assert "server-key.pem" in answer.errors and "etc/pki/qemu" in answer.errors, answer
    traveller.migrate("--live")
    traveller.lives()
    traveller.ends()


def test_tunnelled(two_hosts, traveller):
    """Through the daemons' own connection, there by virsh and back by godwit; aborted, the guest stays."""
    mover = subprocess.Popen(["virsh", "-c", two_hosts[0].uri, "migrate", "--live", "--p2p", "--tunnelled", "--bandwidth", "1",
                              "traveller", two_hosts[1].tcp_uri, "--unsafe"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_until(lambda: "Memory processed" in virsh(two_hosts[0], "domjobinfo", "traveller").text, what="the transfer", step=0.1)
    virsh(two_hosts[0], "domjobabort", "traveller")
    mover.communicate(timeout=30)
    assert mover.returncode != 0
    wait_until(lambda: traveller.states() == [RUNNING, None], what="the source alone has the guest")
    virsh(two_hosts[0], "migrate", "--live", "--p2p", "--tunnelled", "traveller", two_hosts[1].tcp_uri, "--unsafe", timeout=120)
    assert traveller.states() == [SHUTOFF, RUNNING]
    traveller.lives()
    godwit("migrate", "traveller", two_hosts[0].tcp_uri, "--live", "--p2p", "--tunnelled", "--unsafe", uri=two_hosts[1].uri,
           timeout=120)
    traveller.lives()
    traveller.ends()


@pytest.mark.parametrize("words", [long(["--compressed", "--comp-methods", "mt", "--comp-mt-level", "0",
                                         "--comp-mt-threads", "2", "--comp-mt-dthreads", "2"]),
                                   ["--compressed", "--comp-methods", "xbzrle,mt"],
                                   long(["--parallel", "--compressed", "--comp-methods", "zlib", "--p2p"]),
                                   ["--parallel", "--compressed", "--comp-methods", "zstd"]],
                         ids=["mt", "both", "zlib", "zstd"])
def test_compression(two_hosts, traveller, words):
    traveller.migrate("--live", *words)
    assert traveller.states() == [SHUTOFF, RUNNING]
    traveller.lives()
    traveller.ends()


@pytest.mark.full
def test_levels_of_the_own_client(two_hosts, traveller):
    godwit("migrate", "traveller", two_hosts[1].tcp_uri, "--live", "--parallel", "--compressed", "--comp-methods", "zstd",
           "--comp-zstd-level", "3", *ROUTE, uri=two_hosts[0].uri, timeout=120)
    assert traveller.states() == [SHUTOFF, RUNNING]
    traveller.lives()
    traveller.ends()


def test_what_does_not_fit_is_named(two_hosts, traveller):
    for words, said in ((["--compressed", "--comp-methods", "zstd"], "only with --parallel"),
                        (["--parallel", "--compressed", "--comp-methods", "xbzrle"], "only without --parallel"),
                        (["--compressed", "--comp-methods", "lzo"], "'lzo' is not known"),
                        (["--compressed", "--comp-mt-level", "10"], "at most 9"),
                        (["--zerocopy"], "--zerocopy needs --parallel"),
                        (["--zerocopy", "--parallel", "--tls"], "does not go together with --tls"),
                        (["--graphicsuri", "http://there"], "spice://HOST"),
                        (["--p2p", "--tunnelled", "--tls"], "--tunnelled needs"),
                        (["--rdma-pin-all"], "RDMA")):
        answer = traveller.migrate("--live", *words, ok=False)
        assert said in answer.errors, answer
        assert traveller.states() == [RUNNING, None]
    target = two_hosts[1].tcp_uri
    for words, said in ((["traveller", target, "--direct"], "direct"),
                        (["traveller", target, "--migrateuri", "rdma://127.0.0.1"], "only tcp:")):
        for client in (virsh(two_hosts[0], "migrate", "--live", "--unsafe", *words, ok=False),
                       godwit("migrate", "--live", "--unsafe", *words, uri=two_hosts[0].uri, ok=False)):
            assert said in client.errors, client
    assert traveller.states() == [RUNNING, None]


def test_spice_is_told_where_its_clients_go(two_hosts, line):
    """Nobody looks at the screen, so that nothing has to go over; the migration is told to do it all the same."""
    spice = ("<graphics type='spice' autoport='yes' listen='127.0.0.1'/><video><model type='qxl'/></video>")
    traveller = Traveller(two_hosts, line, dirty=4, area=8, devices=spice)
    traveller.migrate("--live", "--graphicsuri", "spice://127.0.0.1")
    assert traveller.states() == [SHUTOFF, RUNNING]
    traveller.lives()
    traveller.migrate_back("--live")
    traveller.lives()
    traveller.ends()


def test_zero_copy_works_or_says_why_not(two_hosts, traveller):
    answer = traveller.migrate("--live", "--parallel", "--zerocopy", ok=None)
    if answer.status:
        assert "zero" in answer.errors.lower(), answer
        assert traveller.states() == [RUNNING, None]
    traveller.lives()
    traveller.ends()
