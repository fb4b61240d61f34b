# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon is killed a hundred times, at random moments, while clients define, undefine, start and destroy. Nothing that was
acknowledged is lost, no guest is harmed, and no QEMU is left that nobody knows."""
import random
import signal
import threading
import time

import libvirt

from helpers.guest import disk_image, domain_xml, qemu_pids
from helpers.tools import wait_until

ABSENT, OFF, RUNNING = "absent", "off", "running"


class Client(threading.Thread):
    """Changes its own domains until the daemon dies under it. `known` is what was acknowledged: {name: (state, title)};
    `doing` is the change that had no answer yet: (name, what it would become)."""

    def __init__(self, host, number, known, seed):
        super().__init__(daemon=True)
        self.host, self.number, self.known, self.random = host, number, known, random.Random(seed)
        self.doing, self.done, self.unexpected = None, 0, []

    def run(self):
        try:
            connection = libvirt.open(self.host.uri)
            while True:
                self.change(connection)
                self.done += 1
        except libvirt.libvirtError as error:
            # Once the daemon is gone every call fails so; any other failure is one.
            if error.get_error_code() not in (libvirt.VIR_ERR_SYSTEM_ERROR, libvirt.VIR_ERR_RPC,
                                              libvirt.VIR_ERR_INTERNAL_ERROR, libvirt.VIR_ERR_NO_CONNECT,
                                              libvirt.VIR_ERR_INVALID_CONN):
                self.unexpected.append(f"{self.doing}: {error}")

    def change(self, connection):
        name = f"k{self.number}-{self.random.randrange(4)}"
        state, title = self.known.get(name, (ABSENT, None))
        if state == ABSENT or (state == OFF and self.random.random() < 0.3):
            new = (OFF, f"version {self.random.randrange(10 ** 9)}")
            self.doing = (name, new)
            connection.defineXML(domain_xml(name, boot=False, serial=None, memory_kib=32768, acpi=False, uuid=uuid_of(name),
                                            extra=f"<title>{new[1]}</title>"))
        elif state == RUNNING:
            new = (OFF, title)
            self.doing = (name, new)
            connection.lookupByName(name).destroy()
        elif self.random.random() < 0.5:
            new = (RUNNING, title)
            self.doing = (name, new)
            connection.lookupByName(name).createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
        else:
            new = (ABSENT, None)
            self.doing = (name, new)
            connection.lookupByName(name).undefine()
        self.known[name] = new
        self.doing = None


def uuid_of(name):
    first, second = name[1:].split("-")
    return f"5a5a5a5a-0000-4000-8000-{int(first):06d}{int(second):06d}"


def found(connection):
    """{name: (state, title)} as the daemon tells it."""
    states = {}
    for domain in connection.listAllDomains():
        if not domain.name().startswith("k"):
            continue
        try:
            title = domain.metadata(libvirt.VIR_DOMAIN_METADATA_TITLE, None, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
        except libvirt.libvirtError:
            title = None
        states[domain.name()] = (RUNNING if domain.isActive() else OFF, title)
    return states


def await_recovery(connection, name):
    """A start or a destroy that had no answer is taken back or finished by the next daemon, which holds the domain until it
    has: a change that follows waits for that."""
    try:
        domain = connection.lookupByName(name)
    except libvirt.libvirtError:
        return
    domain.setAutostart(domain.autostart())


def settled(connection, witness, when):
    """What is found once the daemon and the processes agree: a QEMU that was being ended may take a moment to be gone."""
    deadline = time.monotonic() + 10
    while True:
        actual = found(connection)
        running = {uuid_of(name) for name, (state, _) in actual.items() if state == RUNNING} | {witness}
        processes = set(qemu_pids([*map(uuid_of, all_names()), witness]))
        if processes == running:
            return actual
        assert time.monotonic() < deadline, (f"{when}: QEMUs that nobody knows: {sorted(processes - running)}; "
                                             f"domains without QEMU: {sorted(running - processes)}")
        time.sleep(0.02)


def test_killed_a_hundred_times_under_load(host, line, scratch):
    witness = libvirt.open(host.uri).createXML(domain_xml(
        "witness", serial=line.xml, disk=disk_image(f"{scratch}/witness.raw"), dirty=8, area=16, disk_rate=10, hb=50))
    line.wait_for("DISK 3 ok", timeout=60)
    uuid, pid = witness.UUIDString(), qemu_pids([witness.UUIDString()])
    seed = random.randrange(10 ** 9)
    print(f"seed {seed}")
    chance = random.Random(seed)
    known = [{} for _ in range(3)]
    changes = 0
    for turn in range(100):
        clients = [Client(host, number, known[number], chance.random()) for number in range(3)]
        for client in clients:
            client.start()
        time.sleep(chance.uniform(0.02, 0.4))
        host.kill(signal.SIGKILL)
        for client in clients:
            client.join(20)
            assert not client.is_alive() and not client.unexpected, (turn, client.unexpected)
            changes += client.done
        host.start()
        connection = libvirt.open(host.uri)
        wait_until(lambda: connection.lookupByName("witness").isActive(), timeout=10)
        for client in clients:
            if client.doing:
                await_recovery(connection, client.doing[0])
        actual = settled(connection, uuid, f"turn {turn}")
        for client in clients:
            prefix = f"k{client.number}-"
            for name in {*client.known, *(name for name in actual if name.startswith(prefix)),
                         *([client.doing[0]] if client.doing else [])}:
                allowed = [client.known.get(name, (ABSENT, None))]
                if client.doing and client.doing[0] == name:
                    allowed.append(client.doing[1])
                got = actual.get(name, (ABSENT, None))
                assert got in allowed, f"turn {turn}: '{name}' is {got}; acknowledged or asked for: {allowed}"
                client.known[name] = got
        connection.close()
    assert changes > 300, f"only {changes} changes were acknowledged: that is no load"
    assert qemu_pids([uuid]) == pid
    now = time.monotonic()
    line.wait_for(r"DISK \d+ ok", since=now)
    line.check()


def all_names():
    return [f"k{number}-{which}" for number in range(3) for which in range(4)]
