# SPDX-License-Identifier: LGPL-2.1-or-later
"""godwit against a daemon: what it prints is held against stock virsh, and its JSON against itself."""
import os
import re
import subprocess
import threading

import libvirt
import pytest

from helpers import terminal
from helpers.cli import GODWIT, Terminal, godwit
from helpers.guest import bare_xml, disk_image
from helpers.tools import run, wait_until


@pytest.fixture
def guests(host, scratch, connection):
    """One running paused guest with devices, and a defined one with a wide name."""
    graphics = "<graphics type='vnc' port='-1' autoport='yes' passwd='secret'/><video><model type='vga'/></video>"
    disk = disk_image(f"{scratch}/cli.raw")
    running = connection.defineXML(bare_xml("runs", disk=disk, nic=True, vcpus=2, devices=graphics))
    running.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    connection.defineXML(bare_xml("日本 ünï"))
    return host


SAME = """list; list --all; list --all --name; list --all --uuid; list --all --id --name; list --inactive --name
list --state-paused; list --state-running; list --state-shutoff; list --autostart; list --persistent --title
dominfo runs; dominfo '日本 ünï'; domstate runs; domstate runs --reason; domcontrol runs; domid runs; domuuid runs
domname 00000000-0000-0000-0000-000000000000; domid '日本 ünï'; hostname; uri; nodeinfo; nodecpumap; nodecpumap --pretty
maxvcpus; maxvcpus qemu; capabilities; domcapabilities; domcapabilities qemu; cpu-models x86_64
domblklist runs; domblklist runs --details; domiflist runs; domblkinfo runs vda; domblkinfo runs vda --human
domblkinfo runs --all; domblkstat runs vda; domblkstat runs vda --human; domstats runs --state --vcpu --balloon
vcpucount runs; vcpucount runs --live; vcpucount runs --config --maximum; vcpucount '日本 ünï'; vcpuinfo runs --pretty
vncdisplay runs; dumpxml runs; dumpxml runs --inactive; dumpxml runs --security-info; dumpxml runs --migratable
dumpxml runs --xpath //disk; dumpxml runs --xpath //disk --wrap; dumpxml runs --xpath //disk/@type
desc runs; desc runs --title; desc runs new words; desc runs; metadata runs http://example.org/; autostart runs --disable
qemu-monitor-command runs --hmp info status; migrate-getspeed runs; setmem '日本 ünï' 32M; setvcpus runs 1 --config
setmaxmem runs 128M --config; start runs; destroy nope; resume nope; domjobabort runs; shutdown runs --mode wrong
send-key runs KEY_ENTER; send-key runs NO_KEY; event --list; event; domrename runs other; undefine nope
-q list --all; -q list; -q domid runs; -r list; -r suspend runs""".replace("\n", ";").split(";")


@pytest.mark.godwit
def test_prints_what_virsh_prints(guests):
    """Where times and counters do not differ from call to call: the same lines and the same exit code."""
    wrong = []
    for line in SAME:
        words = line.strip().split(" ", 1)
        flags = [words[0]] if words[0].startswith("-") else []
        command = words[1] if flags else line.strip()
        theirs = subprocess.run(["virsh", "-c", guests.uri, *flags, command], capture_output=True, text=True)
        ours = godwit(*flags, command, uri=guests.uri, ok=None)
        if (theirs.returncode, theirs.stdout.split()) != (ours.status, ours.out.split()):
            wrong.append(f"{line}: {theirs.returncode} {theirs.stdout}\n{ours}")
    assert not wrong, "\n".join(wrong)


PRINTS = """list --all; dominfo runs; domstate runs; domcontrol runs; nodeinfo; nodecpumap; nodecpustats; nodememstats
freecell --all; freecell; freepages --all; version --daemon; domblklist runs; domiflist runs; domblkinfo runs --all
domblkinfo runs vda; domblkstat runs vda; dommemstat runs; domstats; vcpuinfo runs; vcpucount runs; vcpucount runs --live
domjobinfo runs; cpu-models x86_64; event --list; hostname; uri; domuuid runs; domname UUID; domid runs; desc runs; maxvcpus
capabilities; domcapabilities; dumpxml runs; dumpxml runs --xpath //disk --wrap; vncdisplay runs; domdisplay runs
migrate-getspeed runs; migrate-getmaxdowntime runs; migrate-compcache runs; qemu-monitor-command runs --hmp info status
qemu-monitor-command runs query-status; node-memory-tune; echo a; pwd; help; help list""".replace("\n", ";").split(";")


def test_everything_that_prints_can_print_json(guests, connection):
    domain = connection.lookupByName("runs")
    domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_DESCRIPTION, "described", None, None)
    wrong = []
    for command in PRINTS:
        command = command.strip().replace("UUID", domain.UUIDString())
        asked_globally = godwit("--output", "json", command, uri=guests.uri).json
        asked_here = godwit(f"{command} --output json", uri=guests.uri).json
        if type(asked_globally) is not type(asked_here) or not asked_here or not isinstance(asked_here, (list, dict)):
            wrong.append(f"{command}: {asked_here}")
    assert not wrong, "\n".join(wrong)


def test_json_values(guests, connection):
    rows = {row["name"]: row for row in godwit("list --all --output json", uri=guests.uri).json}
    domain = connection.lookupByName("runs")
    assert rows["runs"]["id"] == domain.ID() and rows["runs"]["uuid"] == domain.UUIDString()
    assert rows["日本 ünï"]["id"] is None and rows["日本 ünï"]["state"] == "shut off"
    info = godwit("dominfo runs --output json", uri=guests.uri).json
    assert info["max_memory_kib"] == domain.info()[1] and info["persistent"] is True and info["cpus"] == 2
    stats = godwit("domstats runs --state --output json", uri=guests.uri).json
    assert stats[0]["stats"]["state.state"] == libvirt.VIR_DOMAIN_PAUSED
    assert len(godwit("vcpuinfo runs --output json", uri=guests.uri).json) == 2


def test_wide_names_are_aligned(guests):
    lines = godwit("list --all", uri=guests.uri, env={"LC_ALL": "C.UTF-8"}).lines
    wide, narrow = (next(line for line in lines if name in line) for name in ("日本", "runs"))
    assert wide.index("shut off") + 2 == narrow.index("paused")      # 日 and 本 take two columns each
    assert set(lines[1]) == {"-"} and len(lines[1]) == len(wide.rstrip()) + 2 + 2


def test_life_of_a_domain(host, scratch):
    xml = f"{scratch}/life.xml"
    with open(xml, "w") as file:
        file.write(bare_xml("life"))
    uri = host.uri
    assert godwit("define", xml, uri=uri).out == f"Domain 'life' defined from {xml}\n\n"
    assert godwit("start", "life", "--paused", uri=uri).out == "Domain 'life' started\n\n"
    for command, words in [("resume", "resumed"), ("suspend", "suspended"), ("destroy", "destroyed")]:
        assert godwit(command, "life", uri=uri).out == f"Domain 'life' {words}\n\n"
    godwit("domrename", "life", "after", uri=uri)
    assert godwit("-q", "domstate", "after", uri=uri).out == "shut off\n"
    godwit("undefine", "after", uri=uri)
    assert "no domain 'after'" in godwit("dominfo", "after", uri=uri, ok=False).errors
    with open(xml) as file:
        godwit("create", "-", "--paused", uri=uri, stdin=file.read())
    assert godwit("-q", "list", "--transient", "--name", uri=uri).out == "life\n"
    assert "read" in godwit("-r", "destroy", "life", uri=uri, ok=False).errors.lower()
    godwit("destroy life; list --all --name", uri=uri)


def test_autodestroy_ends_with_the_program(host, connection):
    connection.defineXML(bare_xml("mayfly"))
    godwit("start mayfly --paused --autodestroy; domstate mayfly", uri=host.uri)
    wait_until(lambda: not connection.lookupByName("mayfly").isActive(), what="end of the domain")


def test_edit_changes_the_definition(host, connection, scratch):
    connection.defineXML(bare_xml("edited"))
    editor = f"{scratch}/editor"
    with open(editor, "w") as file:
        file.write("#!/bin/sh\nsed -i 's/65528/32764/g' \"$2\"\n")
    os.chmod(editor, 0o755)
    env = {"EDITOR": f"{editor} --wait"}
    assert "edited" in godwit("edit", "edited", "--skip-validate", uri=host.uri, env=env).out
    assert connection.lookupByName("edited").maxMemory() == 32764
    assert "not changed" in godwit("edit", "edited", uri=host.uri, env=env).out
    failing = godwit("edit", "edited", uri=host.uri, env={"EDITOR": "false"}, ok=False)
    assert "exit status 1" in failing.errors


def test_several_people_cannot_fool_edit(host, connection, scratch):
    connection.defineXML(bare_xml("contended"))
    editor = f"{scratch}/editor2"
    with open(editor, "w") as file:
        file.write(f"#!/bin/sh\nvirsh -q -c '{host.uri}' setmaxmem contended 49146 --config\nsed -i s/65528/32764/ \"$1\"\n")
    os.chmod(editor, 0o755)
    answer = godwit("edit", "contended", "--skip-validate", uri=host.uri, env={"EDITOR": editor}, ok=False)
    assert "somebody else" in answer.errors
    assert connection.lookupByName("contended").maxMemory() != 32764


def test_events_are_printed_as_they_come(guests, connection):
    domain = connection.lookupByName("runs")
    with_time = subprocess.Popen([GODWIT, "-c", guests.uri, "event", "--all", "--loop", "--timeout", "60", "--timestamp"],
                                 stdout=subprocess.PIPE, text=True)
    as_json = subprocess.Popen([GODWIT, "-c", guests.uri, "event", "--event", "lifecycle", "--output", "json"],
                               stdout=subprocess.PIPE, text=True)
    stop = threading.Event()

    def nudge():        # until both are registered
        while not stop.wait(0.3):
            domain.resume()
            domain.suspend()
    thread = threading.Thread(target=nudge)
    thread.start()
    try:
        line = with_time.stdout.readline()
        assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\+0000: event 'lifecycle' for domain 'runs': "
                        r"(Resumed Unpaused|Suspended Paused)$", line)
        out, _ = as_json.communicate(timeout=30)
        assert re.search(r'"event":"lifecycle","domain":"runs"', out)
    finally:
        stop.set()
        thread.join()
        with_time.send_signal(2)
    rest = with_time.communicate(timeout=10)[0]
    assert "event loop interrupted" in rest and re.search(r"events received: [1-9]", rest)
    assert with_time.returncode == 0 and as_json.returncode == 0


def test_waiting_in_vain_fails(guests):
    answer = godwit("event", "--all", "--timeout", "1", uri=guests.uri, ok=False)
    assert answer.out.startswith("event loop timed out\nevents received: 0\n")


def test_interactive_shell(guests, scratch):
    env = {"XDG_CACHE_HOME": f"{scratch}/cache"}
    terminal = Terminal(uri=guests.uri, env=env)
    terminal.wait_for("godwit # ")
    terminal.type("domsta\te ru\t")          # domstat + e: the common beginning, then the domain's name
    terminal.wait_for("ns")
    terminal.type("\r")
    terminal.wait_for("paused")
    terminal.wait_for("godwit # ")
    for typed in ("domstate 日\t\r", "domstate '日\t\r", 'domstate "日\t\r'):    # its name has a blank: quoted as needed
        terminal.type(typed)
        terminal.wait_for("shut off")
        terminal.wait_for("godwit # ")
    terminal.type("cd /usr; pwd\r")
    terminal.wait_for("/usr\r\n")
    terminal.type("nope\r")
    terminal.wait_for("error: there is no command 'nope'")
    terminal.type("connect --readonly\r")
    terminal.wait_for("godwit > ")
    terminal.type("quit\r")
    assert terminal.process.wait(60) == 0
    terminal.close()
    again = Terminal(uri=guests.uri, env=env)
    again.wait_for("godwit # ")
    again.type("\x10\x10\x10\x10\r")          # four commands back in the history
    again.wait_for("/usr\r\n")
    again.wait_for("godwit # ")
    again.wait_raw()
    again.type("\x04")
    assert again.process.wait(60) == 0
    again.close()


def test_commands_from_a_pipe(guests):
    answer = godwit(uri=guests.uri, stdin="list --name\necho 'a b'\nnope\nquit\necho c\n")
    assert answer.out.split() == ["runs", "a", "b"] and "no command 'nope'" in answer.errors


def test_completion_knows_the_domains(guests):
    assert sorted(godwit("complete", "--", "dominfo", "", uri=guests.uri).lines) == ["runs", "日本 ünï"]
    assert godwit("complete", "--", "start", "", uri=guests.uri).lines == ["日本 ünï"]
    assert godwit("complete", "--", "destroy", "--domain", "r", uri=guests.uri).lines == ["runs"]


def test_bash_completion(guests):
    """In a bash of its own, without the package bash-completion; the URI is quoted, as people have to."""
    script = os.path.realpath(f"{os.path.dirname(__file__)}/../../data/completion/godwit")
    shell = terminal.Terminal("bash", "--norc", "--noprofile", "-i", env={"PS1": "ready> ", "HISTFILE": ""})
    shell.type(f"stty cols 400; PATH={os.path.dirname(GODWIT)}:$PATH; . {script}; echo set' 'up\r")
    shell.wait_for("set up")
    for typed, completed in [
            (f"godwit -c '{guests.uri}' domstate ru", "ns "), (f"godwit -c {guests.uri} domsta", "t"),
            (f"godwit --connect=\"{guests.uri}\" dominfo --domain ru", "ns "), ("godwit --read", "only "),
            ("godwit list --output j", "son "), (f"godwit -r -c '{guests.uri}' dominfo 日", "本\\ ünï ")]:
        shell.type(f"\x15{typed}\t")
        shell.wait_for(typed)
        shell.wait_for(completed)
    shell.close()


def test_ssh_without_nc(guests, scratch):
    """The real argument vector, run by a stand-in for ssh that runs the command on this host."""
    ssh = f"{scratch}/ssh"
    with open(ssh, "w") as file:
        file.write(f"#!/bin/sh\nPATH={os.path.dirname(GODWIT)}:/bin\nwhile [ \"$1\" != -- ]; do shift; done\nshift 2\n"
                   "exec sh -c \"$*\"\n")
    os.chmod(ssh, 0o755)
    uri = f"qemu+ssh://user@host/system?command={ssh}&socket={guests.socket}"
    assert godwit("-q", "list", "--name", uri=uri).out == "runs\n"


def test_a_connection_that_is_lost_is_made_anew(make_host):
    host = make_host("host-lost")
    terminal = Terminal(uri=host.uri)
    terminal.wait_for("godwit # ")
    terminal.type("hostname\r")
    terminal.wait_for("host-lost\r\n")
    host.kill()
    host.start()
    terminal.wait_for("godwit # ")
    terminal.type("hostname\r")
    terminal.wait_for("connecting anew")
    terminal.wait_for("host-lost\r\n")
    terminal.close()
