# SPDX-License-Identifier: LGPL-2.1-or-later
"""godwit beside stock virsh, line by line: two daemons with the same domains are driven in step, one by each, and both must
print the same and end with the same status. Messages are godwit's own, but both complain or neither does."""
import os
import re
import shlex
import subprocess

import libvirt
import pytest

from helpers.cli import GODWIT, NOISE
from helpers.guest import disk_image, domain_xml

# Displays of both daemons must get the same number, which others would take meanwhile.
pytestmark = pytest.mark.alone

DEVICES = ("<graphics type='vnc' port='-1' autoport='yes' passwd='secret'/><video><model type='vga'/></video>"
           "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
           "<interface type='user'><mac address='52:54:00:00:00:01'/><model type='virtio'/></interface>")
EXTRA = ("<iothreads>2</iothreads><title>the title</title><description>line 1\nline 2</description>"
         "<metadata><x:y xmlns:x='http://x.org/'>z</x:y></metadata>")
UUID = "11111111-2222-3333-4444-55555555555"

# ROOT is the daemon's directory. After a number of them the state has changed: the order matters within a block.
LOOKING = """list; list --all; list --all --title; list --all --managed-save; list --name; list --all --name; list --all --uuid
list --all --id; list --all --id --uuid --name; list --table --name; list --inactive; list --inactive --table
list --state-running --state-shutoff; list --state-paused --all; list --transient --all; list --without-snapshot --all
dominfo runs; dominfo off; dominfo 1; dominfo UUID5; dominfo --domain runs; dominfo --domain=runs; domstate runs --reason
domstate off --reason; domid runs; domid off; domid 1; domuuid runs; domuuid 1; domuuid UUID5; domname 1; domname runs
domcontrol runs; domcontrol off; domblklist runs; domblklist runs --details; domblklist off; domblklist runs --inactive
domiflist runs; domiflist off; domiflist runs --inactive; domblkinfo runs vda; domblkinfo runs vda --human
domblkinfo runs --all; domblkinfo runs; domblkinfo runs vdb; domblkinfo runs vda --all; domblkstat runs; domblkstat runs vda
domblkstat runs vda --human; domblkstat off; domblkstat runs nope; domifstat runs; domifstat runs nope; domifstat off vnet0
dommemstat runs --period 5; dommemstat runs --period -1; dommemstat off; dommemstat runs --period 5 --current --live
domstats runs off --state; domstats --list-inactive --state --raw; domstats runs --list-active --state; domstats nope
domblkerror runs; domblkerror off; domif-getlink runs 52:54:00:00:00:01; domif-getlink runs nope; domif-getlink off nope
vcpucount runs; vcpucount off; vcpucount off --live; vcpucount runs --maximum --live; vcpucount runs --active --maximum
vcpuinfo off; vcpuinfo off --pretty; maxvcpus; maxvcpus qemu; maxvcpus xen; nodecpumap; nodecpumap --pretty; nodeinfo
freecell --all --cellno 0; freecell 99; freepages; freepages --all --cellno 0; freepages --cellno 99 --pagesize 4
capabilities; domcapabilities qemu; domcapabilities --arch nope; hostname; cpu-models x86_64; cpu-models nope
cpu-compare ROOT/cpu.xml; cpu-compare ROOT/nope.xml; cpu-compare ROOT/bad.xml; cpu-baseline ROOT/cpu.xml --features
hypervisor-cpu-compare ROOT/cpu.xml --virttype qemu; hypervisor-cpu-baseline --model qemu64 --virttype qemu
vncdisplay off; domdisplay runs --type spice; domdisplay off; dumpxml runs; dumpxml off; dumpxml runs --inactive
dumpxml runs --security-info; dumpxml runs --migratable; dumpxml runs --xpath //disk; dumpxml runs --xpath //disk --wrap
dumpxml runs --xpath //nope; dumpxml runs --xpath //nope --wrap; dumpxml runs --wrap; dumpxml runs --xpath 'count(//disk)'
desc runs; desc runs --title; desc off; desc runs --current --live; metadata runs http://x.org/; metadata runs http://nope/
iothreadinfo runs; iothreadinfo off; vcpupin runs; vcpupin runs 0; vcpupin runs 9; vcpupin off; emulatorpin runs
schedinfo runs; schedinfo off --config; memtune runs; blkiotune runs; numatune runs; blkdeviotune runs vda
blkdeviotune runs vdb; perf runs; domlaunchsecinfo runs; cpu-stats off; cpu-stats runs --start 9; domxml-to-native qemu-argv
domxml-to-native qemu-argv --domain off; domxml-to-native qemu-argv ROOT/new.xml; domjobinfo runs --rawstats; uri extra
domhostname runs; domifaddr runs; domifaddr off; domifaddr runs --source nope; domfsinfo runs; guestinfo off
-q list --all; -q list; -q dominfo runs; -q domid runs; -q domblklist runs; -q vcpupin runs; -q emulatorpin runs; -q desc runs
event --list; event; event --event nope; event --all --timeout 1; event --event lifecycle --timeout 0; event --list --all"""

CHANGING = """desc off 'a new one'; desc off; desc off --title 'a title'; desc off --title; desc off ''; desc runs new --live
metadata runs http://y.org/ --key k --set '<a/>'; metadata runs http://y.org/; metadata runs http://y.org/ --remove
metadata runs http://y.org/ --set '<a/>'; autostart off; list --all --autostart; autostart off --disable; start runs
resume off; suspend off; suspend runs; resume runs; resume runs; suspend runs; reset off; reset runs; shutdown off
shutdown runs --mode nope; reboot off; reboot runs --mode agent; setmem off 32M; setmem off 1T; setmem off x; setmem runs 32M
setmem off 32M --live; setmem off --kilobytes 32768; setmaxmem off 128M; setmaxmem runs 128M; setmaxmem runs 128M --config
dominfo off; setvcpus off 2; setvcpus off 2 --maximum; setvcpus off 2 --maximum --config; setvcpus off 0 --config
setvcpus off 2 --config; setvcpus runs 1; setvcpus runs 1 --config; setvcpus runs 1 --guest; domrename off other
domrename other off; domrename off runs; domrename runs x; domrename off a/b; define ROOT/new.xml; define ROOT/nope.xml
define ROOT/bad.xml; undefine new; undefine new; undefine new --nvram --keep-nvram; create ROOT/bad.xml
create ROOT/new.xml --paused; list --transient; destroy new; destroy new; create ROOT/new.xml --paused --autodestroy
vcpupin runs 0 0; vcpupin runs --vcpu 0 --cpulist 0,1; vcpupin runs 9 0; vcpupin runs 0 x; vcpupin runs 0 r; vcpupin runs
vcpupin off 0 0; vcpupin off 0 0 --config; vcpupin off; emulatorpin runs 0; emulatorpin runs x; emulatorpin off 0 --live
iothreadpin runs 1 0; iothreadpin runs 9 0; iothreadinfo runs; blkdeviotune runs vda --total-iops-sec 100
blkdeviotune runs vda 1M; blkdeviotune runs vda; blkdeviotune runs vda --total-bytes-sec x; blockresize runs vda 32M
blockresize off vda 32M; blockresize runs vda x; domblkinfo runs vda; domblkthreshold runs vda 10M; domblkthreshold runs vdb 1
set-lifecycle-action off poweroff restart; set-lifecycle-action runs reboot destroy; set-lifecycle-action off nope restart
set-lifecycle-action off poweroff nope; dumpxml off; allocpages 4 1; allocpages 2M x; guest-agent-timeout runs
guest-agent-timeout runs --timeout 5; guest-agent-timeout off; qemu-agent-command runs x; dompmsuspend runs nope
dompmwakeup runs; set-user-sshkeys runs root; migrate-setspeed runs 10; migrate-getspeed runs; migrate-setspeed runs x
migrate-setmaxdowntime runs 100; migrate-getmaxdowntime runs; migrate-getmaxdowntime off; domjobabort runs; send-key runs nope
send-key runs KEY_A KEY_B --holdtime 10; send-key runs --codeset nope 28; inject-nmi runs; inject-nmi off; screenshot off
qemu-monitor-command runs --hmp info status; qemu-monitor-command runs nope; qemu-monitor-command runs --hmp --pretty info
domtime off; domtime runs --now --sync; start off --paused; destroy --domain=off; start off --pass-fds x; edit off; edit nope
migrate; migrate runs; migrate runs x --live --offline; migrate runs x --p2p --direct; migrate runs x --timeout 5
-r list; -r suspend runs; -q autostart off; -q start off --paused; -q destroy off"""

GRAMMAR = ["list --all; domstate runs", "echo a; echo b", "echo 'a b'  \"c d\" e\\ f", "echo a # b", "nope; echo b", "echo a; nope",
           "echo a\\", ";;", "echo a;", "list -- --all", "list --all=", "list --al", "list -x", "list x", "echo \"a\\\"b\"",
           "domstate runs; domstate nope; echo c", "domstate nope; domstate runs", "quit; echo x", "echo a\necho b",
           "cd /tmp; pwd", "echo --xml '<'", "echo --shell \"a'b\"", "echo --str x y", "echo --shell --xml x", "echo --split a,b",
           "pwd x", "help nope", "dominfo --domain", "dominfo --domain=", "dominfo ''", "dominfo runs --domain runs"]


def same_domains(host):
    connection = libvirt.open(host.uri)
    disk = disk_image(f"{host.root}/disk.raw")
    small = {"boot": False, "memory_kib": 65536}
    runs = domain_xml("runs", disk=disk, vcpus=2, devices=DEVICES, extra=EXTRA, uuid=UUID + "5", serial="pty", **small)
    connection.defineXML(runs).createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    connection.defineXML(domain_xml("off", serial=None, uuid=UUID + "6", **small))
    connection.close()
    for name, text in (("new", domain_xml("new", serial=None, uuid=UUID + "7", **small)), ("bad", "<domain><name>x</name>"),
                       ("cpu", "<cpu><arch>x86_64</arch><model>qemu64</model></cpu>")):
        with open(f"{host.root}/{name}.xml", "w") as file:
            file.write(text)


@pytest.fixture
def pair(two_hosts):
    for host in two_hosts:
        same_domains(host)
    return two_hosts


# What differs from one daemon, process or moment to the next.
CHANCE = [(r"52:54:00:[\w:]{8}", "MAC"), (r"/dev/pts/\d+", "PTY"), (r"port='\d+'", "PORT"), (r"CPU time: +[\d.]+s", "CPU time"),
          (r"(delay|rss|time|user|system)=\d+", r"\1=N"), (r"(?m)^(CPU: +)\d+$", r"\1N"), (r"host-[ab]", "HOST"),
          (r"<uuid>[\w-]+</uuid>", "UUID"), (r"<(topology|cells|pages)[^§]*?</\1>", r"\1"), (r"\d{6,} KiB", "N KiB"),
          (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\S*", "STAMP")]


def answer(program, host, line):
    line = line.replace("ROOT", host.root).replace("UUID", UUID)
    flags = [line[:2]] if re.match("-[qr] ", line) else []
    command = line[3:] if flags else line
    words = [command] if command in GRAMMAR else shlex.split(command)
    done = subprocess.run([program, "-c", host.uri, *flags, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          timeout=60, env=dict(os.environ, EDITOR="true", VISUAL="true", LC_ALL="C.UTF-8"))
    errors = "".join(text for text in done.stderr.splitlines() if NOISE not in text)
    assert "Sanitizer" not in errors and "runtime error" not in errors, f"{line}:\n{errors}"
    out = done.stdout.replace(host.root, "ROOT")
    for pattern, instead in CHANCE:
        out = re.sub(pattern, instead, out)
    return done.returncode, out.rstrip("\n ").replace(" \n", "\n"), errors


def lines_of(block):
    return [line.strip() for line in block.replace("\n", ";").split(";")]


@pytest.mark.parametrize("lines", [lines_of(LOOKING), lines_of(CHANGING), GRAMMAR], ids=["looking", "changing", "grammar"])
def test_same_as_virsh(pair, lines):
    wrong = []
    for line in lines:
        theirs, ours = answer("virsh", pair[0], line), answer(GODWIT, pair[1], line)
        if theirs[:2] != ours[:2] or bool(theirs[2]) != bool(ours[2]):
            wrong.append(f"## {line}\n-- virsh {theirs[0]}\n{theirs[1]}\n[{theirs[2]}]\n-- godwit {ours[0]}\n{ours[1]}\n[{ours[2]}]")
    assert not wrong, f"{len(wrong)} of {len(lines)} differ\n" + "\n".join(wrong)
