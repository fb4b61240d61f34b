# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests of storage volumes share; the fixtures are in conftest.py."""
import hashlib
import json
import os
import subprocess
from xml.etree import ElementTree

import libvirt
import pytest

MIB = 1 << 20


def volume_xml(name, capacity, kind=None, allocation=None, target="", extra=""):
    allocation = "" if allocation is None else f"<allocation>{allocation}</allocation>"
    kind = f"<format type='{kind}'/>" if kind else ""
    return (f"<volume><name>{name}</name><capacity>{capacity}</capacity>{allocation}<target>{kind}{target}</target>{extra}"
            "</volume>")


def image_info(path):
    return json.loads(subprocess.run(["qemu-img", "info", "-U", "--output=json", path], check=True, capture_output=True).stdout)


def code_of(call, *arguments):
    with pytest.raises(libvirt.libvirtError) as caught:
        call(*arguments)
    return caught.value.get_error_code()


def fails(call):
    try:
        call()
    except libvirt.libvirtError:
        return True
    return False


def target(volume):
    return ElementTree.fromstring(volume.XMLDesc()).find("target")


def blocks(path):
    return os.stat(path).st_blocks * 512


def fill(path, pieces):
    """Writes 64 KiB of noise at each offset; returns the file's digest."""
    with open(path, "r+b") as file:
        for offset in pieces:
            file.seek(offset)
            file.write(os.urandom(65536))
    return digest(path)


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else \
            hashlib.sha256(file.read()).hexdigest()


def upload(connection, volume, data, offset=0, length=0):
    stream = connection.newStream()
    volume.upload(stream, offset, length)
    position = 0

    def more(_, count, __):
        nonlocal position
        piece = data[position:position + count]
        position += len(piece)
        return piece
    stream.sendAll(more, None)
    stream.finish()


def download(connection, volume, offset=0, length=0):
    stream = connection.newStream()
    volume.download(stream, offset, length)
    parts = []
    stream.recvAll(lambda _, data, __: parts.append(data), None)
    stream.finish()
    return b"".join(parts)
