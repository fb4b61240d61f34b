# SPDX-License-Identifier: LGPL-2.1-or-later
"""godwit's pool and volume commands: what they do, and that they read and print like virsh's."""
import os
import subprocess
import threading
from xml.etree import ElementTree

import pytest

from helpers.cli import godwit
from helpers.tools import virsh, wait_until

MIB = 1 << 20


@pytest.fixture
def pool(host, folder):
    """A running pool `p` with a raw and a qcow2 volume."""
    godwit("pool-define-as", "p", "dir", "--target", f"{folder}/p", uri=host.uri)
    godwit("pool-start", "p", "--build", uri=host.uri)
    godwit("vol-create-as", "p", "a.raw", "10M", "--allocation", "0", uri=host.uri)
    godwit("vol-create-as", "p", "b.qcow2", "1GiB", "--format", "qcow2", uri=host.uri)
    yield f"{folder}/p"
    godwit("pool-destroy", "p", uri=host.uri)
    godwit("pool-undefine", "p", uri=host.uri)


@pytest.mark.parametrize("words", [
    ("pool-list",), ("pool-list", "--all"), ("pool-list", "--inactive"), ("pool-list", "--details"), ("pool-list", "--name"),
    ("pool-list", "--uuid", "--all"), ("pool-list", "--type", "dir,fs"), ("pool-list", "--persistent", "--no-autostart"),
    ("pool-info", "p"), ("pool-info", "p", "--bytes"), ("pool-uuid", "p"), ("pool-dumpxml", "p"), ("pool-dumpxml", "p", "--inactive"),
    ("pool-dumpxml", "p", "--xpath", "/pool/target/path"), ("pool-capabilities",), ("vol-list", "p"), ("vol-list", "p", "--details"),
    ("vol-info", "a.raw", "p"), ("vol-info", "b.qcow2", "--pool", "p", "--bytes"), ("vol-info", "a.raw", "p", "--physical"),
    ("vol-dumpxml", "b.qcow2", "p"), ("vol-dumpxml", "b.qcow2", "p", "--xpath", "//format"), ("vol-path", "a.raw", "p"),
    ("vol-key", "a.raw", "p"), ("vol-pool", "{p}/a.raw"), ("vol-pool", "{p}/a.raw", "--uuid"), ("vol-name", "{p}/a.raw"),
    ("pool-define-as", "n", "netfs", "--source-host", "h", "--source-path", "/e", "--source-format", "nfs", "--target", "/x",
     "--source-protocol-ver", "3", "--print-xml"),
    ("pool-create-as", "--name", "i", "--type", "iscsi", "--source-host", "h", "--source-dev", "iqn.x", "--target", "/dev/disk/by-path",
     "--auth-type", "chap", "--auth-username", "u", "--secret-usage", "s", "--print-xml"),
    ("vol-create-as", "p", "n", "1G", "--allocation", "0", "--format", "qcow2", "--backing-vol", "a.raw", "--backing-vol-format", "raw",
     "--print-xml"),
    ("pool-event", "--list"),
])
def test_prints_as_virsh_does(host, pool, words):
    words = [word.format(p=pool) for word in words]
    ours = godwit(*words, uri=host.uri).out
    theirs = subprocess.run(["virsh", "-c", host.uri, *words], capture_output=True, text=True, check=True).stdout
    assert ours.split() == theirs.split()
    if "xml" not in " ".join(words):
        assert [line.rstrip() for line in ours.strip().split("\n")] == [line.rstrip() for line in theirs.strip().split("\n")]


def test_json(host, pool):
    rows = {row["name"]: row for row in godwit("pool-list", "--all", "--output", "json", uri=host.uri).json}
    assert rows["p"]["state"] == "active" and rows["p"]["autostart"] is False and rows["p"]["persistent"] is True
    assert rows["p"]["capacity"] > 0
    volumes = godwit("vol-list", "p", "--output", "json", uri=host.uri).json
    assert [(row["name"], row["type"], row["capacity"]) for row in volumes] == \
        [("a.raw", "file", 10 * MIB), ("b.qcow2", "file", 1 << 30)]
    info = godwit("vol-info", "a.raw", "p", "--output", "json", uri=host.uri).json
    assert (info["capacity"], info["allocation"]) == (10 * MIB, 0)
    assert godwit("pool-info", "p", "--output", "json", uri=host.uri).json["state"] == "running"


def test_pool_life(host, folder):
    def run(*words, ok=True):
        return godwit(*words, uri=host.uri, ok=ok)
    xml = f"<pool type='dir'><name>x</name><target><path>{folder}/x</path></target></pool>"
    assert "Pool x defined from -" in run_with(host, xml, "pool-define", "-").out
    assert "cannot open directory" in run("pool-start", "x", ok=False).errors
    run("pool-build", "x")
    run("pool-start", "x")
    run("pool-autostart", "x")
    assert "yes" in run("pool-info", "x").out
    run("pool-autostart", "x", "--disable")
    run("pool-refresh", "x")
    assert "is still active" in run("pool-undefine", "x", ok=False).errors
    run("pool-destroy", "x")
    run("pool-delete", "x")
    assert not os.path.exists(f"{folder}/x")
    run("pool-undefine", "x")
    assert "there is no storage pool 'x'" in run("pool-info", "x", ok=False).errors
    assert "Pool t created" in run("pool-create-as", "t", "dir", "--target", f"{folder}/t", "--build").out
    run("pool-destroy", "t")
    assert "does not support source discovery" in run("find-storage-pool-sources-as", "dir", ok=False).errors


def run_with(host, stdin, *words):
    return godwit(*words, uri=host.uri, stdin=stdin)


def test_pool_edit(host, pool, folder):
    editor = f"{folder}/editor"
    with open(editor, "w") as file:
        file.write("#!/bin/sh\nsed -i 's|<source/>|<source/><features><cow state=\"no\"/></features>|' \"$1\"\n")
    os.chmod(editor, 0o755)
    assert "edited" in godwit("pool-edit", "p", uri=host.uri, env={"VISUAL": editor}).out
    inactive = ElementTree.fromstring(godwit("pool-dumpxml", "p", "--inactive", uri=host.uri).out)
    assert inactive.find("features/cow").get("state") == "no"
    assert "not changed" in godwit("pool-edit", "p", uri=host.uri, env={"VISUAL": "true"}).out


def test_volumes(host, pool):
    def run(*words, ok=True):
        return godwit(*words, uri=host.uri, ok=ok)
    run("vol-resize", "a.raw", "20M", "--pool", "p")
    assert os.stat(f"{pool}/a.raw").st_size == 20 * MIB
    run("vol-resize", "a.raw", "5M", "p", "--delta")
    assert os.stat(f"{pool}/a.raw").st_size == 25 * MIB
    assert "shrink" in run("vol-resize", "a.raw", "1M", "p", ok=False).errors
    run("vol-resize", "a.raw", "1M", "p", "--shrink")
    assert "cloned from a.raw" in run("vol-clone", "a.raw", "c&c", "p").out
    assert os.stat(f"{pool}/c&c").st_size == MIB
    xml = "<volume><name>d</name><capacity>0</capacity><target><format type='qcow2'/></target></volume>"
    run_with(host, xml, "vol-create-from", "p", "-", "a.raw")
    run_with(host, xml.replace(">d<", ">e<"), "vol-create", "p", "-")
    run("vol-wipe", f"{pool}/c&c")
    assert "trim" in run("vol-wipe", "a.raw", "p", "--algorithm", "trim", ok=False).errors
    assert "allowed are" in run("vol-wipe", "a.raw", "p", "--algorithm", "spoon", ok=False).errors
    for name in ("c&c", "d", "e"):
        run("vol-delete", name, "p")
    assert sorted(os.listdir(pool)) == ["a.raw", "b.qcow2"]
    assert "a name needs --pool" in run("vol-info", "a.raw", ok=False).errors
    assert "no volume 'nosuch' in storage pool 'p'" in run("vol-delete", "nosuch", "p", ok=False).errors


@pytest.mark.parametrize("sparse", [(), ("--sparse",)])
def test_streams(host, pool, folder, sparse):
    source = f"{folder}/source"
    with open(source, "wb") as file:
        file.write(os.urandom(3 * MIB + 17))
        file.seek(40 * MIB)
        file.write(os.urandom(MIB))
        file.truncate(50 * MIB)
    with open(source, "rb") as file:
        content = file.read()
    godwit("vol-create-as", "p", "up", "50M", uri=host.uri)
    godwit("vol-upload", "up", source, "p", *sparse, uri=host.uri)
    with open(f"{pool}/up", "rb") as file:
        assert file.read() == content
    godwit("vol-download", "up", f"{folder}/back", "p", *sparse, uri=host.uri)
    with open(f"{folder}/back", "rb") as file:
        assert file.read() == content
    if sparse:
        assert os.stat(f"{pool}/up").st_blocks * 512 < 10 * MIB
        assert os.stat(f"{folder}/back").st_blocks * 512 < 10 * MIB
    godwit("vol-download", "up", f"{folder}/part", "p", "--offset", "1000", "--length", "5000", uri=host.uri)
    with open(f"{folder}/part", "rb") as file:
        assert file.read() == content[1000:6000]
    godwit("vol-download", "nosuch", f"{folder}/none", "p", uri=host.uri, ok=False)
    assert not os.path.exists(f"{folder}/none")


def test_events(host, pool):
    answers = []
    worker = threading.Thread(target=lambda: answers.append(
        godwit("pool-event", "--pool", "p", "--event", "refresh", "--timeout", "30", uri=host.uri)))
    worker.start()
    wait_until(lambda: virsh(host, "pool-refresh", "p") and not worker.is_alive(), timeout=30, what="the event", step=0.1)
    worker.join()
    assert "event 'refresh' for storage pool p" in answers[0].out and "events received: 1" in answers[0].out
