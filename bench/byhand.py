# SPDX-License-Identifier: LGPL-2.1-or-later
"""QEMU driven by hand over QMP: the floor that no daemon can be below."""
import json
import os
import shlex
import signal
import socket
import subprocess
import time
import uuid

from helpers.peer import spared

HERE = os.path.dirname(os.path.realpath(__file__))
LIVE = f"{HERE}/../tests/golden/live/live-plain.args"


class Qemu:
    """One QEMU with its monitor open. Reading and writing are separate, so that no event is lost."""

    def __init__(self, words):
        ours, its = socket.socketpair()
        os.set_inheritable(its.fileno(), True)
        monitor = ["-chardev", f"socket,id=charmonitor,fd={its.fileno()}", "-mon", "chardev=charmonitor,mode=control"]
        self.process = subprocess.Popen([*words, *monitor], pass_fds=[its.fileno()], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        its.close()
        spared.add(self.process.pid)
        self.monitor = ours
        self.rest = b""
        self.events = []
        self._message()     # the greeting
        self.command("qmp_capabilities")

    def _message(self):
        while b"\n" not in self.rest:
            chunk = self.monitor.recv(65536)
            if not chunk:
                raise RuntimeError(f"QEMU ended: {self.process.stderr.read().decode()[-500:]}")
            self.rest += chunk
        text, self.rest = self.rest.split(b"\n", 1)
        return json.loads(text)

    def command(self, name, **arguments):
        call = {"execute": name}
        if arguments:
            call["arguments"] = {key.replace("_", "-"): value for key, value in arguments.items()}
        self.monitor.sendall(json.dumps(call, separators=(",", ":")).encode())
        while True:
            answer = self._message()
            if "event" in answer:
                self.events.append(answer)
            elif "error" in answer:
                raise RuntimeError(f"{name}: {answer['error']['desc']}")
            else:
                return answer["return"]

    def wait_event(self, name, **data):
        while True:
            for event in self.events:
                if event["event"] == name and all(event["data"].get(key) == value for key, value in data.items()):
                    self.events.remove(event)
                    return event
            answer = self._message()
            if "event" in answer:
                self.events.append(answer)

    def end(self, sign=signal.SIGTERM):
        self.process.send_signal(sign)
        self.process.wait()
        self.monitor.close()
        self.process.stderr.close()


def paused_guest():
    """Arguments of the paused 64 MiB guest: libvirt's own for the same definition, less its monitor and its secret."""
    with open(LIVE) as file:
        lines = [line.rstrip("\n") for line in file]
    words = [lines[0]]
    for line in lines[1:]:
        if "charmonitor" in line or "masterKey0" in line:
            continue
        option, _, value = line.partition(" ")
        if option == "-uuid":
            value = str(uuid.uuid4())
        words += [option, value] if value else [option]
    return words + ["-display", "none"]


def real_guest(folder, memory_kib, cmdline, line, incoming=False):
    """Arguments of the booted test guest, its serial line connected to `line`."""
    text = (f"/usr/bin/qemu-system-x86_64 -name byhand -machine pc-i440fx-7.2,usb=off,memory-backend=pc.ram -accel tcg -cpu qemu64 "
            f"-m {memory_kib}K -object memory-backend-ram,id=pc.ram,size={memory_kib * 1024} -smp 1 -no-user-config -nodefaults "
            f"-display none -no-shutdown -S -kernel {folder}/kernel -initrd {folder}/initrd -append {shlex.quote(cmdline)} "
            f"-chardev socket,id=serial,path={line} -device isa-serial,chardev=serial -device piix3-usb-uhci,addr=1.2 "
            "-device virtio-balloon-pci,addr=3")
    return shlex.split(text) + (["-incoming", "defer"] if incoming else [])


def start_paused():
    """Seconds from spawn to the first QMP reply, and the QEMU."""
    started = time.perf_counter()
    qemu = Qemu(paused_guest())
    return time.perf_counter() - started, qemu


def migrate(source, target_words, downtime_ms):
    """Moves a guest to a QEMU that is spawned for it, as shortly as it can be done. Returns the new QEMU and the figures:
    total (spawn of the target to end of the source), transfer (`migrate` to completed), and the downtime that QEMU states."""
    started = time.perf_counter()
    target = Qemu(target_words)
    for qemu in (source, target):
        qemu.command("migrate-set-capabilities", capabilities=[{"capability": "events", "state": True},
                                                               {"capability": "return-path", "state": True}])
    source.command("migrate-set-parameters", downtime_limit=downtime_ms, max_bandwidth=1 << 40)
    target.command("migrate-incoming", uri="tcp:127.0.0.1:0")
    port = target.command("query-migrate")["socket-address"][0]["port"]
    begun = time.perf_counter()
    source.command("migrate", uri=f"tcp:127.0.0.1:{port}")
    source.wait_event("MIGRATION", status="completed")
    target.wait_event("MIGRATION", status="completed")
    target.command("cont")
    transfer = time.perf_counter() - begun
    downtime = source.command("query-migrate")["downtime"]
    source.end(signal.SIGKILL)
    return target, {"total": time.perf_counter() - started, "transfer": transfer, "downtime": downtime / 1000}
