# SPDX-License-Identifier: LGPL-2.1-or-later
"""godwit, the program, as a script and as a person run it."""
import json
import os
import subprocess

from helpers import terminal
from helpers.host import BUILD

GODWIT = f"{BUILD}/godwit"
NOISE = "ASan doesn't fully support"        # a sanitizer build says it once about the fibers' stacks


class Answer:
    def __init__(self, done):
        self.status = done.returncode
        self.out = done.stdout
        self.errors = "".join(line for line in done.stderr.splitlines(True) if NOISE not in line)

    def __repr__(self):
        return f"exit {self.status}\n{self.out}\n{self.errors}"

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def lines(self):
        return self.out.rstrip("\n").split("\n")


def godwit(*words, uri=None, ok=True, stdin="", env=None, timeout=60):
    """Asserts success, unless ok is False (it must fail) or None (either)."""
    command = [GODWIT, *(["-c", uri] if uri else []), *(str(word) for word in words)]
    answer = Answer(subprocess.run(command, capture_output=True, text=True, input=stdin, timeout=timeout,
                                   env=dict(os.environ, **(env or {}))))
    assert "Sanitizer" not in answer.errors and "runtime error" not in answer.errors, answer
    if ok is not None:
        assert (answer.status == 0) == ok, f"godwit {' '.join(map(str, words))}: {answer}"
    return answer


class Terminal(terminal.Terminal):
    """godwit on a pseudo-terminal."""

    def __init__(self, *words, uri=None, env=None):
        super().__init__(GODWIT, *(["-c", uri] if uri else []), *words, env=env)
