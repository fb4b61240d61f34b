# SPDX-License-Identifier: LGPL-2.1-or-later
"""godwit, the program, as a script and as a person run it."""
import json
import os
import pty
import select
import subprocess
import time

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


class Terminal:
    """godwit on a pseudo-terminal."""

    def __init__(self, *words, uri=None, env=None):
        self.master, slave = pty.openpty()
        command = [GODWIT, *(["-c", uri] if uri else []), *words]
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                        env=dict(os.environ, TERM="xterm", LC_ALL="C.UTF-8", **(env or {})))
        os.close(slave)
        self.text = ""

    def type(self, text):
        os.write(self.master, text.encode())

    def wait_for(self, words, timeout=20):
        """Waits until the words appear after what was waited for before."""
        deadline = time.monotonic() + timeout
        while words not in self.text:
            left = deadline - time.monotonic()
            assert left > 0, f"'{words}' did not appear in: {self.text[-800:]}"
            if select.select([self.master], [], [], left)[0]:
                try:
                    self.text += os.read(self.master, 4096).decode(errors="replace")
                except OSError:
                    assert words in self.text, f"godwit ended before '{words}': {self.text[-800:]}"
        self.text = self.text[self.text.index(words) + len(words):]

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)
