# SPDX-License-Identifier: LGPL-2.1-or-later
"""Block devices for tests: files behind loop devices."""
import os
import subprocess


class Loop:
    """A loop device of some MiB; close() takes it away, and what was mounted of it."""

    def __init__(self, path, mib, partitions=False):
        self.file = path
        with open(path, "wb") as file:
            file.truncate(mib << 20)
        words = ["losetup", "--find", "--show", *(["--partscan"] if partitions else []), path]
        self.path = subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()

    def mounts(self):
        """Where it is mounted."""
        with open("/proc/self/mounts") as file:
            return [line.split()[1].replace("\\040", " ") for line in file if line.split()[0] == self.path]

    def close(self):
        for target in self.mounts():
            subprocess.run(["umount", target], check=True)
        subprocess.run(["losetup", "--detach", self.path], check=True)
        os.unlink(self.file)
