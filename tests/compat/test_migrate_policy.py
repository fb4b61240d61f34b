# SPDX-License-Identifier: LGPL-2.1-or-later
"""Policies: the migration of a guest that changes memory faster than it may be sent ends as its policy says, within its
contract, and each change is told with its reason."""
import re
import threading

import pytest

from helpers import guest
from helpers.cli import godwit
from helpers.tools import table, virsh, wait_until
from helpers.traveller import ROUTE, RUNNING, SHUTOFF, Traveller

pytestmark = pytest.mark.godwit


@pytest.fixture
def busy(two_hosts, line):
    """Changes 16 MiB all the time, of which 16 MiB/s are sent: a pass takes a second, and each is as long as the last."""
    return Traveller(two_hosts, line, dirty=64, area=16)


def move(traveller, policy, *words, ok=True, back=False):
    """Returns the lines that the policy said, and the error."""
    source, target = (traveller.target, traveller.source) if back else (traveller.source, traveller.target)
    answer = godwit("migrate", traveller.name, target.tcp_uri, "--live", "--verbose", "--bandwidth", "16",
                    *(["--policy", policy] if policy else []), *words, *ROUTE, uri=source.uri, timeout=300, ok=ok)
    said = [text.strip() for text in re.split("[\r\n]+", answer.errors) if text.strip()]
    return [text for text in said if "Migration:" not in text and "error:" not in text], answer.errors


def pause_of(traveller):
    """Seconds that the guest was silent at the last move."""
    beats = len(traveller.line.heartbeats())
    wait_until(lambda: len(traveller.line.heartbeats()) > beats + 5, what="heartbeats")
    return traveller.line.switch_gap()


def test_ends_as_the_policy_says(two_hosts, busy):
    """Gives up, post-copy, pause: one guest, which misses nothing."""
    here, there = two_hosts
    said, errors = move(busy, "gentle", "--max-pause", "50", "--time-budget", "8", ok=False)
    assert said[0].startswith("policy gentle (plain, compression, give up): a pause of 50 ms, 8 s in all"), said
    assert any(re.match(r"compression, with a cache of 32 MiB: .* of the 8 s are over", text) for text in said), said
    assert said[-1].startswith("given up: "), said
    assert "policy 'gentle' has tried plain, compression; " in errors and "--max-pause" in errors, errors
    assert busy.states() == [RUNNING, None]
    assert "migration of domain 'traveller': given up: " in here.log(1 << 20)
    assert virsh(here, "migrate-compcache", "traveller").text == "Compression cache: 64.000 MiB"  # as before the attempt
    busy.lives()

    said, _ = move(busy, "post-copy", "--max-pause", "50", "--time-budget", "120")
    assert any(re.match(r"a pause of up to 40 ms: pass \d+ has \d+\.\d MiB to send, the one before had", text) for text in said), said
    assert any(text.startswith("post-copy, the guest goes on on the destination: 2 passes have not shrunk") for text in said), said
    assert busy.states() == [SHUTOFF, RUNNING]
    assert virsh(there, "domstate", "--reason", "traveller").text == "running (migrated)"
    busy.lives()

    said, _ = move(busy, "auto", "--max-pause", "50", "--time-budget", "12", back=True)
    assert any(text.startswith("the guest is slowed down, by 80 % at most: ") for text in said), said
    pauses = [int(match.group(1)) for match in (re.match(r"a pause of up to (\d+) ms", text) for text in said) if match]
    assert 50 < pauses[-1] <= 10000, said
    assert pause_of(busy) < pauses[-1] / 1000 + 3
    assert busy.states() == [RUNNING, None]
    busy.lives()
    busy.ends()


@pytest.mark.full
def test_slowed_down_first(two_hosts, busy):
    """auto, which nobody has to ask for: the throttle, at its least from the beginning, grows in its stage."""
    throttles = []

    def watch():
        while not over.wait(0.3):
            info = table(virsh(two_hosts[0], "domjobinfo", "traveller", ok=None).text)
            throttles.append(int(info.get("Auto converge throttle", 0)))
    over = threading.Event()
    watcher = threading.Thread(target=watch)
    watcher.start()
    said, _ = move(busy, None, "--time-budget", "120", "--max-pause", "100")
    over.set()
    watcher.join()
    assert said[0].startswith("policy auto "), said
    assert any(text.startswith("the guest is slowed down") for text in said), said
    assert 1 in throttles and max(throttles) > 30, throttles
    assert busy.states() == [SHUTOFF, RUNNING]
    busy.lives()
    busy.ends()


@pytest.mark.full
@pytest.mark.parametrize("words", [[], ["--p2p"]], ids=["direct", "p2p"])
def test_guaranteed(two_hosts, busy, words):
    """Post-copy when both ends can, and a pause when not."""
    said, _ = move(busy, "guaranteed", "--max-pause", "50", "--time-budget", "30", *words)
    assert any(text.startswith("post-copy, ") for text in said), said
    busy.lives()
    said, _ = move(busy, "guaranteed", "--max-pause", "50", "--time-budget", "15", "--parallel", *words, back=True)
    assert "no compression: it does not go together with parallel connections" in said, said
    assert any(text.startswith("no post-copy: ") for text in said), said
    assert any(re.match(r"a pause of (any length|up to [\d]{3,} ms)", text) for text in said), said
    assert busy.states() == [RUNNING, None]
    busy.lives()
    busy.ends()


@pytest.mark.full
def test_no_disruption_and_several_connections(two_hosts, busy):
    said, errors = move(busy, "guaranteed", "--max-pause", "50", "--time-budget", "10", "--no-disruption", ok=False)
    assert said[0].endswith("no disruption") and "no post-copy: the contract forbids it" in said, said
    assert "has tried plain, compression; " in errors, errors     # not what the contract forbids
    assert busy.states() == [RUNNING, None]
    said, _ = move(busy, "fast", "--max-pause", "4000")
    assert said[0].startswith("policy fast (parallel connections, "), said
    assert busy.states() == [SHUTOFF, RUNNING]
    busy.lives()
    busy.ends()


def test_what_there_is_and_what_makes_no_sense(two_hosts):
    here, there = two_hosts
    listed = godwit("migrate", "--policies", uri=here.uri)
    for words in (r"off +300 ms .*plain ", r"auto +300 ms +300 s \+ 60 s/GiB +plain, compression, auto-converge, pause, give up",
                  r"fast +1000 ms .* parallel connections, plain"):
        assert re.search(words, listed.out), listed
    virsh(here, "create", "/dev/stdin", "--paused", stdin=guest.bare_xml("still"))
    for words, expected in ((["--live", "--policy", "none"], "'none' is not known; there are off, auto, gentle, fast"),
                            (["--live", "--policy", "off", "--max-pause", "5"], "about a --policy"),
                            (["--policy", "auto"], "only with --live"),
                            (["--live", "--time-budget", "0"], "a number from 1"),
                            (["--live", "--max-pause", "2000001"], "2000000")):
        answer = godwit("migrate", "still", there.tcp_uri, *words, *ROUTE, uri=here.uri, ok=False)
        assert expected in answer.errors, answer
    # a guest that stands still has nothing to steer; and what was turned on for the policy is off again
    godwit("migrate", "still", there.tcp_uri, "--live", "--policy", "guaranteed", *ROUTE, uri=here.uri)
    assert virsh(there, "domstate", "still").text == "paused"
