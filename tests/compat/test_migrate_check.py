# SPDX-License-Identifier: LGPL-2.1-or-later
"""What godwit says of a migration before it begins: both ends are asked, and all findings are told at once."""
import glob
import json
import os
import shutil
import socket
import struct

import libvirt
import pytest

from helpers.cli import godwit
from helpers.guest import bare_xml, disk_image
from helpers.host import kill_guests
from helpers.tools import virsh

pytestmark = pytest.mark.godwit


def xml(disk=None, devices="", **more):
    return bare_xml("mover", **{"disk": disk, "devices": devices, **more})


@pytest.fixture
def mover(two_hosts, tmp_path):
    """A guest with four disks on the first of two hosts that see the same files."""
    source, destination = two_hosts
    disks = [disk_image(f"{tmp_path}/disk{i}") for i in range(4)]
    more = "".join(f"<disk type='file' device='disk'><driver name='qemu' type='raw' cache='none'/><source file='{path}'/>"
                   f"<target dev='vd{'bcd'[i]}' bus='virtio'/></disk>" for i, path in enumerate(disks[1:]))
    connection = libvirt.open(source.uri)
    connection.defineXML(xml(disks[0], more)).create()
    connection.close()
    source.disks = disks
    return source, destination


def check(hosts, *words, ok=True, destinations=None):
    """The JSON document; asserts the exit code."""
    places = destinations or [hosts[1].tcp_uri]
    return godwit("migrate", "--check", "mover", *places, *words, "--output", "json", uri=hosts[0].uri, ok=ok).json


def results(document, rule=None, index=0):
    """{rule: worst result}, or the findings of one rule."""
    findings = document["destinations"][index]["findings"]
    if rule:
        return [finding for finding in findings if finding["id"] == rule]
    order = ["pass", "unknown", "note", "warn", "fail"]
    worst = {}
    for finding in findings:
        worst[finding["id"]] = max(worst.get(finding["id"], "pass"), finding["result"], key=order.index)
    return worst


def states(hosts):
    found = []
    for host in hosts:
        connection = libvirt.open(host.uri)
        found.append([domain.state()[0] for domain in connection.listAllDomains() if domain.isActive()])
        connection.close()
    return found


def written_xml(source, tmp_path, change):
    """A file with the guest's XML, changed."""
    path = f"{tmp_path}/there.xml"
    text = virsh(source, "dumpxml", "--migratable", "mover").text
    assert change(text) != text
    with open(path, "w") as file:
        file.write(change(text))
    return path


def marks(hosts):
    return glob.glob(f"{os.path.dirname(hosts[0].disks[0])}/.godwit-check-*")


def test_two_hosts_that_fit(mover):
    document = check(mover)
    found = results(document)
    assert {result for rule, result in found.items() if rule != "resolve-back"} == {"pass"}, found
    assert len(found) > 20
    same = results(document, "disk-same")
    assert [finding["subject"] for finding in same] == [f"disk vd{letter}" for letter in "abcd"]
    assert document["best"] == mover[1].tcp_uri
    assert document["destinations"][0]["host"]["hostname"] == "host-b"
    assert document["destinations"][0]["link"]["bandwidth_bps"] > 0
    assert not marks(mover)                                                 # nothing is left beside the images
    assert [os.path.getsize(path) for path in mover[0].disks] == [16 << 20] * 4
    assert states(mover) == [[libvirt.VIR_DOMAIN_RUNNING], []]              # and nothing was moved


def test_the_table_for_people(mover):
    answer = godwit("migrate", "--check", "mover", mover[1].tcp_uri, uri=mover[0].uri)
    assert "pass     images are the same on both hosts (disk vda)" in answer.out
    assert f"Domain 'mover' can be migrated to {mover[1].tcp_uri}" in answer.lines[-1]


def test_an_image_that_is_not_there(mover, tmp_path):
    path = written_xml(mover[0], tmp_path, lambda text: text.replace("disk2'", "other2'").replace("disk3'", "other3'"))
    document = check(mover, "--xml", path, ok=False)
    missing = [finding for finding in results(document, "disk-present") if finding["result"] == "fail"]
    assert [finding["subject"] for finding in missing] == ["disk vdc", "disk vdd"]      # all at once
    assert "--copy-storage-all" in missing[0]["remedy"]
    assert document["best"] is None


def test_the_same_rules_refuse_the_migration(mover, tmp_path):
    path = written_xml(mover[0], tmp_path, lambda text: text.replace("disk2'", "other2'"))
    for words in ([], ["--p2p"]):
        answer = godwit("migrate", "mover", mover[1].tcp_uri, "--live", "--xml", path, *words, uri=mover[0].uri, ok=False)
        assert "[disk-present] images are there and can be opened: disk vdc" in answer.errors, answer
    stock = virsh(mover[0], "migrate", "--live", "mover", mover[1].tcp_uri, "tcp://127.0.0.1", "--xml", path, ok=False)
    assert "[disk-present]" in stock.errors
    assert states(mover) == [[libvirt.VIR_DOMAIN_RUNNING], []]
    godwit("migrate", "mover", mover[1].tcp_uri, "--live", uri=mover[0].uri)
    assert states(mover) == [[], [libvirt.VIR_DOMAIN_RUNNING]]
    assert not marks(mover)


def test_another_image_of_that_name(mover, tmp_path):
    """A copy elsewhere has the same name, size and content, and is nevertheless not the guest's disk."""
    other = f"{tmp_path}/elsewhere"
    os.mkdir(other)
    shutil.copy(mover[0].disks[1], other)
    path = written_xml(mover[0], tmp_path, lambda text: text.replace(mover[0].disks[1], f"{other}/disk1"))
    document = check(mover, "--xml", path, ok=False)
    fault, = [finding for finding in results(document, "disk-same") if finding["result"] == "fail"]
    assert fault["subject"] == "disk vdb" and "mark is not beside it" in fault["destination"]
    assert check(mover, "--xml", path, "--unsafe")["best"] == mover[1].tcp_uri
    swapped = written_xml(mover[0], tmp_path, lambda text: text.replace("disk1'", "disk3'").replace("disk2'", "disk1'"))
    faults = [finding["destination"] for finding in results(check(mover, "--xml", swapped, ok=False), "disk-same")
              if finding["result"] == "fail"]
    assert faults == ["another file of the same directory"] * 2


def test_a_destination_that_cannot_write(mover):
    """Read-only on the source too: then the proof is missing, and nothing is claimed."""
    folder = os.path.dirname(mover[0].disks[0])
    if os.system(f"mount -t tmpfs none {folder} 2>/dev/null"):
        pytest.skip("file systems cannot be mounted here")
    try:
        for path in mover[0].disks:
            disk_image(path)
        assert not os.system(f"mount -o remount,ro {folder}")
        document = check(mover, ok=False)
        assert {finding["destination"] for finding in results(document, "disk-present")} == {"cannot be written"}
    finally:
        os.system(f"umount -l {folder}")


def test_disks_that_are_copied(mover, tmp_path):
    """What the migration takes along need not be there; where it goes must have room."""
    path = written_xml(mover[0], tmp_path, lambda text: text.replace("disk1'", "copy1'"))
    document = check(mover, "--xml", path, "--copy-storage-all", "--migrate-disks", "vdb")
    assert [finding["subject"] for finding in results(document, "disk-room")] == ["disk vdb"]
    assert results(document)["disk-same"] == "pass" and results(document)["capabilities"] == "pass"
    path = written_xml(mover[0], tmp_path, lambda text: text.replace(mover[0].disks[1], f"{tmp_path}/none/copy1"))
    fault, = results(check(mover, "--xml", path, "--copy-storage-all", "--migrate-disks", "vdb", ok=False), "disk-room")
    assert "its directory: No such file" in fault["destination"]


def test_volumes_of_pools(two_hosts, tmp_path):
    """Each host looks into its own pool of that name."""
    disk_image(f"{tmp_path}/guest.img")
    for host in two_hosts:
        virsh(host, "pool-create-as", "guests", "dir", "--target", tmp_path)
    volume = ("<disk type='volume' device='disk'><driver name='qemu' type='raw' cache='none'/>"
              "<source pool='guests' volume='guest.img'/><target dev='vda' bus='virtio'/></disk>")
    connection = libvirt.open(two_hosts[0].uri)
    connection.defineXML(xml(devices=volume)).create()
    document = check(two_hosts)
    assert results(document)["disk-present"] == results(document)["disk-same"] == "pass"
    virsh(two_hosts[1], "pool-destroy", "guests")
    fault, = results(check(two_hosts, ok=False), "disk-present")
    assert fault["source"] == "volume 'guest.img' of pool 'guests'" and "guests" in fault["destination"]
    virsh(two_hosts[0], "destroy", "mover")
    virsh(two_hosts[0], "pool-destroy", "guests")
    connection.close()


def test_backing_files(two_hosts, tmp_path):
    base, top = disk_image(f"{tmp_path}/base"), f"{tmp_path}/top"
    os.system(f"qemu-img create -q -f qcow2 -F raw -b {base} {top}")
    connection = libvirt.open(two_hosts[0].uri)
    connection.defineXML(xml(top).replace("type='raw' cache='none'", "type='qcow2' cache='writeback'")).create()
    document = check(two_hosts)
    assert results(document)["disk-chain"] == results(document)["disk-format"] == "pass"
    assert results(document)["disk-cache"] == "warn"
    os.rename(base, f"{base}.gone")
    fault, = results(check(two_hosts, ok=False), "disk-chain")
    assert fault["source"] == base and fault["destination"] == "no such file"
    connection.close()


def test_what_is_missing_on_the_destination(mover, tmp_path):
    def change(text):
        nic = "<interface type='bridge'><source bridge='no-such-br0'/><mac address='52:54:00:00:00:01'/></interface>"
        screen = "<graphics type='vnc' port='5907' autoport='no' listen='192.0.2.7'/>"
        return text.replace("</devices>", f"{nic}{screen}</devices>").replace("<os>", "<os><loader>/no/such.fd</loader>")
    document = check(mover, "--xml", written_xml(mover[0], tmp_path, change), ok=False)
    failed = sorted(rule for rule, result in results(document).items() if result == "fail")
    assert failed == ["files", "graphics", "networks"]
    assert results(document, "networks")[0]["source"] == "bridge 'no-such-br0'"
    assert results(document, "graphics")[0]["destination"] == "no address of this host"


def test_a_name_that_is_taken(mover):
    connection = libvirt.open(mover[1].uri)
    other = connection.defineXML(xml())
    fault, = [finding for finding in results(check(mover, ok=False), "name-free")]
    assert other.UUIDString() in fault["destination"]
    assert check(mover, "--dname", "moved")["best"]
    connection.close()


def test_a_port_that_nobody_reaches(mover):
    document = check(mover, "--migrateuri", "tcp://no-such-host.invalid", ok=False)
    assert results(document)["resolve-there"] == "fail"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        document = check(mover, "--migrateuri", f"tcp://127.0.0.1:{taken.getsockname()[1]}", ok=False)
    assert "Address already in use" in results(document, "port")[0]["destination"]


def test_the_host_itself(mover):
    document = check(mover, destinations=[mover[0].tcp_uri], ok=False)
    assert results(document)["same-host"] == "fail"


def test_a_guest_that_does_not_run(mover):
    godwit("destroy", "mover", uri=mover[0].uri)
    document = check(mover, ok=False)
    assert results(document)["state"] == "fail"


def test_a_definition_moves_without_its_disks(mover):
    """Only a running guest needs what a guest needs to start: offline, it is a warning, and the move agrees."""
    godwit("destroy", "mover", uri=mover[0].uri)
    for path in mover[0].disks:
        os.unlink(path)
    assert results(check(mover, "--offline", "--persistent"))["disk-present"] == "warn"
    godwit("migrate", "mover", mover[1].tcp_uri, "--offline", "--persistent", uri=mover[0].uri)
    assert virsh(mover[1], "domstate", "mover").text == "shut off"


def test_several_destinations(mover):
    nowhere = "qemu+tcp://127.0.0.1:1/system"
    places = [nowhere, mover[0].tcp_uri, mover[1].tcp_uri]
    document = check(mover, destinations=places)
    assert document["best"] == mover[1].tcp_uri
    assert [one["possible"] for one in document["destinations"]] == [False, False, True]
    assert "cannot connect" in document["destinations"][0]["error"]
    assert "2 failed" in document["destinations"][1]["reason"]
    assert document["destinations"][2]["prediction"]["total_ms"] > 0
    answer = godwit("migrate", "mover", *places, "--live", uri=mover[0].uri)
    assert f"Destination {mover[1].tcp_uri}: " in answer.out and "GiB of memory free" in answer.out
    assert states(mover) == [[], [libvirt.VIR_DOMAIN_RUNNING]]
    answer = godwit("migrate", "mover", nowhere, mover[1].tcp_uri, uri=mover[1].uri, ok=False)
    assert "none of the 2 destinations can take it" in answer.errors


def test_the_source_asks_by_itself(mover):
    """With --p2p the source's daemon connects, here to what only it can reach by that name."""
    document = check(mover, "--p2p")
    assert document["best"] == mover[1].tcp_uri
    assert results(document)["port"] == "pass"
    document = check(mover, "--p2p", destinations=["qemu+tcp://127.0.0.1:1/system"], ok=False)
    assert "cannot connect to the destination" in document["destinations"][0]["error"]


@pytest.fixture
def lesser(mover, make_host, scratch):
    """make(change): a third host whose QEMU, as its daemon remembers it, is another: change() edits that document."""
    made = []

    def make(change):
        check(mover)                                                        # now host-b knows its QEMU
        source, = glob.glob(f"{mover[1].root}/var/cache/godwit/qemu-system-x86_64-*.json")
        with open(source) as file:
            known = json.load(file)
        change(known)
        name = f"host-c{len(glob.glob(f'{scratch}/host-c*'))}"
        folder = f"{scratch}/{name}/var/cache/godwit"
        os.makedirs(folder)
        for path in glob.glob(f"{mover[1].root}/var/cache/godwit/cpu-models-*.json"):
            shutil.copy(path, folder)
        with open(f"{folder}/{os.path.basename(source)}", "w") as file:
            json.dump(known, file)
        made.append(make_host(name, tcp=True))
        return made[-1]
    yield make
    kill_guests()


def test_an_older_qemu(mover, lesser):
    def age(known):
        known["version"] = 6002000
        known["machines"] = [machine for machine in known["machines"] if not machine["name"].endswith("-7.2")]
    old = lesser(age)
    document = check(mover, destinations=[old.tcp_uri], ok=False)
    assert results(document)["machine"] == "fail" and results(document)["qemu-older"] == "warn"
    assert results(document, "qemu-older")[0]["destination"] == "QEMU 6.2.0"
    best = check(mover, destinations=[old.tcp_uri, mover[1].tcp_uri])
    assert best["best"] == mover[1].tcp_uri


def test_a_lesser_processor(two_hosts, mover, lesser):
    godwit("destroy", "mover", uri=mover[0].uri)
    connection = libvirt.open(mover[0].uri)
    connection.lookupByName("mover").undefine()
    connection.defineXML(xml(extra="<cpu mode='custom' match='exact' check='none'><model fallback='forbid'>Nehalem</model>"
                             "</cpu>")).create()

    def weaken(value):
        if isinstance(value, list):
            value[:] = [item for item in value if item not in ("sse4.1", "sse4_1", "sse4-1", "popcnt")]
        for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            weaken(item)
    weak = lesser(weaken)
    fault, = results(check(mover, destinations=[weak.tcp_uri], ok=False), "cpu")
    assert fault["source"] == "Nehalem" and "sse4.1" in fault["destination"] and "popcnt" in fault["destination"]
    assert "<model" in fault["remedy"] and "give it a CPU that fits both" in fault["remedy"]
    assert results(check(mover))["cpu"] == "pass"
    connection.close()


class Raw:
    """Our own program, spoken byte by byte: what no well-behaved end would send."""
    REMOTE, GODWIT = 0x20008086, 0x47445754

    def __init__(self, host):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(host.socket)
        self.call(self.REMOTE, 1, struct.pack(">I", 1) + self.text("qemu:///system") + struct.pack(">I", 0))

    @staticmethod
    def text(words):
        data = words.encode()
        return struct.pack(">I", len(data)) + data + bytes(-len(data) % 4)

    def call(self, program, procedure, body):
        """True when it was answered well."""
        head = struct.pack(">IIIIII", program, 1, procedure, 0, 7, 0)
        self.socket.sendall(struct.pack(">I", 4 + len(head) + len(body)) + head + body)
        length, = struct.unpack(">I", self.receive(4))
        answer = self.receive(length - 4)
        return struct.unpack(">IIIIII", answer[:24])[5] == 0

    def receive(self, length):
        data = b""
        while len(data) < length:
            piece = self.socket.recv(length - len(data))
            assert piece, "the daemon closed the connection"
            data += piece
        return data

    def answer(self, question):
        return self.call(self.GODWIT, 11, self.text(question) + struct.pack(">I", 2))

    def judge(self, question, answer):
        return self.call(self.GODWIT, 12, self.text(question) + self.text(answer) + struct.pack(">I", 2))

    def end(self, question):
        return self.call(self.GODWIT, 13, self.text(question))


def test_documents_that_make_no_sense(mover, tmp_path):
    """What the other end says is text from outside: read with care, and never a reason to touch other files."""
    raw = Raw(mover[1])
    bad = ["", "null", "[]", "{", "7", '{"a": ' * 300 + "1" + "}" * 300]
    assert not any(raw.answer(text) for text in bad)
    assert not any(raw.judge(text, "{}") for text in bad) and not any(raw.judge("{}", text) for text in bad)
    odd = [{}, {"guest": 1}, {"guest": {"disks": [1, None, [], {"target": 5, "there": "/", "chain": [{}, 1]}], "files": [3],
                                        "interfaces": [{"bridge": "../../etc"}, {"bridge": "x" * 5000}], "uuid": "no",
                                        "emulator": "/bin/true", "graphics": [{"listen": "::", "port": -1}, 2],
                                        "cpu": {"features": ["nonsense", 4], "xml": "<cpu"}, "type": "kvm"}},
           {"guest": {"disks": [{"target": "vda", "pool": "p", "volume": "v"}, {"target": "vdb", "there": "/x" * 3000}],
                      "emulator": "/no/such", "machine": "x"}, "mark": {"name": "../../x", "text": "y"},
            "options": {"uri": "rdma:nowhere", "offline": 3}}]
    for question in odd:
        assert raw.answer(json.dumps(question)), question
        assert raw.judge(json.dumps(question), json.dumps(question)), question
    for listener in ({"host": "127.0.0.1", "port": 70000, "token": "x"}, {"host": "", "port": 1, "token": "y"},
                     {"host": "127.0.0.1", "port": 1, "token": 3}, {"host": "127.0.0.1", "port": 1, "token": "z" * 36}):
        assert raw.judge("{}", json.dumps({"listener": listener}))
    victim = f"{tmp_path}/victim"
    with open(victim, "w") as file:
        file.write("precious")
    for name in ("victim", ".godwit-check-victim", "../victim"):
        question = {"mark": {"name": name, "text": "precious"},
                    "guest": {"disks": [{"path": f"{tmp_path}/disk0", "file": {"marked": True}}]}}
        assert raw.end(json.dumps(question))
    assert os.path.exists(victim)
    assert check(mover)["best"]


def test_a_storage_server_out_of_reach(mover, tmp_path):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(4)
        port = server.getsockname()[1]
        disk = (f"<disk type='network' device='disk'><driver name='qemu' type='raw' cache='none'/><source protocol='nbd' "
                f"name='x'><host name='127.0.0.1' port='{port}'/></source><target dev='vdb' bus='virtio'/></disk>")
        path = f"{tmp_path}/there.xml"
        with open(path, "w") as file:
            file.write(xml(mover[0].disks[0], disk))
        assert results(check(mover, "--xml", path), "disk-network")[0]["destination"] == "reached"
    fault, = results(check(mover, "--xml", path, ok=False), "disk-network")
    assert fault["source"] == f"127.0.0.1 port {port}" and "refused" in fault["destination"]
