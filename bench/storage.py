# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is measured of storage: pools of files, and what goes in and out of volumes."""
import contextlib
import os
import shutil
import socket
import subprocess
import time

import libvirt

MIB = 1 << 20
FILES = 5000
STREAM_MIB = 256
CLONE_GIB = 20
CLONE_MIB = 200
FIGURES = {
    "vol-create-delete": ("/s", "create and delete of a raw volume", (3, "peer", ">=")),
    "pool-refresh": ("ms", "refresh of a pool with 5,000 files", (0.34, "peer")),
    "pool-refresh-1": ("ms", "the same, after one of them changed", (0.05, "peer")),
    "vol-list": ("ms", "list of 5,000 volumes with details", (0.34, "peer")),
    "vol-upload": ("MiB/s", "vol-upload; floor: dd through a unix socket", (0.9, "floor", ">=")),
    "vol-upload-peer": ("MiB/s", "the same, beside the peer", (1.5, "peer", ">=")),
    "vol-download": ("MiB/s", "vol-download; floor: dd through a unix socket", (0.9, "floor", ">=")),
    "vol-download-peer": ("MiB/s", "the same, beside the peer", (1.5, "peer", ">=")),
    "vol-clone": ("ms", "clone of 20 GiB with 200 MiB of data; floor: cp of the data", (1.5, "floor")),
}


def timed_s(action):
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


@contextlib.contextmanager
def running_pool(host, folder):
    os.makedirs(folder)
    connection = libvirt.open(host.uri)
    pool = connection.storagePoolCreateXML(f"<pool type='dir'><name>bench</name><target><path>{folder}</path></target></pool>")
    try:
        yield connection, pool
    finally:
        pool.destroy()
        connection.close()
        shutil.rmtree(folder)


def volume_xml(name, capacity):
    return f"<volume><name>{name}</name><capacity>{capacity}</capacity><allocation>0</allocation></volume>"


def making(bench):
    for subject, host in bench.hosts():
        with running_pool(host, f"{bench.scratch}/make-{subject}") as (_, pool):
            def once():
                pool.createXML(volume_xml("v", MIB)).delete()
            once()
            yield "vol-create-delete", subject, [1 / timed_s(once) for _ in range(bench.count(100))]


def fill(folder):
    for number in range(FILES):
        with open(f"{folder}/{number:04}.img", "wb") as file:
            file.truncate(MIB)


def details(pool):
    """What virsh vol-list --details asks for."""
    for volume in pool.listAllVolumes():
        volume.info()
        volume.path()


def many_files(bench):
    for subject, host in bench.hosts():
        folder = f"{bench.scratch}/many-{subject}"
        with running_pool(host, folder) as (_, pool):
            fill(folder)
            pool.refresh()
            # all of them changed, since what is the same need not be read again
            values = []
            for _ in range(bench.count(4)):
                for number in range(FILES):
                    os.utime(f"{folder}/{number:04}.img")
                values.append(1000 * timed_s(pool.refresh))
            yield "pool-refresh", subject, values
            values = []
            for turn in range(bench.count(12)):
                with open(f"{folder}/{turn:04}.img", "ab") as file:
                    file.write(b"x")
                values.append(1000 * timed_s(pool.refresh))
            yield "pool-refresh-1", subject, values
            yield "vol-list", subject, [1000 * timed_s(lambda: details(pool)) for _ in range(bench.count(4))]


def dd_through_socket(source, target):
    one, other = socket.socketpair()
    reader = subprocess.Popen(["dd", f"of={target}", "bs=256k", "iflag=fullblock", "conv=fsync", "status=none"], stdin=other)
    other.close()
    subprocess.run(["dd", f"if={source}", "bs=256k", "status=none"], stdout=one, check=True)
    one.close()
    if reader.wait():
        raise RuntimeError("dd failed")


def streams(bench):
    """In turn, so that all see the same machine and the same cache."""
    source, target = f"{bench.scratch}/stream.src", f"{bench.scratch}/stream.out"
    with open(source, "wb") as file:
        for _ in range(STREAM_MIB):
            file.write(os.urandom(MIB))
    rates = {"vol-upload": {}, "vol-download": {}}
    with contextlib.ExitStack() as stack:
        pools = {}
        for subject, host in bench.hosts():
            pools[subject] = host, stack.enter_context(running_pool(host, f"{bench.scratch}/stream-{subject}"))[1]
            pools[subject][1].createXML(volume_xml("v", STREAM_MIB * MIB))

        def virsh(host, *words):
            subprocess.run(["virsh", "-q", "-c", host.uri, *words], check=True, stdout=subprocess.DEVNULL)
        for turn in range(bench.count(6) + 1):
            for subject, (host, _) in pools.items():
                taken = {"vol-upload": timed_s(lambda: virsh(host, "vol-upload", "v", source, "bench")),
                         "vol-download": timed_s(lambda: virsh(host, "vol-download", "v", target, "bench"))}
                for figure, seconds in taken.items():
                    if turn:
                        rates[figure].setdefault(subject, []).append(STREAM_MIB / seconds)
            seconds = timed_s(lambda: dd_through_socket(source, target))
            for figure in rates if turn else ():
                rates[figure].setdefault("floor", []).append(STREAM_MIB / seconds)
    for figure, subjects in rates.items():
        for subject, values in subjects.items():
            yield figure, subject, values
            if subject != "floor":
                yield f"{figure}-peer", subject, values


def copy_data(source, target):
    subprocess.run(["cp", "--reflink=never", "--sparse=never", source, target], check=True)
    subprocess.run(["sync", target], check=True)
    os.unlink(target)


def cloning(bench):
    plain = f"{bench.scratch}/clone.data"
    with open(plain, "wb") as file:
        for _ in range(CLONE_MIB):
            file.write(os.urandom(MIB))
    for subject, host in bench.hosts():
        if subject == "peer":       # it reads all 20 GiB, which takes minutes and tells nothing
            continue
        folder = f"{bench.scratch}/clone-{subject}"
        with running_pool(host, folder) as (_, pool):
            volume = pool.createXML(volume_xml("source", CLONE_GIB << 30))
            with open(f"{folder}/source", "r+b") as file:
                for number in range(CLONE_MIB):         # a piece each 100 MiB
                    file.seek(number * 100 * MIB)
                    file.write(os.urandom(MIB))
            pool.refresh()

            def clone():
                pool.createXMLFrom(volume_xml("copy", CLONE_GIB << 30), volume)
            values = []
            for _ in range(bench.count(4)):
                values.append(1000 * timed_s(clone))
                pool.storageVolLookupByName("copy").delete()
            yield "vol-clone", subject, values
    yield "vol-clone", "floor", [1000 * timed_s(lambda: copy_data(plain, f"{plain}.copy")) for _ in range(bench.count(4))]


GROUPS = {"storage-making": making, "storage-many": many_files, "storage-streams": streams, "storage-cloning": cloning}
