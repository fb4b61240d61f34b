# SPDX-License-Identifier: LGPL-2.1-or-later
"""The test guest: its domain XML, what it says on its serial line, and what it left on its disk."""
import os
import re
import socket
import struct
import subprocess
import threading
import time
import uuid as uuids

HERE = os.path.dirname(os.path.realpath(__file__))
EMULATOR = "/usr/bin/qemu-system-x86_64"
# 256 MiB less 8 KiB: QEMU before 9.0 loses guest writes when it migrates, under TCG, memory of a multiple of 256 KiB.
MEMORY_KIB = 262136
# nowatchdog: on a machine under load the clock that the guest finds at boot runs several times too fast, and a host that gives a
# guest no time for four seconds is then taken for a CPU that hangs ("soft lockup").
KERNEL_ARGUMENTS = "nowatchdog console=ttyS0 quiet mitigations=off audit=0 tsc=reliable no_timer_check panic=-1"
DISK_BLOCKS = 256
_built = None
made_uuids = set()


def build():
    """Directory with the guest's kernel and initrd, made when it is not there yet."""
    global _built
    if not _built:
        done = subprocess.run([f"{HERE}/../guest/build"], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"tests/guest/build failed:\n{done.stdout}{done.stderr}")
        _built = done.stdout.strip()
    return _built


def disk_image(path, mib=16):
    with open(path, "wb") as file:
        file.truncate(mib << 20)
    return path


ROUNDED_KIB = 262144
EXACT_EMULATOR = f"""#!/bin/bash
words=()
for word; do
    [[ $last == -m && $word == {ROUNDED_KIB // 1024} ]] && word={MEMORY_KIB}k
    last=$word
    word=${{word//size={ROUNDED_KIB}k/size={MEMORY_KIB}k}}
    words+=("${{word//\\"size\\":{ROUNDED_KIB << 10}/\\"size\\":{MEMORY_KIB << 10}}}")
done
exec {EMULATOR} "${{words[@]}}"
"""


def exact_emulator(path):
    """libvirtd rounds memory up to whole MiB and so to the sizes with which QEMU loses writes. Makes a program that is QEMU,
    but gives a guest of ROUNDED_KIB only MEMORY_KIB; returns its path."""
    with open(path, "w") as file:
        file.write(EXACT_EMULATOR)
    os.chmod(path, 0o755)
    return path


def domain_xml(name, boot=True, memory_kib=MEMORY_KIB, vcpus=1, machine="pc", disk=None, serial="pty", nic=False, hb=100,
               dirty=0, area=64, disk_rate=0, devices="", extra="", uuid=None, virt_type="qemu", emulator=EMULATOR,
               acpi=True, attributes=""):
    """XML of a test guest. boot=False gives a guest without kernel, for tests that never run it. serial is `pty`,
    `file:PATH`, `unix:PATH` (it connects there: see Line) or None; hb, dirty, area and disk_rate are the agent's arguments;
    devices and extra go inside <devices> and below <domain>."""
    uuid = uuid or str(uuids.uuid4())
    made_uuids.add(uuid)
    os_part = f"<type arch='x86_64' machine='{machine}'>hvm</type>"
    if boot:
        folder = build()
        os_part += (f"<kernel>{folder}/kernel</kernel><initrd>{folder}/initrd</initrd>"
                    f"<cmdline>{KERNEL_ARGUMENTS} hb={hb} dirty={dirty} area={area} disk={disk_rate}</cmdline>")
    parts = [f"<emulator>{emulator}</emulator>"]
    if disk:
        parts.append(f"<disk type='file' device='disk'><driver name='qemu' type='raw' cache='none'/><source file='{disk}'/>"
                     "<target dev='vda' bus='virtio'/></disk>")
    if nic:
        parts.append("<interface type='user'><model type='virtio'/></interface>")
    if serial == "pty":
        parts.append("<serial type='pty'/>")
    elif serial:
        kind, path = serial.split(":", 1)
        mode = " mode='connect'" if kind == "unix" else ""
        parts.append(f"<serial type='{kind}'><source{mode} path='{path}'/></serial>")
    return (f"<domain type='{virt_type}'{attributes}><name>{name}</name><uuid>{uuid}</uuid>"
            f"<memory unit='KiB'>{memory_kib}</memory><vcpu>{vcpus}</vcpu><os>{os_part}</os>"
            + ("<features><acpi/><apic/></features>" if acpi else "") +
            f"{extra}<devices>{''.join(parts)}{devices}</devices></domain>")


def bare_xml(name, **options):
    """A small guest without kernel, for tests that never look at what runs in it."""
    return domain_xml(name, boot=False, **{"serial": None, "memory_kib": 65528, **options})


def qemu_processes(only=None):
    """[(uuid, pid)] of every QEMU process that runs a guest made by domain_xml (or one of `only`)."""
    wanted = made_uuids if only is None else set(only)
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    words = file.read().decode(errors="replace").split("\0")
                if "-uuid" in words and words[words.index("-uuid") + 1] in wanted:
                    found.append((words[words.index("-uuid") + 1], int(entry)))
            except (OSError, IndexError):
                pass
    return found


def qemu_pids(only=None):
    """{uuid: pid}, where each guest has but one."""
    return dict(qemu_processes(only))


class Line:
    """Listens where guests' serial lines connect and keeps every line with the time of its arrival (monotonic seconds).

    A guest that is migrated connects twice, once from each QEMU; `connection` counts them."""

    def __init__(self, path):
        self.path = path
        self.lines = []             # (seconds, connection, text)
        self.changed = threading.Condition()
        self._connections = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen(8)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._read, args=(connection, len(self._connections)), daemon=True).start()

    def _read(self, connection, number):
        rest = b""
        while True:
            try:
                chunk = connection.recv(65536)
            except OSError:
                return
            if not chunk:
                return
            now = time.monotonic()
            *whole, rest = (rest + chunk).split(b"\n")
            with self.changed:
                self.lines += [(now, number, text.decode(errors="replace").strip("\r")) for text in whole]
                self.changed.notify_all()

    def send(self, text, connection=-1):
        self._connections[connection].sendall(text.encode() + b"\n")

    def close(self):
        self._listener.close()
        for connection in self._connections:
            connection.close()

    def wait_for(self, pattern, timeout=30, since=0.0):
        """Waits for a line that matches and returns the match."""
        deadline = time.monotonic() + timeout
        start = 0
        with self.changed:
            while True:
                for stamp, _, text in self.lines[start:]:
                    match = re.search(pattern, text) if stamp >= since else None
                    if match:
                        return match
                start = len(self.lines)
                if not self.changed.wait(max(0, deadline - time.monotonic())):
                    tail = "\n".join(text for _, _, text in self.lines[-15:])
                    raise AssertionError(f"the guest did not say '{pattern}' within {timeout} s; its last lines:\n{tail}")

    def texts(self):
        with self.changed:
            return [text for _, _, text in self.lines]

    def heartbeats(self):
        """[(seconds of arrival, number, guest's milliseconds)] in order of arrival."""
        with self.changed:
            found = [(stamp, re.fullmatch(r"HB (\d+) (\d+)", text)) for stamp, _, text in self.lines]
        return [(stamp, int(match.group(1)), int(match.group(2))) for stamp, match in found if match]

    def switch_gap(self):
        """Seconds from the last heartbeat of one QEMU to the first of the next, at the last move; less the usual interval."""
        with self.changed:
            beats = [(stamp, connection) for stamp, connection, text in self.lines if text.startswith("HB ")]
        last = max(connection for _, connection in beats)
        usual = sorted(b[0] - a[0] for a, b in zip(beats, beats[1:]))[len(beats) // 2 - 1]
        return (min(stamp for stamp, connection in beats if connection == last) -
                max(stamp for stamp, connection in beats if connection < last) - usual)

    def check(self):
        """Asserts that the guest lost nothing: no bad page, no bad block, one boot, no heartbeat left out or repeated."""
        texts = self.texts()
        bad = [text for text in texts if "BAD" in text or "Oops" in text or "Kernel panic" in text or "BUG:" in text]
        assert not bad, f"the guest was harmed: {bad[:5]}"
        assert sum("READY" in text for text in texts) <= 1, "the guest booted more than once"
        with self.changed:
            found = [(connection, re.fullmatch(r"HB (\d+) (\d+)", text)) for _, connection, text in self.lines]
        # by connections: each has a thread of its own here, and one may read late what came early
        beats = sorted(((connection, int(match.group(1))) for connection, match in found if match), key=lambda beat: beat[0])
        # A line that was cut at the switch from one QEMU to the other costs one heartbeat, never more.
        holes = [(a, b) for a, b in zip(beats, beats[1:]) if b[1] != a[1] + 1 and (b[1] != a[1] + 2 or a[0] == b[0])]
        assert not holes, f"heartbeats are missing or repeated (connection, number): {holes[:5]}"


def acknowledged_block(texts):
    """The last disk block that the guest said is on disk."""
    numbers = [int(match.group(1)) for match in (re.fullmatch(r"DISK (\d+) ok", text) for text in texts) if match]
    return max(numbers, default=0)


def _mixed(value):
    mask = (1 << 64) - 1
    value = ((value ^ (value >> 30)) * 0xbf58476d1ce4e5b9) & mask
    return value ^ (value >> 27)


def check_disk(path):
    """Reads what the guest's disk writer left and asserts that it is the newest DISK_BLOCKS blocks, each whole. Returns the
    number of the last."""
    mask = (1 << 64) - 1
    numbers = {}
    with open(path, "rb") as file:
        for index in range(DISK_BLOCKS):
            data = file.read(4096)
            if data[:8] != b"GODWITB1":
                assert not any(data), f"block {index} of {path} holds neither zeros nor one of the guest's blocks"
                continue
            number, checksum = struct.unpack_from("<QQ", data, 8)
            fill = struct.unpack_from("<509Q", data, 24)
            total = ((0xcbf29ce484222325 ^ number) * 0x100000001b3) & mask
            for word in fill:
                total = ((total ^ word) * 0x100000001b3) & mask
            assert total == checksum, f"block {index} of {path} (number {number}) is torn"
            assert (number - 1) % DISK_BLOCKS == index, f"block {number} of {path} lies at {index}"
            assert fill[0] == _mixed(number * 1000), f"block {number} of {path} holds another's content"
            numbers[index] = number
    last = max(numbers.values(), default=0)
    for number in range(max(1, last - DISK_BLOCKS + 1), last + 1):
        assert numbers.get((number - 1) % DISK_BLOCKS) == number, f"block {number} of {path} was lost (last is {last})"
    return last
