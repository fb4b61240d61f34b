# SPDX-License-Identifier: LGPL-2.1-or-later
"""A host is emptied: every guest to one of several others, checked, several at once; and home again, exactly as before."""
import json
import os
import re
import signal
import subprocess
import time

import libvirt
import pytest

from conftest import leave
from helpers.cli import GODWIT, Terminal, godwit
from helpers.guest import bare_xml, domain_xml

pytestmark = pytest.mark.godwit


@pytest.fixture(scope="module")
def module_three(make_host):
    return tuple(make_host(f"host-{letter}", tcp=True) for letter in "abc")


@pytest.fixture
def three(module_three):
    """The host that is emptied, and two that take its guests."""
    yield module_three
    leave(*module_three)


def guests(host):
    """{name: (state, persistent, autostart)}"""
    connection = libvirt.open(host.uri)
    try:
        return {domain.name(): (domain.state()[0], bool(domain.isPersistent()),
                                bool(domain.isPersistent() and domain.autostart()))
                for domain in connection.listAllDomains()}
    finally:
        connection.close()


def make(host, name, persistent=True, paused=True, autostart=False, **options):
    connection = libvirt.open(host.uri)
    flags = libvirt.VIR_DOMAIN_START_PAUSED if paused else 0
    xml = bare_xml(name, **options)
    if persistent:
        domain = connection.defineXML(xml)
        domain.createWithFlags(flags)
        domain.setAutostart(autostart)
    else:
        connection.createXML(xml, flags)
    connection.close()


def evacuate(hosts, *words, ok=True, **options):
    to = [] if "--restore" in words else ["--to", *(host.tcp_uri for host in hosts[1:])]
    return godwit("evacuate", *words, *to, uri=hosts[0].uri, ok=ok, timeout=240, **options)


def plan_of(hosts, *words, ok=True):
    answer = evacuate(hosts, "--plan", *words, "--output", "json", ok=ok).json
    return {row["name"]: row for row in answer["guests"]}, answer["destinations"]


def leaving(host, name, uuid, destination, kept):
    """The record of a guest whose client was lost while it moved."""
    path = f"{host.root}/var/lib/godwit/evacuations/{uuid}.json"
    with open(path, "w") as out:
        json.dump({"version": 1, "name": name, "destination": destination.tcp_uri, "away": False, "kept": kept, "persistent": True,
                   "autostart": True, "active": True, "since-ms": int(time.time() * 1000)}, out)
    return path


def results(answer):
    return {row["name"]: row["result"] for row in answer.json["guests"]}


def interrupt(three, left, all):
    """A person looks on, and presses Ctrl-C when only the guest is under way that at such a speed would never arrive."""
    terminal = Terminal("evacuate", "--bandwidth", "2", "--parallel", "3", "--to", *(host.tcp_uri for host in three[1:]),
                        uri=three[0].uri)
    terminal.wait_for(f"[{all - 1} of {all} moved, 1 under way, about", timeout=120)
    terminal.process.send_signal(signal.SIGINT)
    terminal.wait_for(f"{left}: failed after", timeout=60)
    terminal.wait_for(f"interrupted: 1 of {all} guests were not moved", timeout=60)
    assert terminal.process.wait(30) == 1
    terminal.close()


def test_there_and_home(three, line):
    """What ran runs, what stood still stands still, what was persistent or started by itself is again."""
    home, *others = three
    connection = libvirt.open(home.uri)
    connection.defineXML(domain_xml("real", serial=line.xml, hb=20, dirty=8, area=48)).create()
    connection.close()
    for number in range(5):
        make(home, f"g{number}", persistent=number != 3, autostart=number == 1, memory_kib=65528 + 16384 * number)
    line.wait_for(r"HB \d+", timeout=90)
    before = guests(home)
    plan, destinations = plan_of(three)
    assert guests(home) == before, "a plan moves nothing"
    assert set(plan) == set(before) and all(row["possible"] for row in plan.values())
    assert plan["g4"]["memory_kib"] == 131064 and plan["real"]["predicted_ms"] > 0 and plan["real"]["converges"]
    assert list(plan)[0] == "real", "what takes longest goes first"
    assert [row["guests"] for row in destinations] != [0, 6] != [6, 0]
    assert all(row["bandwidth_bps"] > 0 and row["at_once"] == 4 for row in destinations)
    text = evacuate(three, "--plan").out
    assert "room for" in text and others[1].tcp_uri in text and "the link carries" in text

    interrupt(three, left="real", all=6)
    assert guests(home) == {"real": before["real"]}
    answer = evacuate(three)
    assert "real: moved to" in answer.out and "1 of 1 guests moved" in answer.out
    assert not guests(home)
    there = {name: state for host in others for name, state in guests(host).items()}
    assert there == before, "autostart goes along, too"
    assert all(guests(host) for host in others), "both destinations were used"
    line.wait_for(r"HB \d+", since=time.monotonic())

    os.kill(home.pid, signal.SIGKILL)       # the record is on disk
    home.kill()
    home.start()
    assert {row["name"] for row in evacuate(three, "--restore", "--plan", "--output", "json").json["guests"]} == set(before)
    evacuate(three, "--restore")
    assert guests(home) == before
    assert [guests(host) for host in others] == [{}, {}]
    line.wait_for(r"HB \d+", since=time.monotonic())
    line.check()
    assert "No guest is on record" in evacuate(three, "--restore").out


def test_one_that_cannot_go(three):
    home, *others = three
    for name in ("taken", "free", "damaged"):
        make(home, name)
    connection = libvirt.open(home.uri)
    record = f"{home.root}/var/lib/godwit/evacuations/{connection.lookupByName('damaged').UUIDString()}.json"
    connection.close()
    with open(record, "w") as out:
        out.write('{"version": 1}')
    for host in others:
        connection = libvirt.open(host.uri)
        connection.defineXML(bare_xml("taken"))
        connection.close()
    plan, _ = plan_of(three, ok=False)
    assert not plan["taken"]["possible"] and plan["free"]["possible"]
    assert all(f"'{host.tcp_uri}': " in plan["taken"]["why"] for host in others) and "name-free" in plan["taken"]["why"]
    answer = evacuate(three, ok=False)
    assert answer.status == 1
    assert "taken: cannot be moved: " in answer.out and "2 of 3 guests were not moved" in answer.errors, answer
    assert record in re.search(r"damaged: failed after .* stays on .*", answer.out)[0], answer
    assert set(guests(home)) == {"taken", "damaged"}
    evacuate(three, "--restore")
    assert set(guests(home)) == {"taken", "free", "damaged"}
    assert os.path.exists(record), "what is not understood is left alone"
    os.unlink(record)


def test_client_killed_and_run_again(three):
    """What was moved stays moved, what was under way goes on where it was, and the next run takes the rest."""
    home = three[0]
    for number in range(6):
        make(home, f"g{number}", autostart=True)
    before = guests(home)
    process = subprocess.Popen([GODWIT, "-c", home.uri, "evacuate", "--parallel", "1", "--to", three[1].tcp_uri],
                               stdout=subprocess.PIPE, text=True)
    for _ in range(2):
        assert "moved to" in process.stdout.readline()
    process.kill()
    process.wait()
    process.stdout.close()
    assert len(guests(home)) >= 3
    evacuate(three[:2])
    assert not guests(home) and guests(three[1]) == before
    evacuate(three, "--restore")
    assert guests(home) == before and not guests(three[1])


def test_destination_that_is_lost(three):
    lost = "qemu+tcp://127.0.0.1:1/system"
    answer = godwit("evacuate", "--plan", "--to", lost, three[1].tcp_uri, uri=three[0].uri)
    assert f"'{lost}' gets none: cannot connect to '{lost}'" in answer.out, answer


def test_moved_on_and_deleted_meanwhile(three):
    home, second, third = three
    for name in ("deleted", "moved", "stays", "byhand"):
        make(home, name)
    evacuate((home, second))
    connection = libvirt.open(second.uri)
    connection.lookupByName("deleted").destroy()
    connection.lookupByName("deleted").undefine()
    connection.close()
    move = ["--live", "--persistent", "--undefinesource"]
    godwit("migrate", "moved", third.tcp_uri, *move, uri=second.uri)
    godwit("migrate", "byhand", home.tcp_uri, *move, uri=second.uri)
    lost = evacuate(three, "--restore", ok=False)
    for name in ("deleted", "moved"):
        assert f"{name}: cannot be moved: it is not on '{second.tcp_uri}' any more" in lost.out, lost
    assert "'evacuate --restore --to URI'" in lost.out and "'evacuate --restore --forget'" in lost.out, lost
    assert lost.status == 1 and "2 of 3 guests were not moved" in lost.errors and "byhand: it is here already" in lost.out, lost
    answer = godwit("evacuate", "--restore", "--forget", "--to", third.tcp_uri, uri=home.uri)
    assert "deleted: it is forgotten" in answer.out and "moved: moved to" in answer.out, answer
    assert "No guest is on record" in evacuate(three, "--restore").out
    assert set(guests(home)) == {"moved", "stays", "byhand"}


def test_what_is_off_and_definitions_that_stay(three):
    home, second = three[:2]
    make(home, "on", autostart=True)
    connection = libvirt.open(home.uri)
    connection.defineXML(bare_xml("off")).setAutostart(True)
    connection.close()
    before = guests(home)
    assert results(evacuate(three[:2], "--offline", "--keep-definition", "--output", "json")) == {"on": "moved", "off": "moved"}
    assert guests(second) == before
    left = guests(home)
    assert set(left) == set(before) and not any(autostart for _, _, autostart in left.values()), \
        "a host that boots must not start them a second time"
    assert results(evacuate(three[:2], "--offline", "--output", "json")) == {}, "definitions of guests that left do not count"
    evacuate(three, "--restore")
    assert guests(home) == before and not guests(second)


def test_client_lost_before_its_last_word(three):
    """The guest has left and its definition was kept, but nobody says so: this host must not start it a second time."""
    home, second = three[:2]
    make(home, "kept", autostart=True)
    make(home, "other", autostart=True)
    before = guests(home)
    connection = libvirt.open(home.uri)
    uuid = connection.lookupByName("kept").UUIDString()
    connection.close()
    leaving(home, "kept", uuid, second, kept=True)
    for name in ("kept", "other"):
        godwit("migrate", name, second.tcp_uri, "--live", "--persistent", uri=home.uri)
    marks = {name: autostart for name, (_, _, autostart) in guests(home).items()}
    assert marks == {"kept": False, "other": True}, "only what is evacuated is touched"
    evacuate(three[:2])
    assert guests(second)["kept"] == before["kept"]
    evacuate(three, "--restore")
    assert guests(home)["kept"] == before["kept"] and "kept" not in guests(second)


def test_died_while_it_left(three):
    """An older definition where it was to go to is not the guest."""
    home, second = three[:2]
    xml = bare_xml("died")
    for host in (home, second):
        connection = libvirt.open(host.uri)
        domain = connection.defineXML(xml)
        domain.setAutostart(host is home)
        uuid, xml = domain.UUIDString(), domain.XMLDesc()
        connection.close()
    path = leaving(home, "died", uuid, second, kept=False)
    answer = evacuate(three[:2])
    assert "runs neither there nor here" in answer.errors, answer
    assert guests(home)["died"][2] and not guests(second)["died"][2]
    assert not os.path.exists(path)


def test_source_that_cannot_let_go(three):
    """What has arrived has moved, whatever fails after that, and comes home again."""
    home, second = three[:2]
    make(home, "clings", autostart=True)
    before = guests(home)
    connection = libvirt.open(home.uri)
    definition = f"{home.root}/etc/godwit/domains/{connection.lookupByName('clings').UUIDString()}.xml"
    connection.close()
    with open(definition) as file:
        xml = file.read()
    os.unlink(definition)
    os.mkdir(definition)                        # cannot be removed like a file
    answer = evacuate(three[:2])
    os.rmdir(definition)
    with open(definition, "w") as file:
        file.write(xml)
    assert "clings: moved to" in answer.out and "could not let go" in answer.errors and definition in answer.errors, answer
    assert guests(second) == before
    assert guests(home)["clings"][1:] == (True, False), "a definition that is left here is not started by itself"
    godwit("migrate", "clings", second.tcp_uri, "--recover", uri=home.uri)
    assert not guests(home)
    evacuate(three, "--restore")
    assert guests(home) == before and not guests(second)


@pytest.mark.full
@pytest.mark.parametrize("victim", [0, 1], ids=["source", "destination"])
def test_daemon_killed_meanwhile(three, victim):
    """Whatever was under way is settled by the daemons; every guest runs once, and the next run takes the rest."""
    hosts = three[:2]
    for number in range(8):
        make(hosts[0], f"g{number}", paused=False, autostart=number % 2 == 0)
    before = guests(hosts[0])
    process = subprocess.Popen([GODWIT, "-c", hosts[0].uri, "evacuate", "--parallel", "2", "--to", hosts[1].tcp_uri],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert "moved to" in process.stdout.readline()
    hosts[victim].kill()
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 1 and "guests were not moved" in errors, (out, errors)
    hosts[victim].start()
    evacuate(hosts)
    assert not guests(hosts[0]) and guests(hosts[1]) == before
    evacuate(hosts, "--restore")
    assert guests(hosts[0]) == before and not guests(hosts[1])


@pytest.mark.parametrize("words, message", [
    ([], "where shall the guests go?"),
    (["--to", "qemu+tcp://127.0.0.1:1/system"], "cannot connect to 'qemu+tcp://127.0.0.1:1/system'"),
    (["--to", "B", "B"], "named twice"),
    (["--to", "B", "--parallel", "0"], "--parallel takes a number from 1"),
    (["--to", "B", "--parallel", "some"], "--parallel takes a number"),
    (["--to", "B", "--bandwidth", "0"], "--bandwidth takes a number from 1"),
    (["--to", "B", "--max-pause", "0"], "--max-pause takes a number from 1"),
    (["--restore", "--offline"], "exclude each other"),
    (["--to", "B", "--copy-storage-all", "--copy-storage-inc"], "exclude each other"),
    (["--to", "nonsense"], "nonsense"),
])
def test_options_that_do_not_fit(three, words, message):
    words = [three[1].tcp_uri if word == "B" else word for word in words]
    answer = godwit("evacuate", *words, uri=three[0].uri, ok=False)
    assert message in answer.errors, answer
