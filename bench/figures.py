# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is measured. Each function takes a Bench and yields (figure, subject, values): subjects are `godwit`, `peer` and `floor`."""
import contextlib
import glob
import os
import shutil
import signal
import subprocess
import threading
import time

import libvirt

import byhand
import storage
from helpers import guest
from helpers.cli import GODWIT
from helpers.tools import wait_until

PLAIN_KIB = 65536
# name: (unit, what it is, the limit as (factor, of what) or an absolute number; ">=" means more is better)
FIGURES = {
    "connect": ("ms", "connect and close over the unix socket", (0.5, "peer")),
    "call-cpu": ("us", "simple call: CPU of the daemon", 20),
    "parallel-rate": ("/s", "8 clients asking domain-info", (1.3, "peer", ">=")),
    "parallel-cpu": ("us", "8 clients asking domain-info: CPU per call", 15),
    "list-0": ("ms", "list of no domains", None),
    "list-100": ("ms", "list of 100 domains", None),
    "list-1000": ("ms", "list of 1,000 domains", (0.5, "peer")),
    "dumpxml-1000": ("ms", "dumpxml of one of 1,000", (0.7, "peer")),
    "info-1000": ("ms", "info of one of 1,000", None),
    "define": ("/s", "define, on disk when it returns", (2, "peer", ">=")),
    "undefine": ("/s", "undefine", None),
    "start": ("ms", "start of a paused 64 MiB guest", (1.5, "floor")),
    "destroy": ("ms", "destroy of a paused guest", (3, "floor")),
    "event": ("ms", "from a call to the event in another client", None),
    "stats-50": ("ms", "bulk statistics, 50 running guests", None),
    "stats-100": ("ms", "bulk statistics, 100 running guests", (0.2, "peer")),
    "ready-warm-0": ("ms", "daemon ready, no domains, warm", None),
    "ready-cold-0": ("ms", "daemon ready, no domains, cold", None),
    "ready-warm-1000": ("ms", "daemon ready, 1,000 domains, warm", (0.15, "peer")),
    "ready-cold-1000": ("ms", "daemon ready, 1,000 domains, cold", (0.06, "peer")),
    "capabilities-cold": ("ms", "first capabilities after a cold start", (0.5, "peer")),
    "restart-50": ("ms", "restart with 50 guests until all answer", (0.6, "peer")),
    "rss-idle": ("MiB", "resident memory idle", 8),
    "rss-1000": ("MiB", "resident memory, 1,000 defined", 20),
    "rss-50-running": ("MiB", "resident memory, 50 running", 14),
    "rss-100-running": ("MiB", "resident memory, 100 running", 20),
    "threads-idle": ("", "threads idle", 8),
    "threads-100-running": ("", "threads, 100 running", 8),
    "migrate-idle-total": ("ms", "migration, 256 MiB idle: total", (1.15, "floor")),
    "migrate-idle-pause": ("ms", "migration, 256 MiB idle: pause", (1.15, "floor")),
    "migrate-idle-gap": ("ms", "migration, 256 MiB idle: longest silence", (1.15, "floor")),
    "migrate-idle-downtime": ("ms", "migration, 256 MiB idle: QEMU's figure", None),
    "migrate-busy-total": ("ms", "migration, dirtying 64 MiB/s: total", (1.15, "floor")),
    "migrate-busy-pause": ("ms", "migration, dirtying 64 MiB/s: pause", (1.15, "floor")),
    "migrate-busy-gap": ("ms", "migration, dirtying 64 MiB/s: longest silence", (1.15, "floor")),
    "migrate-busy-downtime": ("ms", "migration, dirtying 64 MiB/s: QEMU's figure", None),
    "migrate-steered-total": ("ms", "the same with --policy auto: total", (1.15, "floor")),
    "migrate-steered-pause": ("ms", "the same with --policy auto: pause", (1.15, "floor")),
    "migrate-steered-gap": ("ms", "the same with --policy auto: longest silence", (1.15, "floor")),
    "preflight-4-disks": ("ms", "silent check before a migration, guest with 4 disks", 1000),
    "check-4-disks": ("ms", "migrate --check with its measurements, guest with 4 disks", None),
    "evacuate-20": ("ms", "evacuate 20 idle guests --parallel 4, against 20 virsh migrate in a row", (0.5, "peer")),
    **storage.FIGURES,
}


def plain(name, uuid=None):
    return guest.domain_xml(name, boot=False, serial=None, memory_kib=PLAIN_KIB, acpi=False, uuid=uuid)


def timed_ms(action):
    started = time.perf_counter()
    action()
    return (time.perf_counter() - started) * 1000


def cpu_seconds(pid):
    """CPU time of a process, threads that ended included, in nanosecond steps."""
    return time.clock_gettime((~pid << 3) | 2)


def rss_mib(pid):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1024


def threads(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


@contextlib.contextmanager
def opened(host):
    connection = libvirt.open(host.uri)
    try:
        yield connection
    finally:
        connection.close()


def define_many(host, count):
    """The definitions dN with N below count; only what is missing is made."""
    with opened(host) as connection:
        have = {domain.name() for domain in connection.listAllDomains()}
        for number in range(count):
            if f"d{number}" not in have:
                connection.defineXML(plain(f"d{number}"))


def undefine_all(host):
    with opened(host) as connection:
        for domain in connection.listAllDomains():
            if domain.isActive():
                domain.destroy()
            if domain.isPersistent():
                domain.undefine()


def calls(bench):
    for subject, host in bench.hosts():
        yield "connect", subject, [timed_ms(lambda: libvirt.open(host.uri).close()) for _ in range(bench.count(200))]
        with opened(host) as connection:
            number = bench.count(3000)
            per_call = []
            for _ in range(5):
                before = cpu_seconds(host.pid)
                for _ in range(number):
                    connection.getLibVersion()
                per_call.append((cpu_seconds(host.pid) - before) / number * 1e6)
            yield "call-cpu", subject, per_call


def asked_ms(bench, host, *words):
    """Milliseconds of each of the raw client's calls: libvirt's own client would cost more than what is measured."""
    done = subprocess.run([bench.client(), host.socket, *words], capture_output=True, text=True, check=True)
    return [float(value) for value in done.stdout.split()]


def many_defined(bench):
    """list, dumpxml, info and define at 0, 100 and 1000 definitions, and what those cost in memory."""
    for subject, host in bench.hosts():
        with opened(host) as connection:
            for count in (0, 100, 1000):
                define_many(host, count)
                yield f"list-{count}", subject, asked_ms(bench, host, "list", str(bench.count(50)))
            one = connection.lookupByName("d500")
            yield "dumpxml-1000", subject, asked_ms(bench, host, "dumpxml", "d500", str(bench.count(200)))
            yield "info-1000", subject, [timed_ms(one.info) for _ in range(bench.count(200))]
        yield "rss-1000", subject, [rss_mib(host.pid)]
        undefine_all(host)


def definitions(bench):
    for subject, host in bench.hosts():
        with opened(host) as connection:
            texts = [plain(f"new{number}") for number in range(bench.count(100))]
            made = []
            yield "define", subject, [1000 / timed_ms(lambda: made.append(connection.defineXML(text))) for text in texts]
            yield "undefine", subject, [1000 / timed_ms(domain.undefine) for domain in made]


def parallel(bench):
    client = bench.client()
    for subject, host in bench.hosts():
        define_many(host, 1)
        rates, per_call = [], []
        for _ in range(bench.count(5)):
            before, started = cpu_seconds(host.pid), time.perf_counter()
            answered = int(subprocess.run([client, host.socket, "info", "d0", "8", "1"], capture_output=True, text=True, check=True).stdout)
            rates.append(answered / (time.perf_counter() - started))
            per_call.append((cpu_seconds(host.pid) - before) / answered * 1e6)
        yield "parallel-rate", subject, rates
        yield "parallel-cpu", subject, per_call
        undefine_all(host)


def start_destroy(bench):
    """By hand and by daemon in turn, so that all see the same machine."""
    hosts = list(bench.hosts())
    connections = {subject: libvirt.open(host.uri) for subject, host in hosts}
    domains = {subject: connection.defineXML(plain("starter")) for subject, connection in connections.items()}
    started = {subject: [] for subject in [*domains, "floor"]}
    ended = {subject: [] for subject in started}
    for turn in range(bench.count(12) + 1):
        for subject, domain in domains.items():
            up = timed_ms(lambda: domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED))
            down = timed_ms(domain.destroy)
            if turn:        # the first start of a daemon probes the binary
                started[subject].append(up)
                ended[subject].append(down)
        seconds, qemu = byhand.start_paused()
        time.sleep(0.02)
        down = timed_ms(qemu.end)
        if turn:
            started["floor"].append(seconds * 1000)
            ended["floor"].append(down)
    for subject in started:
        yield "start", subject, started[subject]
        yield "destroy", subject, ended[subject]
    for subject, connection in connections.items():
        domains[subject].undefine()
        connection.close()


def events(bench):
    for subject, host in bench.hosts():
        with opened(host) as caller, opened(host) as watcher:
            domain = caller.createXML(plain("watched"), libvirt.VIR_DOMAIN_START_PAUSED)
            came = threading.Event()
            stamp = [0.0]

            def callback(*_):
                stamp[0] = time.perf_counter()
                came.set()
            number = watcher.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, callback, None)
            values = []
            for _ in range(bench.count(40)):
                came.clear()
                started = time.perf_counter()
                (domain.resume if domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED else domain.suspend)()
                came.wait(5)
                values.append((stamp[0] - started) * 1000)
            watcher.domainEventDeregisterAny(number)
            domain.destroy()
            yield "event", subject, values


def crowd(bench):
    """50, then 100 running guests, paused: bulk statistics, memory, threads, restart."""
    for subject, host in bench.hosts():
        with opened(host) as connection:
            running = 0
            for wanted in (50, 100):
                for number in range(running, wanted):
                    connection.defineXML(plain(f"d{number}")).createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
                running = wanted
                connection.getAllDomainStats()
                yield f"stats-{wanted}", subject, [timed_ms(connection.getAllDomainStats) for _ in range(bench.count(10))]
                yield f"rss-{wanted}-running", subject, [rss_mib(host.pid)]
                if wanted == 50:
                    yield "restart-50", subject, [restart_until_all_answer(host, wanted) for _ in range(bench.count(5))]
                    connection = libvirt.open(host.uri)
            yield "threads-100-running", subject, [threads(host.pid)]
        undefine_all(host)


def restart_until_all_answer(host, count):
    host.kill(signal.SIGKILL)

    def restart():
        connection = launch(host)
        while True:
            stats = connection.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE | libvirt.VIR_DOMAIN_STATS_BALLOON,
                                                 libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE)
            if len(stats) == count and all("balloon.current" in values for _, values in stats):
                connection.close()
                return
    return timed_ms(restart)


def launch(host):
    """Starts the daemon and opens it as soon as it lets a client in."""
    host.start()
    while True:
        try:
            return libvirt.open(host.uri)
        except libvirt.libvirtError:
            time.sleep(0.001)


def forget(host):
    """What makes the next start a cold one: the cache of what QEMU can do is gone."""
    for folder in glob.glob(f"{host.root}/cache/*") + glob.glob(f"{host.root}/var/cache/*"):
        shutil.rmtree(folder, ignore_errors=True)


def daemon_start(bench):
    for subject, host in bench.hosts():
        for count in (0, 1000):
            define_many(host, count)
            for kind in ("warm", "cold"):
                values = []
                for _ in range(bench.count(5)):
                    host.kill(signal.SIGTERM)
                    if kind == "cold":
                        forget(host)

                    def ready():
                        connection = launch(host)
                        if connection.numOfDefinedDomains() != count:
                            raise RuntimeError(f"{subject} lost definitions")
                        connection.close()
                    values.append(timed_ms(ready))
                yield f"ready-{kind}-{count}", subject, values
        undefine_all(host)
        values = []
        for _ in range(bench.count(5)):
            host.kill(signal.SIGTERM)
            forget(host)
            values.append(timed_ms(lambda: launch(host).getCapabilities()))
        yield "capabilities-cold", subject, values
        host.kill(signal.SIGTERM)
        host.start()
        with opened(host) as connection:
            connection.getHostname()
        time.sleep(1)
        yield "rss-idle", subject, [rss_mib(host.pid)]
        yield "threads-idle", subject, [threads(host.pid)]


CMDLINE = f"{guest.KERNEL_ARGUMENTS} hb=4 area=96"


# The longest pause that every subject is allowed, so that what is compared is how they use it. godwitd begins with it anyway,
# and raises it, up to the user's limit, only for a guest that does not converge.
DOWNTIME_MS = 20
MOVES = 20


def migration(bench):
    """The subjects take turns, since what else the machine does changes the figures more than who moves the guest."""
    for load, dirty, policy in (("idle", 0, None), ("busy", 64, None), ("steered", 64, "auto")):
        values = {}
        for _ in range(2):
            rounds = [(subject, migrate_with_daemon(bench, pair, dirty, policy)) for subject, pair in bench.pairs()
                      if subject == "godwit" or not policy]
            for subject, figures in [*rounds, ("floor", migrate_by_hand(bench, dirty))]:
                for figure, found in figures.items():
                    values.setdefault((figure, subject), []).extend(found)
        for (figure, subject), found in values.items():
            yield f"migrate-{load}-{figure}", subject, found


def settle(line):
    line.wait_for("HB 100 ", timeout=90)
    time.sleep(1)


def silences(line, since):
    """Milliseconds of two: between the guest's last sign of life from the one QEMU and its first from the other, and the longest
    since the move began. (That may lie elsewhere: QEMU holds the guest while it first collects the dirty bitmap, whoever drives
    it.)"""
    beats = len(line.heartbeats())
    wait_until(lambda: len(line.heartbeats()) > beats + 50, timeout=20, what="heartbeats after a move")
    stamps = [stamp for stamp, _, _ in line.heartbeats() if stamp >= since]
    return {"pause": line.switch_gap() * 1000, "gap": max(b - a for a, b in zip(stamps, stamps[1:])) * 1000}


def note(figures, found):
    for name, value in found.items():
        figures[name].append(value)


def migrate_with_daemon(bench, pair, dirty, policy):
    figures = {"total": [], "pause": [], "gap": [], "downtime": []}
    wanted = bench.count(MOVES) // 2
    for _ in range(4):
        try:
            moves_of_one_guest(bench, pair, dirty, policy, figures, wanted)
            break
        except AssertionError:
            # libvirtd rounds memory to a size with which QEMU 7.2 harms a guest under TCG; a new one takes its place.
            with opened(pair[0]) as one, opened(pair[1]) as other:
                for domain in [*one.listAllDomains(), *other.listAllDomains()]:
                    domain.destroy()
    return figures


def moves_of_one_guest(bench, pair, dirty, policy, figures, wanted):
    """Moves a guest to and fro until `wanted` moves are measured."""
    with bench.line() as line:
        with opened(pair[0]) as connection:
            connection.createXML(guest.domain_xml("mover", serial=line.xml, hb=4, dirty=dirty, area=96))
        settle(line)
        source, target = pair
        while len(figures["pause"]) < wanted:
            with opened(source) as connection, opened(target) as other:
                domain = connection.lookupByName("mover")
                domain.migrateSetMaxDowntime(DOWNTIME_MS)
                parameters = {libvirt.VIR_MIGRATE_PARAM_URI: "tcp://127.0.0.1"}
                if policy:
                    parameters |= {"godwit.policy": policy}
                arrived, began = [], time.monotonic()
                total = timed_ms(lambda: arrived.append(
                    domain.migrate3(other, parameters, libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_UNSAFE)))
                note(figures, silences(line, began))
                figures["total"].append(total)
                with contextlib.suppress(libvirt.libvirtError, KeyError):
                    figures["downtime"].append(arrived[0].jobStats(libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED)["downtime"])
            line.check()
            source, target = target, source
        with opened(source) as connection:
            connection.lookupByName("mover").destroy()


def migrate_by_hand(bench, dirty):
    figures = {"total": [], "pause": [], "gap": [], "downtime": [], "transfer": []}
    folder = guest.build()
    with bench.line() as line:
        cmdline = f"{CMDLINE} dirty={dirty}"
        source = byhand.Qemu(byhand.real_guest(folder, guest.MEMORY_KIB, cmdline, line.path))
        source.command("cont")
        settle(line)
        for _ in range(bench.count(MOVES) // 2):
            began = time.monotonic()
            source, took = byhand.migrate(source, byhand.real_guest(folder, guest.MEMORY_KIB, cmdline, line.path, True), DOWNTIME_MS)
            note(figures, silences(line, began))
            note(figures, {key: seconds * 1000 for key, seconds in took.items()})
        line.check()
        source.end(signal.SIGKILL)
    figures.pop("transfer")
    return figures


def preflight(bench):
    """A move that is refused has gone through the whole check, and nothing else: the name is taken over there."""
    for subject, (source, target) in bench.pairs():
        if subject != "godwit":
            continue
        disks = "".join(
            f"<disk type='file' device='disk'><driver name='qemu' type='raw' cache='none'/><target dev='vd{letter}' bus='virtio'/>"
            f"<source file='{guest.disk_image(f'{bench.scratch}/check-{letter}.raw')}'/></disk>" for letter in "abcd")
        with opened(source) as connection, opened(target) as other:
            checked = connection.createXML(guest.bare_xml("checked", devices=disks), libvirt.VIR_DOMAIN_START_PAUSED)
            namesake = other.defineXML(plain("checked"))
            words = [GODWIT, "-c", source.uri, "migrate", "checked", target.tcp_uri, "--live"]

            def run(*more):
                done = subprocess.run([*words, *more], capture_output=True, text=True)
                assert "another domain" in done.stdout + done.stderr, done
            yield "preflight-4-disks", subject, [timed_ms(run) for _ in range(bench.count(20))]
            yield "check-4-disks", subject, [timed_ms(lambda: run("--check")) for _ in range(bench.count(5))]
            namesake.undefine()
            checked.destroy()


IDLE_GUESTS = 20


def evacuation(bench):
    """A host of idle guests is emptied: by godwit, several at once, after asking and measuring; with stock virsh one by one. The
    guests have no kernel: their firmware found nothing to start and waits, so twenty of them leave the processors to the movers."""
    for subject, pair in bench.pairs():
        yield "evacuate-20", subject, [empty_host(subject, pair) for _ in range(3)]


def empty_host(subject, pair):
    source, target = pair
    words = ["-c", source.uri, "migrate", "--live", "--migrateuri", "tcp://127.0.0.1"]
    with opened(source) as connection, opened(target) as other:
        names = [f"idle{number}" for number in range(IDLE_GUESTS)]
        pids = [start_idle(connection, name) for name in names]
        wait_until(lambda: busy_share(pids) < 0.05, timeout=300, what="twenty guests that are idle", step=1)
        if subject == "godwit":
            took = timed_ms(lambda: run(GODWIT, "-c", source.uri, "evacuate", "--to", target.tcp_uri, "--parallel", "4"))
        else:
            took = timed_ms(lambda: [run("virsh", *words, name, target.tcp_uri) for name in names])
        for domain in other.listAllDomains():
            domain.destroy()
    return took


def run(*words):
    subprocess.run(words, check=True, capture_output=True)


def start_idle(connection, name):
    """Returns the guest's pid."""
    uuid = connection.createXML(guest.bare_xml(name, memory_kib=guest.ROUNDED_KIB)).UUIDString()
    return guest.qemu_pids([uuid])[uuid]


def busy_share(pids):
    """How much of a processor each takes, during half a second."""
    before, started = sum(map(cpu_seconds, pids)), time.monotonic()
    time.sleep(0.5)
    return (sum(map(cpu_seconds, pids)) - before) / (time.monotonic() - started) / len(pids)


GROUPS = {"calls": calls, "definitions": definitions, "many-defined": many_defined, "parallel": parallel,
          "start-destroy": start_destroy, "events": events, "crowd": crowd, "daemon-start": daemon_start, "migration": migration,
          "preflight": preflight, "evacuation": evacuation,
          **storage.GROUPS}
