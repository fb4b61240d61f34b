# SPDX-License-Identifier: LGPL-2.1-or-later
"""godwit image: qemu-img's verbs through the daemon, on volumes and on files."""
import json
import os
import subprocess

import libvirt
import pytest

from helpers import guest
from helpers.cli import GODWIT, godwit
from helpers.tools import wait_until
from helpers.volumes import MIB, digest, fill, image_info, volume_xml

pytestmark = pytest.mark.godwit


def image(host, *words, **options):
    return godwit("image", *words, uri=host.uri, **options)


def as_json(host, *words, **options):
    return image(host, *words, "--output", "json", **options).json


def test_create_info_map_and_resize(host, pool, folder):
    name = pool.name()
    image(host, "create", f"{name}/a", "8M", "--to", "qcow2", "--options", "cluster_size=128k,extended_l2=on")
    assert pool.storageVolLookupByName("a").info()[1] == 8 * MIB, "the pool shows it at once"
    info = as_json(host, "info", f"{name}/a")
    assert (info["format"], info["virtual-size"], info["cluster-size"]) == ("qcow2", 8 * MIB, 128 << 10)
    assert "virtual size: 8 MiB" in image(host, "info", f"{folder}/a").out
    subprocess.run(["qemu-io", "-f", "qcow2", f"{folder}/a", "-c", "write -P 5 1M 64k"], check=True, capture_output=True)
    parts = [part for part in as_json(host, "map", f"{folder}/a") if part["data"]]
    assert parts and parts[0]["start"] <= MIB < parts[0]["start"] + parts[0]["length"]
    image(host, "resize", f"{name}/a", "+8M")
    assert pool.storageVolLookupByName("a").info()[1] == 16 * MIB
    assert "--shrink" in image(host, "resize", f"{name}/a", "4M", ok=False).errors
    image(host, "resize", f"{name}/a", "-4M", "--shrink")
    assert image_info(f"{folder}/a")["virtual-size"] == 12 * MIB
    # beside an external data file, and of a backing image
    image(host, "create", f"{folder}/ext", "1M", "--to", "qcow2", "--options", f"data_file={folder}/ext.raw,data_file_raw=on")
    assert os.path.getsize(f"{folder}/ext.raw") == MIB
    image(host, "create", f"{folder}/top", "--to", "qcow2", "--backing", f"{name}/a", "--backing-format", "qcow2")
    assert image_info(f"{folder}/top")["backing-filename"] == f"{folder}/a"
    assert [one["virtual-size"] for one in as_json(host, "info", f"{folder}/top", "--backing-chain")] == [12 * MIB] * 2
    assert os.stat(f"{folder}/top").st_mode & 0o777 == 0o600


def test_convert_and_compare(host, pool, folder):
    pool.createXML(volume_xml("raw", 4 * MIB, allocation=0))
    before = fill(f"{folder}/raw", [0, 2 * MIB])
    answer = image(host, "convert", f"{pool.name()}/raw", f"{pool.name()}/q.qcow2", "--to", "qcow2", "--compress", "--verbose")
    assert "copies" in answer.out and "q.qcow2" in pool.listVolumes()
    image(host, "compare", f"{folder}/raw", f"{folder}/q.qcow2")
    assert as_json(host, "compare", f"{folder}/raw", f"{folder}/q.qcow2")["identical"] is True
    image(host, "convert", f"{folder}/q.qcow2", f"{folder}/back", "--to", "raw")
    assert digest(f"{folder}/back") == before
    fill(f"{folder}/back", [MIB])
    assert as_json(host, "compare", f"{folder}/raw", f"{folder}/back", ok=False)["identical"] is False
    # nobody's file is written over, and a failure leaves nothing
    assert "exists already" in image(host, "convert", f"{folder}/raw", f"{folder}/back", ok=False).errors
    assert "Unknown" in image(host, "convert", f"{folder}/raw", f"{folder}/new", "--to", "nope", ok=False).errors
    image(host, "convert", f"{folder}/raw", f"{folder}/new", "--to", "qcow2", "--options", "nope=1", ok=False)
    assert sorted(os.listdir(folder)) == ["back", "q.qcow2", "raw"]


def test_chains_and_snapshots(host, folder):
    base, top = f"{folder}/base", f"{folder}/top"
    image(host, "create", base, "1M", "--to", "qcow2")
    image(host, "create", top, "--to", "qcow2", "--backing", base, "--backing-format", "qcow2")
    subprocess.run(["qemu-io", "-f", "qcow2", top, "-c", "write -P 9 0 64k"], check=True, capture_output=True)
    for words in (["snapshot", top, "--create", "one"], ["snapshot", top, "--apply", "one"]):
        assert top in image(host, *words).errors
    assert "one" in image(host, "snapshot", top).out
    assert [one["name"] for one in as_json(host, "snapshot", top)["snapshots"]] == ["one"]
    image(host, "snapshot", top, "--delete", "one")
    assert "snapshots" not in as_json(host, "snapshot", top)
    answer = image(host, "commit", top, "--format", "qcow2", "--dry-run")
    assert answer.out.strip() == f"This writes what '{top}' holds into '{base}' and empties it."
    assert as_json(host, "map", base)[0]["data"] is False
    image(host, "commit", top, "--format", "qcow2", "--yes")
    assert as_json(host, "map", base)[0]["data"] is True
    image(host, "rebase", top, "--format", "qcow2", "--backing", "")
    assert "backing-filename" not in image_info(top)


def test_a_header_that_names_other_files_is_not_believed(host, folder):
    """A guest that has a raw disk writes what it likes to its beginning."""
    secret, plain = f"{folder}/secret", f"{folder}/plain"
    with open(secret, "wb") as file:
        file.write(b"of the host" * 1000)
    image(host, "create", plain, "1M", "--to", "qcow2")
    named = []
    for name, options in (("backed", ["-b", secret, "-F", "raw"]), ("beside", ["-o", f"data_file={folder}/data"])):
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *options, f"{folder}/{name}", "1M"], check=True)
        named.append(f"{folder}/{name}")
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", f"{folder}/far", "1M"], check=True)
    with open(f"{folder}/far", "r+b") as file:  # within the first cluster, which QEMU reads
        file.seek(8)
        file.write((50000).to_bytes(8, "big") + len(secret).to_bytes(4, "big"))
        file.seek(50000)
        file.write(secret.encode())
    for path in (*named, f"{folder}/far"):
        for words in (["convert", path, f"{folder}/new"], ["compare", plain, path], ["rebase", path, "--backing", ""], ["commit", path],
                      ["resize", path, "2M"]):
            assert "could have made it say" in image(host, *words, ok=False).errors, words
        assert as_json(host, "info", path)["format"] == "qcow2"
        image(host, "convert", path, f"{folder}/new", "--format", "raw")
        with open(f"{folder}/new", "rb") as file:
            assert file.read(3) == b"QFI", "as raw it is what it is"
        os.unlink(f"{folder}/new")
    image(host, "convert", f"{folder}/backed", f"{folder}/new", "--format", "qcow2")
    with open(f"{folder}/new", "rb") as file:
        assert file.read(11) == b"of the host"


def test_a_data_file_is_new_too(host, folder):
    """qemu-img empties the file that it is told to keep the data in."""
    precious, image_path, plain = f"{folder}/precious", f"{folder}/df", f"{folder}/plain"
    image(host, "create", precious, "1M")
    before = fill(precious, [0])
    image(host, "create", plain, "1M", "--to", "qcow2")
    for words in (["create", image_path, "1M"], ["convert", plain, image_path]):
        for options, what in ((f"data_file={precious}", "exists already"), (f"cluster_size=64k,data_file={precious}", "exists already"),
                              ("data_file=near", "absolute path"), ("data_file", "absolute path"), ("nodata_file", "absolute path"),
                              ("data_file=json:{}", "absolute path"), (f"data_file={folder}/1,data_file={precious}", "twice"),
                              (f"data_file={folder}/gone/x", "No such file")):
            assert what in image(host, *words, "--to", "qcow2", "--options", options, ok=False).errors, (words, options)
        image(host, *words, "--to", "qcow2", "--options", f"data_file={folder}/new,nope=1", ok=False)
        image(host, *words, "--to", "raw", "--options", f"data_file={folder}/new", ok=False)
        assert sorted(os.listdir(folder)) == ["plain", "precious"] and digest(precious) == before
    image(host, "convert", plain, image_path, "--to", "qcow2", "--options", f"data_file={folder}/a,,b,data_file_raw=on")
    assert os.path.getsize(f"{folder}/a,b") == MIB and os.stat(f"{folder}/a,b").st_mode & 0o777 == 0o600
    assert image_info(image_path)["format-specific"]["data"]["data-file"] == f"{folder}/a,b"


def test_a_chain_without_an_end(host, folder):
    loop = f"{folder}/loop"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", loop, "1M"], check=True)
    subprocess.run(["qemu-img", "rebase", "-u", "-f", "qcow2", "-b", loop, "-F", "qcow2", loop], check=True)
    for words in (["map", loop], ["convert", loop, f"{folder}/new", "--format", "qcow2"],
                  ["compare", loop, loop, "--format", "qcow2", "--second-format", "qcow2"],
                  ["create", f"{folder}/new", "--to", "qcow2", "--backing", loop, "--backing-format", "qcow2"]):
        assert "more than 200 images below it" in image(host, *words, ok=False).errors, words
    assert os.listdir(folder) == ["loop"]
    image(host, "rebase", loop, "--format", "qcow2", "--backing", "", "--unsafe")
    assert "backing-filename" not in image_info(loop)


def test_words_about_what_is_done(host, folder):
    path = f"{folder}/a"
    assert as_json(host, "create", path, "1M", "--dry-run") == {"plan": f"makes '{path}' (raw)", "changes": False}
    answer = image(host, "create", path, "1M")
    assert "Done: makes" in answer.out and ".godwit" not in answer.out
    assert "cluster_size" in image(host, "create", f"{folder}/b", "1M", "--to", "qcow2", "--options", "help").out
    for subformat in ("monolithicFlat", "twoGbMaxExtentSparse"):
        assert "several files" in image(host, "create", f"{folder}/b", "1M", "--to", "vmdk", "--options", f"subformat={subformat}", ok=False).errors
    assert os.listdir(folder) == ["a"]
    answer = image(host, "create", f"{folder}/b", "9E", "--to", "qcow2", ok=False)
    assert f"{folder}/b" in answer.errors and ".godwit" not in answer.errors
    for size in ("-1", "+5", "-1M"):
        assert "no size" in image(host, "create", f"{folder}/b", size, ok=False).errors, size
    for words in (["create", f"{folder}/b"], ["convert", path, f"{folder}/b"], ["rebase", path]):
        assert "--backing-format" in image(host, *words, *([] if words[0] == "rebase" else ["--to", "qcow2"]), "--backing", path, ok=False).errors


def test_check_and_repair(host, folder):
    path = f"{folder}/a"
    image(host, "create", path, "1M", "--to", "qcow2")
    assert "No errors" in image(host, "check", path).out
    with open(path, "r+b") as file:         # a refcount of a cluster that nobody uses
        file.seek(0, os.SEEK_END)
        end = file.tell() + (-file.tell() % 65536)
        file.truncate(end + 65536)
        file.seek(2 * 65536 + 2 * (end // 65536))
        file.write(b"\0\1")
    assert as_json(host, "check", path, ok=False)["leaks"] == 1
    answer = image(host, "check", path, "--repair", "all")
    assert f"mends '{path}' in place (all)" in answer.errors
    assert "leaks" not in as_json(host, "check", path)


def test_refusals(host, pool, connection, folder):
    volume = pool.createXML(volume_xml("used", MIB, "qcow2"))
    image(host, "create", f"{folder}/over", "--to", "qcow2", "--backing", f"{folder}/used", "--backing-format", "qcow2")
    domain = connection.createXML(guest.bare_xml("busy", devices="<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>"
                                                 f"<source file='{volume.path()}'/><target dev='vda' bus='virtio'/></disk>"),
                                  libvirt.VIR_DOMAIN_START_PAUSED)
    for words in (["resize", f"{pool.name()}/used", "2M"], ["check", volume.path()], ["convert", volume.path(), f"{folder}/copy"],
                  ["snapshot", volume.path(), "--create", "s"], ["commit", f"{folder}/over", "--format", "qcow2"],
                  ["commit", f"{folder}/over", "--format", "qcow2", "--base", f"{pool.name()}/used", "--dry-run"]):
        assert "the running domain 'busy' uses it (disk 'vda')" in image(host, *words, ok=False).errors, words
    assert as_json(host, "info", volume.path())["format"] == "qcow2"
    domain.destroy()
    for words, what in ((["info", "nope"], "POOL/VOLUME"), (["info", "nope/x"], "nope"), (["info", f"{folder}/nope"], "No such file"),
                        (["info", f"{pool.name()}/nope"], "nope"), (["create", f"{folder}/x", "1Q"], "no size"),
                        (["create", f"{pool.name()}/..", "1M"], "cannot be called"), (["info", folder], "neither a file"),
                        (["snapshot", volume.path(), "--create", "s", "--format", "qcow2,file.locking=off"], "no format"),
                        (["resize", volume.path(), "--shrink"], "takes 2 operands")):
        assert what in image(host, *words, ok=False).errors, words
    assert "image check" in godwit("help", "image-check").out
    image(host, "nope", ok=False)


def test_a_client_that_goes_takes_its_work_with_it(host, folder):
    with open(f"{folder}/big", "wb") as file:
        for _ in range(64):
            file.write(os.urandom(MIB))
    before = set(os.listdir(folder))
    client = subprocess.Popen([GODWIT, "-c", host.uri, "image", "convert",
                               f"{folder}/big", f"{folder}/copy", "--to", "qcow2", "--compress"], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    wait_until(lambda: any(name.startswith(".godwit") for name in os.listdir(folder)) or client.poll() is not None, timeout=60,
               what="the copy begins")
    client.kill()
    client.wait()
    wait_until(lambda: set(os.listdir(folder)) - {"copy"} == before, timeout=60, what="the half copy goes")
    assert json.loads(godwit("image-info", f"{folder}/big", "--format", "raw", "--output", "json", uri=host.uri).out)["format"] == "raw"
