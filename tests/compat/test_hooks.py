# SPDX-License-Identifier: LGPL-2.1-or-later
"""The administrator's scripts below etc/libvirt/hooks: when they are called, with what, and what their failure means."""
import os
import re
import signal
import threading
import time
import xml.etree.ElementTree as ET

import libvirt
import pytest

from helpers.cli import godwit
from helpers.guest import bare_xml
from helpers.phases import Phases
from helpers.tools import long, virsh, wait_until
from helpers.traveller import ROUTE

pytestmark = pytest.mark.godwit
START = ["prepare begin -", "start begin -", "started begin -"]


class Hooks:
    """Scripts of one host. Each notes its call; what follows is up to the test."""

    def __init__(self, host):
        self.top = f"{host.root}/etc/libvirt/hooks"
        self.log = f"{host.root}/hooks.log"

    def write(self, text="", name="qemu"):
        path = f"{self.top}/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as out:
            out.write(f"#!/bin/bash\nxml=$(cat)\nprintf '%s|%s %s %s|%s\\n' \"$1\" \"$2\" \"$3\" \"$4\" \"${{0##*/}}\" >>{self.log}\n"
                      f"printf '%s' \"$xml\" >{self.log}.$2\n{text}\nexit 0\n")
        os.chmod(path, 0o755)

    def calls(self, script=None):
        """What was called since the last time, without the guest's name."""
        if not os.path.exists(self.log):
            return []
        with open(self.log) as file:
            rows = [line.rstrip("\n").split("|") for line in file]
        os.unlink(self.log)
        return [row[1] for row in rows if len(row) == 3 and script in (None, row[2])]

    def xml(self, operation):
        return ET.parse(f"{self.log}.{operation}").getroot()

    def clear(self):
        for folder, _, names in os.walk(self.top):
            for name in names:
                os.unlink(f"{folder}/{name}")
        self.calls()


@pytest.fixture
def hooks(two_hosts):
    made = [Hooks(host) for host in two_hosts]
    yield made
    for one in made:
        one.clear()


@pytest.fixture
def hooked(two_hosts, hooks):
    connection = libvirt.open(two_hosts[0].uri)
    domain = connection.defineXML(bare_xml("hooked"))
    yield domain
    for host in two_hosts:
        virsh(host, "destroy", "hooked", ok=None)
    connection.close()


def start(domain):
    domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)


def test_life(hooked, hooks):
    """The order of things, the XML, and that scripts of qemu.d follow by name; what is no program is left alone."""
    hooks[0].write()
    hooks[0].write(name="qemu.d/10-first")
    hooks[0].write(name="qemu.d/20-second")
    hooks[0].write(name="qemu.d/30-no-program")
    os.chmod(f"{hooks[0].top}/qemu.d/30-no-program", 0o644)
    start(hooked)
    assert hooks[0].calls() == [call for call in START for _ in range(3)]
    for operation in ("prepare", "start", "started"):
        root = hooks[0].xml(operation)
        assert (root.findtext("name"), root.findtext("uuid")) == ("hooked", hooked.UUIDString())
    hooked.destroy()        # returns when the scripts have ended
    assert hooks[0].calls(script="qemu") == ["stopped end -", "release end destroyed"]
    hooks[0].clear()
    start(hooked)
    assert hooks[0].calls() == []


def test_a_guest_that_ends_by_itself(hooked, hooks, two_hosts):
    hooks[0].write("sleep 0.5; [[ $2 == release ]] && echo released >>" + hooks[0].log)
    start(hooked)
    hooks[0].calls()
    virsh(two_hosts[0], "qemu-monitor-command", "hooked", '{"execute":"quit"}', ok=None)
    wait_until(lambda: not hooked.isActive(), what="the guest's end")
    start(hooked)           # waits for what the end still has to do
    with open(hooks[0].log) as file:
        text = file.read()
    assert [word for word in re.findall(r"stopped|release end|released|prepare", text)] == \
        ["stopped", "release end", "released", "prepare"], text


@pytest.mark.parametrize("operation", ["prepare", long("start"), "started"])
def test_a_start_that_is_refused(hooked, hooks, operation):
    """All scripts are called even so, and told that it is over."""
    hooks[0].write(f"[[ $2 == {operation} ]] && {{ echo no bridge today >&2; exit 3; }}")
    hooks[0].write(name="qemu.d/later")
    with pytest.raises(libvirt.libvirtError) as caught:
        start(hooked)
    assert caught.value.get_error_code() == libvirt.VIR_ERR_HOOK_SCRIPT_FAILED
    for word in (f"hooked {operation} begin", "no bridge today", "exit status 3", "cannot start domain 'hooked'"):
        assert word in str(caught.value)
    assert not hooked.isActive()
    steps = START[:[step.split()[0] for step in START].index(operation) + 1]
    wanted = steps + ["stopped end -", "release end failed"]
    seen = []
    wait_until(lambda: seen.extend(hooks[0].calls(script="later")) or seen == wanted, what=f"{wanted}, not {seen}")


def test_a_script_that_hangs(module_hosts, two_hosts, make_host):
    """It delays its own guest alone, and is killed with what it started."""
    host = make_host("slow", options=["--hook-timeout", "2"])
    hooks = Hooks(host)
    hooks.write("[[ $1 == stuck && $2 == prepare ]] && sleep 4711")
    connection, other = libvirt.open(host.uri), libvirt.open(host.uri)
    stuck = connection.defineXML(bare_xml("stuck"))
    quick = connection.defineXML(bare_xml("quick"))
    errors = []

    def try_to_start():
        try:
            stuck.create()
        except libvirt.libvirtError as error:
            errors.append(error)
    thread = threading.Thread(target=try_to_start)
    thread.start()
    wait_until(lambda: "prepare begin -" in hooks.calls(), what="the call of the script")
    twin = other.lookupByName("quick")
    twin.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    assert thread.is_alive(), "the other guest had to wait"
    thread.join(60)
    assert errors and errors[0].get_error_code() == libvirt.VIR_ERR_OPERATION_TIMEOUT, errors
    assert "did not end within 2 s" in str(errors[0]) and "hooks/qemu" in str(errors[0])
    wait_until(lambda: not [pid for pid in os.listdir("/proc") if pid.isdigit() and command(pid) == ["sleep", "4711"]],
               what="the end of what the script had started")
    quick.destroy()
    for domain in (stuck, quick):
        domain.undefine()


def command(pid):
    try:
        with open(f"/proc/{pid}/cmdline") as file:
            return file.read().split("\0")[:-1]
    except OSError:
        return []


def test_a_script_that_leaves_a_child_behind(hooked, hooks):
    """A helper in the background keeps the script's output open, which must not delay the guest until it ends."""
    hooks[0].write("[[ $2 == prepare ]] && sleep 20 &\n")
    before = time.monotonic()
    start(hooked)
    assert time.monotonic() - before < 19


def test_found_again(hooked, hooks, two_hosts):
    hooks[0].write("[[ -e $0.refuses && $2 == reconnect ]] && exit 1")
    start(hooked)
    hooks[0].calls()
    two_hosts[0].kill(signal.SIGKILL)
    two_hosts[0].start()
    seen = []
    wait_until(lambda: seen.extend(hooks[0].calls()) or seen == ["reconnect begin -"], what="the call")
    assert virsh(two_hosts[0], "domstate", "hooked").text == "paused"
    open(f"{hooks[0].top}/qemu.refuses", "w").close()
    two_hosts[0].kill(signal.SIGKILL)
    two_hosts[0].start()
    wait_until(lambda: virsh(two_hosts[0], "domstate", "hooked").text == "shut off", what="the guest's end")
    wanted = ["reconnect begin -", "stopped end -", "release end daemon"]
    seen = []
    wait_until(lambda: seen.extend(hooks[0].calls()) or seen == wanted, what=f"{wanted}, not {seen}")


def test_migration(hooked, hooks, two_hosts):
    """The destination's scripts may change the guest's XML before it comes, one after the other; the source's hear that it left."""
    hooks[0].write()
    hooks[1].write("[[ $2 == migrate ]] && echo \"$xml\" | sed 's|<on_crash>destroy|<on_crash>restart|'")
    hooks[1].write("[[ $2 == migrate ]] && echo \"$xml\" | sed 's|<on_crash>restart|<on_crash>preserve|'",
                   name="qemu.d/more")
    start(hooked)
    hooks[0].calls()
    move = ["migrate", "hooked", two_hosts[1].tcp_uri, "--live", *ROUTE]
    godwit(*move, uri=two_hosts[0].uri)
    assert hooks[1].calls(script="qemu") == ["migrate begin -", *START]
    assert hooks[0].calls() == ["stopped end -", "release end migrated"]
    arrived = ET.fromstring(virsh(two_hosts[1], "dumpxml", "hooked").text)
    assert arrived.findtext("on_crash") == "preserve"
    virsh(two_hosts[1], "destroy", "hooked")


@pytest.mark.parametrize("text, words", [
    ("echo not today >&2; exit 1", ["not today"]),
    long("echo '<domain'", ["hook scripts"]),
    ("echo \"$xml\" | sed 's|<memory unit=.KiB.>65528|<memory unit=\"KiB\">131064|'", ["hook scripts", "memory"]),
    long("echo \"$xml\" | sed 's|<name>hooked|<name>other|'", ["other"]),
    long("yes | head -c 3000000", ["more than"]),
    ("echo \"$xml\"; printf '\\0\\0trailing'", ["/hooks/qemu hooked migrate begin", "NUL byte in line"]),
], ids=["refused", "no XML", "other hardware", "other name", "too much", "NUL"])
def test_migration_that_is_refused(hooked, hooks, two_hosts, text, words):
    hooks[1].write(f"[[ $2 == migrate ]] || exit 0\n{text}")
    start(hooked)
    answer = godwit("migrate", "hooked", two_hosts[1].tcp_uri, "--live", *ROUTE, uri=two_hosts[0].uri, ok=False)
    for word in words:
        assert word in answer.errors, answer
    assert hooks[1].calls() == ["migrate begin -"]
    assert virsh(two_hosts[0], "domstate", "hooked").text == "paused"
    assert not virsh(two_hosts[1], "list", "--all", "--name").text


def test_a_migration_that_is_given_up_does_not_wait(hooked, hooks, two_hosts):
    """The source's guest stands still until the destination has answered: scripts of an end there come after that."""
    hooks[1].write("[[ $2 == stopped ]] && while [[ -x $0 && ! -e $0.go ]]; do sleep 0.1; done")
    start(hooked)
    phases = Phases(*two_hosts, "hooked", libvirt.VIR_MIGRATE_LIVE)
    phases.up_to("perform")
    hooks[1].calls()
    with pytest.raises(RuntimeError):
        phases.finish(cancelled=True)
    seen = hooks[1].calls()
    assert "release end failed" not in seen, "the answer waited for the scripts"
    phases.confirm(cancelled=True)
    phases.close()
    open(f"{hooks[1].top}/qemu.go", "w").close()
    wait_until(lambda: seen.extend(hooks[1].calls()) or seen == ["stopped end -", "release end failed"], what="the calls")
    assert virsh(two_hosts[0], "domstate", "hooked").text == "paused"


def test_the_daemon_itself(make_host):
    host = make_host("told")
    hooks = Hooks(host)
    hooks.write(name="daemon")
    os.kill(host.pid, signal.SIGHUP)
    seen = []
    wait_until(lambda: seen.extend(hooks.calls()) or seen == ["reload begin SIGHUP"], what="reload")
    host.stop()
    assert hooks.calls() == ["shutdown - shutdown"]
    host.start()
    seen = []
    wait_until(lambda: seen.extend(hooks.calls()) or seen == ["start - start"], what="start")
