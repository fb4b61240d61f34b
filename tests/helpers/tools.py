# SPDX-License-Identifier: LGPL-2.1-or-later
"""Small things that every test needs."""
import contextlib
import json
import subprocess
import time

import pytest


def long(*values):
    """A case of a parametrized test that runs only with --full."""
    return pytest.param(*values, marks=pytest.mark.full)


class Result:
    """What a command answered. text and errors are stripped."""

    def __init__(self, done):
        self.status = done.returncode
        self.text = done.stdout.strip()
        self.errors = done.stderr.strip()

    def __repr__(self):
        return f"exit {self.status}\n{self.text}\n{self.errors}"


def run(*words, timeout=60, stdin=None):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=timeout, input=stdin)
    return Result(done)


def virsh(host, *words, ok=True, timeout=60, stdin=None, readonly=False):
    """Runs stock virsh against the host; asserts that it works, unless ok is False (it must fail) or None (either)."""
    result = run("virsh", "-c", host.uri_ro if readonly else host.uri, *(["-r"] if readonly else []), *words,
                 timeout=timeout, stdin=stdin)
    if ok is not None:
        assert (result.status == 0) == ok, f"virsh {' '.join(map(str, words))}: {result}"
    return result


def wait_until(condition, timeout=10, what="condition", step=0.02):
    """Waits until condition() is true and returns its value."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what}: not within {timeout} s"
        time.sleep(step)


def table(text):
    """{key: value} of virsh's `key: value` lines."""
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


@contextlib.contextmanager
def change_status(host, domain):
    """What godwitd knows of a running guest, to be changed while no daemon runs."""
    path = f"{host.root}/run/godwit/domains/{domain.UUIDString()}.json"
    with open(path) as file:
        status = json.load(file)
    yield status
    with open(path, "w") as file:
        json.dump(status, file)
