# SPDX-License-Identifier: LGPL-2.1-or-later
"""godwit without a daemon: its grammar, help, messages and exit codes."""
import re
import subprocess

import pytest

from helpers.cli import GODWIT, godwit

NOWHERE = "qemu+unix:///system?socket=/nonexistent/socket"


@pytest.mark.parametrize("line, printed", [
    ("echo a; echo b", "a\nb\n"),
    ("echo 'a  b'  \"c d\" e\\ f", "a  b c d e f\n"),
    ("echo \"a'b\" 'c\"d' \"e\\\"f\"", "a'b c\"d e\"f\n"),
    ("echo a # b ; c", "a\n"),
    ("echo a\\;b", "a;b\n"),
    ("echo -- --xml", "--xml\n"),
    ("echo --xml '<a b=\"c\">'", "&lt;a b=&quot;c&quot;&gt;\n"),
    ("echo --shell \"it's\" plain", "'it'\\''s' plain\n"),
    ("echo --split a,b,,c", "a\nb,c\n\n"),
    ("echo --string a --string=b", "a b\n"),
    (";;", ""),
])
def test_lines(line, printed):
    assert godwit(line).out == printed


def test_words_of_the_shell_are_not_parsed_again():
    assert godwit("echo", "a", ";", "#b", "c d").out == "a ; #b c d\n"


@pytest.mark.parametrize("line, words", [
    ("", "is empty"),
    ("nope", "no command 'nope'"),
    ("echo a; nope", "no command 'nope'"),
    ("echo 'a", "quote ' is not closed"),
    ("echo a\\", "nothing follows"),
    ("list --nope", "no option --nope"),
    ("list --all=1", "takes no value"),
    ("list word", "no use for 'word'"),
    ("list --all --all", "given twice"),
    ("list --output xml", "'table' or 'json'"),
    ("start", "requires <domain>"),
    ("start --domain", "needs a value"),
    ("start --domain=", "is empty"),
    ("help nope", "neither a command nor a group"),
    ("cd /", "interactive"),
])
def test_mistakes_are_named(line, words):
    answer = godwit(line, ok=False)
    assert words in answer.errors and answer.errors.startswith("error: ")
    assert answer.status == 1 and not answer.out.strip()


def test_the_last_command_decides_the_status():
    assert godwit("uri; echo b", uri=NOWHERE).out.endswith("b\n")
    godwit("echo b; uri", uri=NOWHERE, ok=False)


@pytest.mark.parametrize("option, words", [
    (["-x"], "'-x' is not known"), (["--nope"], "'--nope' is not known"), (["-c"], "needs a value"),
    (["-d", "9"], "0 (everything) to 4"), (["-e", "xx"], "one character"), (["-k", "x"], "number of seconds"),
    (["--quiet=1"], "takes no value"), (["--output", "xml"], "'table' or 'json'"), (["--version=y"], "short"),
])
def test_wrong_program_options(option, words):
    assert words in godwit(*option, ok=False).errors


def test_versions():
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", godwit("-v").out)
    assert godwit("--version").out == godwit("-v").out == godwit("--version=short").out
    assert godwit("-V").out == godwit("--version=long").out


@pytest.mark.parametrize("uri, words", [
    ("system", "no scheme"),
    ("qemu+tcp:///system", "needs a host"),
    ("qemu+telnet://host/system", "unix, tcp and ssh"),
    ("qemu://host/system", "TLS"),
    ("qemu+tcp://host:70000/system", "'70000'"),
    ("qemu:///wrong", "/system and /session"),
    ("qemu+unix:///system?mode=x", "auto, legacy and direct"),
    ("qemu+tcp://127.0.0.1:1/system", "127.0.0.1 port 1: Connection refused"),
    (NOWHERE, "'/nonexistent/socket'"),
    ("qemu+ssh://host/system?command=/nonexistent/ssh", "'/nonexistent/ssh'"),
])
def test_connections_that_cannot_be(uri, words):
    assert words in godwit("list", uri=uri, ok=False).errors


def test_what_ssh_says_is_in_the_message(tmp_path):
    ssh = tmp_path / "ssh"
    ssh.write_text("#!/bin/sh\necho 'ssh: no such host' >&2\nexit 255\n")
    ssh.chmod(0o755)
    assert "ssh says: ssh: no such host" in godwit("list", uri=f"qemu+ssh://h/system?command={ssh}", ok=False).errors


def test_uri_from_the_environment():
    for name in ("GODWIT_DEFAULT_URI", "VIRSH_DEFAULT_CONNECT_URI", "LIBVIRT_DEFAULT_URI"):
        assert "'/nonexistent/socket'" in godwit("list", ok=False, env={name: NOWHERE}).errors


def test_every_command_explains_itself():
    text = godwit("help").out
    commands = re.findall(r"^    (\S+) ", text, re.M)
    assert len(commands) > 70 and "complete" not in commands
    explained = godwit("; ".join(f"help {command}" for command in commands)).out
    for command in commands:
        assert re.search(rf"NAME\n    {command} - ", explained), command
    assert godwit("list", "--help").out == godwit("help", "list").out
    groups = re.findall(r"\(help keyword '(\w+)'\)", text)
    assert groups == ["domain", "convert", "monitor", "events", "host", "pool", "volume", "image", "secret", "virsh"]
    assert "    list " in godwit("help", "monitor").out


# Options that virsh has not; every command takes --output besides.
OWN = {"help": {"man"}, "migrate": {"check", "status", "recover", "owner", "comp-zlib-level", "comp-zstd-level", "map-bridge",
                                    "map-network", "map-pool", "policy", "policies", "time-budget", "max-pause", "no-disruption", "verify"}}
OWN_COMMANDS = {"evacuate", "convert"}


def test_virsh_knows_the_same_options():
    for command in set(re.findall(r"^    (?!image-)(\S+) ", godwit("help").out, re.M)) - OWN_COMMANDS:
        ours = set(re.findall(r"--([a-z0-9-]+)", re.search("SYNOPSIS\n(.*)", godwit("help", command).out)[1]))
        theirs = subprocess.run(["virsh", "help", command], capture_output=True, text=True).stdout
        known = set(re.findall(r"--([a-z0-9-]+)", theirs)) | OWN.get(command, set())
        assert ours <= known, f"{command}: {ours - known}"


def test_completion_without_a_daemon():
    assert godwit("complete", "--", "domst").out.split() == ["domstate", "domstats"]
    assert "--state-running" in godwit("complete", "--", "list", "--st").out.split()
    assert "--all" not in godwit("complete", "--", "list", "--all", "--").out.split()
    assert godwit("complete", "--", "list", "--output", "").out.split() == ["table", "json"]


def test_manual_page_has_every_command():
    page = godwit("help", "--man").out
    assert page.startswith(".TH GODWIT 1")
    for command in re.findall(r"^    (\S+) ", godwit("help").out, re.M):
        assert ".SS " + command.replace("-", "\\-") in page


def test_commands_from_a_pipe(tmp_path):
    answer = subprocess.run([GODWIT, "-c", NOWHERE], input="echo a\n", capture_output=True, text=True)
    assert answer.returncode == 1 and "cannot connect" in answer.stderr
