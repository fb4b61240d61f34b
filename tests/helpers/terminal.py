# SPDX-License-Identifier: LGPL-2.1-or-later
"""A program as a person runs it: on a pseudo-terminal."""
import os
import pty
import select
import subprocess
import termios
import time


class Terminal:
    def __init__(self, *command, env=None):
        self.master, slave = pty.openpty()
        self.name = os.path.basename(command[0])
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
                    assert words in self.text, f"{self.name} ended before '{words}': {self.text[-800:]}"
        self.text = self.text[self.text.index(words) + len(words):]

    def wait_raw(self, timeout=20):
        """Waits until the program reads keys and not lines. libedit shows its prompt before that; a Ctrl-D in between is the
        kernel's, which makes a zero byte of it."""
        deadline = time.monotonic() + timeout
        while termios.tcgetattr(self.master)[3] & termios.ICANON:
            assert time.monotonic() < deadline, f"{self.name} reads lines"
            time.sleep(0.01)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)
