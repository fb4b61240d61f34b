#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A QEMU that misbehaves. Usage: fake_qemu.py MODE QEMU-ARGUMENTS...; a probe (no -uuid) is the real QEMU's.

Modes without a guest behind them: dies, silent, mute (greets, answers nothing), killed (greets, answers once, is killed),
garbage, flood (one endless line), yes (answers `{}` to everything), strangers (answers with other ids). Modes that put the real QEMU behind a proxy: late (each answer comes
1.5 s late once DELAY exists), storm (adds thousands of made-up events), nonsense (changes the types in answers once DELAY
exists), cut (closes the monitor once DELAY exists). DELAY is the file named like this program's emulator plus `.on`."""
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

REAL = "/usr/bin/qemu-system-x86_64"
GREETING = {"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "fake"}, "capabilities": ["oob"]}}


def monitor_descriptor(words):
    word = next(word for word in words if word.startswith("socket,id=charmonitor"))
    fields = dict(part.split("=", 1) for part in word.split(",") if "=" in part)
    return int(fields["fd"])


def send(daemon, message):
    daemon.sendall(json.dumps(message).encode() + b"\r\n")


def calls(daemon):
    """Each call that the daemon makes, until it closes."""
    decoder, text = json.JSONDecoder(), ""
    while chunk := daemon.recv(65536).decode():
        text += chunk
        while text.strip():
            try:
                call, end = decoder.raw_decode(text.lstrip())
            except ValueError:
                break
            text = text.lstrip()[end:]
            yield call


def without_guest(mode, daemon):
    if mode == "silent":
        time.sleep(3600)
    if mode == "garbage":
        daemon.sendall(b"\x00\xff{]]]]\r\nHTTP/1.0 200 OK\r\n\r\n" * 50)
        time.sleep(3600)
    if mode == "flood":
        daemon.sendall(b'{"QMP": "')
        while True:
            daemon.sendall(b"x" * 1048576)
    send(daemon, GREETING)
    for call in calls(daemon):
        if mode == "killed":
            if call["execute"] == "qmp_capabilities":
                send(daemon, {"return": {}, "id": call.get("id")})
                continue
            print("fake: a hand reaches for the plug", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        if mode == "yes":
            send(daemon, {"return": {}, "id": call.get("id")})
        elif mode == "strangers":
            send(daemon, {"return": {}, "id": "someone-elses"})
            send(daemon, {"return": {}, "id": 10 ** 30})
            send(daemon, {"return": {}})


def twisted(value):
    """The same answer with its types changed."""
    if isinstance(value, dict):
        return {key: twisted(one) for key, one in value.items()}
    if isinstance(value, list):
        return {"list": value}
    if isinstance(value, str):
        return [value]
    return str(value)


def with_guest(mode, daemon, words):
    switch = os.environ["FAKE_SWITCH"]
    ours, its = socket.socketpair()
    os.set_inheritable(its.fileno(), True)
    place = next(i for i, word in enumerate(words) if word.startswith("socket,id=charmonitor"))
    words = [*words[:place], f"socket,id=charmonitor,fd={its.fileno()}", *words[place + 1:]]
    guest = subprocess.Popen([REAL, *words], pass_fds=inherited(its.fileno()),
                             preexec_fn=lambda: ctypes.CDLL(None).prctl(1, signal.SIGKILL))     # PR_SET_PDEATHSIG
    its.close()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _: guest.send_signal(number))

    def forward():
        while chunk := daemon.recv(65536):
            ours.sendall(chunk)
    threading.Thread(target=forward, daemon=True).start()
    rest = b""
    while chunk := ours.recv(65536):
        rest += chunk
        *whole, rest = rest.split(b"\n")
        for text in whole:
            message = json.loads(text)
            if os.path.exists(switch):
                if mode == "late":
                    time.sleep(1.5)
                elif mode == "cut":
                    daemon.shutdown(socket.SHUT_RDWR)
                    guest.wait()
                elif mode == "nonsense" and "return" in message:
                    message["return"] = twisted(message["return"])
            if mode == "storm":
                for number in range(300):
                    send(daemon, {"event": f"MADE_UP_{number}", "data": {"n": number}, "timestamp": {"seconds": 1, "microseconds": 0}})
                send(daemon, {"event": "BLOCK_IO_ERROR", "data": "not an object"})
            send(daemon, message)
    sys.exit(guest.wait() if guest.poll() is None else guest.returncode)


def inherited(*more):
    found = set(more)
    for entry in os.listdir("/proc/self/fd"):
        number = int(entry)
        try:
            if number > 2 and os.get_inheritable(number):
                found.add(number)
        except OSError:
            pass
    return sorted(found)


def main():
    mode, words = sys.argv[1], sys.argv[2:]
    if "-uuid" not in words:
        os.execv(REAL, [REAL, *words])
    if mode == "dies":
        print("fake: the disk of this machine has run away", file=sys.stderr)
        sys.exit(1)
    listener = socket.socket(fileno=monitor_descriptor(words))
    daemon, _ = listener.accept()
    try:
        if mode in ("late", "storm", "nonsense", "cut"):
            with_guest(mode, daemon, words)
        without_guest(mode, daemon)
    except OSError:
        pass


main()
