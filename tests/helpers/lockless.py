# SPDX-License-Identifier: LGPL-2.1-or-later
"""A file system that shows a directory as it is but refuses all locks, as an NFS without its lock daemon does. Run as a program:
lockless.py DIRECTORY MOUNTPOINT; it ends when it is unmounted."""
import errno
import os
import sys

import fusepy


class Lockless(fusepy.Operations):
    def __init__(self, root):
        self.root = root

    def __call__(self, name, path, *words):
        return super().__call__(name, self.root + path, *words)

    def lock(self, path, handle, command, lock):
        raise fusepy.FuseOSError(errno.ENOLCK)

    def getattr(self, path, handle=None):
        found = os.lstat(path)
        return {key: getattr(found, key) for key in ("st_atime", "st_ctime", "st_gid", "st_mode", "st_mtime", "st_nlink",
                                                     "st_size", "st_uid", "st_ino")}

    def readdir(self, path, handle):
        return [".", "..", *os.listdir(path)]

    def create(self, path, mode):
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

    def open(self, path, flags):
        return os.open(path, flags)

    def read(self, path, size, offset, handle):
        return os.pread(handle, size, offset)

    def write(self, path, data, offset, handle):
        return os.pwrite(handle, data, offset)

    def truncate(self, path, length, handle=None):
        os.truncate(path, length)

    def release(self, path, handle):
        os.close(handle)

    def fsync(self, path, only_data, handle):
        os.fsync(handle)

    def flush(self, path, handle):
        return 0

    def unlink(self, path):
        os.unlink(path)

    def rename(self, old, new):
        os.rename(old, self.root + new)

    def mkdir(self, path, mode):
        os.mkdir(path, mode)


if __name__ == "__main__":
    fusepy.FUSE(Lockless(sys.argv[1]), sys.argv[2], foreground=True, nothreads=True)
