# SPDX-License-Identifier: LGPL-2.1-or-later
"""The test host: a virtual machine (TCG) with Debian's own kernel and this repository in it, read-only. See tests/lab/testhost."""
import os
import shlex
import subprocess

from helpers.host import BUILD, TOP

HERE = f"{TOP}/tests/lab/testhost"
PYTEST = ["/usr/bin/python3", "-m", "pytest", "-p", "no:cacheprovider", "-q", "-ra", "--tb=short", "--durations=5",
          "--junitxml=/job/results.xml"]


def image(cached_only=False):
    """The directory of kernel, initrd and root.img; made when needed, or None when only a cached one will do and there is none."""
    words = [f"{HERE}/build", *(["--cached"] if cached_only else [])]
    made = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=not cached_only)
    return made.stdout.strip() or None


def machine(place, results):
    return ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-machine", "q35",
            "-accel", "tcg,thread=multi", "-cpu", "Nehalem", "-smp", "2", "-m", "2048", "-serial", f"file:{results}/console",
            "-kernel", f"{place}/kernel", "-initrd", f"{place}/initrd",
            "-append", "console=ttyS0 quiet panic=-1 rdinit=/init mitigations=off",
            "-drive", f"if=none,id=root,format=raw,file={place}/root.img,snapshot=on,cache=unsafe",
            "-device", "virtio-blk-pci,drive=root", "-device", "virtio-rng-pci",
            "-virtfs", f"local,path={TOP},mount_tag=repository,security_model=none,readonly=on,multidevs=remap",
            "-virtfs", f"local,path={results},mount_tag=job,security_model=none"]


def command_of(words):
    if not BUILD.startswith(f"{TOP}/"):
        raise RuntimeError(f"GODWIT_BUILD={BUILD} lies outside the repository, and only that is shared with the test host")
    if words[0] == "pytest":
        words = [*PYTEST, *words[1:]]
    settings = {"GODWIT_BUILD": BUILD, "PYTHONDONTWRITEBYTECODE": "1"}
    return " ".join([*(f"{name}={shlex.quote(value)}" for name, value in settings.items()), shlex.join(words)])


def run(words, results, timeout):
    """Runs a command in the repository's directory there. Returns its exit status and its output; what it writes to /job there
    lies in `results` here, results.xml of ["pytest", ...] too. That the machine itself fails is an exception."""
    for name, text in (("place", TOP), ("command", command_of(words))):
        with open(f"{results}/{name}", "w", encoding="utf-8") as file:
            file.write(f"{text}\n")
    try:
        subprocess.run(machine(image(), results), stdin=subprocess.DEVNULL, timeout=timeout, check=True)
        with open(f"{results}/status", encoding="utf-8") as file:
            status = int(file.read())
    except (OSError, ValueError, subprocess.SubprocessError) as problem:
        said = "".join(text_of(f"{results}/{name}")[-3000:] for name in ("console", "output"))
        raise RuntimeError(f"the test host did not end its job: {problem}\n{said}") from problem
    return status, text_of(f"{results}/output")


def text_of(path):
    try:
        with open(path, errors="replace", encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""
