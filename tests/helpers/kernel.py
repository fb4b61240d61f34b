# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the running kernel can do. What it cannot here, it can in the test host (tests/lab/testhost)."""
import os
import shutil
import subprocess

import pytest


def has(path, module):
    """Whether the kernel shows `path`, with the module loaded if there is one."""
    if not os.path.exists(path) and shutil.which("modprobe"):
        subprocess.run(["modprobe", module], capture_output=True)
    return os.path.exists(path)


def needs(path, module, *programs):
    """A mark for tests of what most kernels have and this one may not."""
    missing = [program for program in programs if not shutil.which(program)]
    reason = f"needs {' '.join(missing)}" if missing else f"needs the kernel module {module}"
    return pytest.mark.skipif(bool(missing) or not has(path, module), reason=f"{reason}: runs in tests/lab/test_testhost.py")


DEVICE_MAPPER = "/sys/class/misc/device-mapper"
