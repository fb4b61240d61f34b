# SPDX-License-Identifier: LGPL-2.1-or-later
"""A client that drives the five phases of a migration one at a time, which no library offers, so that a test can stop between two
of them. It speaks the wire protocol by itself; numbers of procedures come from the schema."""
import contextlib
import os
import socket
import struct

import libvirt

SCHEMA = f"{os.path.dirname(os.path.realpath(__file__))}/../../protocol/remote.schema"
PROGRAM = 0x20008086
with open(SCHEMA, encoding="utf-8") as _file:
    NUMBERS = {columns[2]: int(columns[1]) for columns in (line.rstrip("\n").split("\t") for line in _file)
               if columns[0] == "call"}


def number(value):
    return struct.pack(">I", value & 0xffffffff)


def opaque(data):
    data = data.encode() if isinstance(data, str) else data
    return number(len(data)) + data + bytes(-len(data) % 4)


def optional(text):
    return number(0) if text is None else number(1) + opaque(text)


def strings(**values):
    """Typed parameters that are all strings; None is left out."""
    given = {key: value for key, value in values.items() if value is not None}
    return number(len(given)) + b"".join(opaque(key) + number(libvirt.VIR_TYPED_PARAM_STRING) + opaque(value)
                                         for key, value in given.items())


def typed(**values):
    """The same with numbers among them, as unsigned long long."""
    given = {key: value for key, value in values.items() if value is not None}
    return number(len(given)) + b"".join(
        opaque(key) + (number(libvirt.VIR_TYPED_PARAM_STRING) + opaque(value) if isinstance(value, str) else
                       number(libvirt.VIR_TYPED_PARAM_ULLONG) + struct.pack(">Q", value)) for key, value in given.items())


class Reply:
    def __init__(self, body):
        self.body, self.at = body, 0

    def number(self):
        self.at += 4
        return struct.unpack_from(">i", self.body, self.at - 4)[0]

    def opaque(self):
        length = self.number()
        data = self.body[self.at:self.at + length]
        self.at += length + -length % 4
        return data

    def optional(self):
        return self.opaque().decode() if self.number() else None


class Wire:
    """A connection to one daemon, opened."""

    def __init__(self, host):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(180)
        self.socket.connect(host.socket)
        self.serial = 0
        self.call("auth-list", b"")
        self.call("connect-open", optional("qemu:///system") + number(0))

    def _read(self, length):
        data = b""
        while len(data) < length:
            chunk = self.socket.recv(length - len(data))
            if not chunk:
                raise ConnectionError("the daemon closed the connection")
            data += chunk
        return data

    def send(self, procedure, body):
        """Without waiting for the answer, which take() gives."""
        self.serial += 1
        message = struct.pack(">IIiiIi", PROGRAM, 1, NUMBERS[procedure], 0, self.serial, 0) + body
        self.socket.sendall(number(len(message) + 4) + message)
        return self.serial

    def take(self, wanted):
        """The answer to that serial; earlier ones are dropped."""
        while True:
            message = self._read(struct.unpack(">I", self._read(4))[0] - 4)
            _, _, _, kind, serial, status = struct.unpack_from(">IIiiIi", message)
            if kind == 1 and serial == wanted:
                break
        reply = Reply(message[24:])
        if status:
            reply.number(), reply.number()
            raise RuntimeError(reply.optional())
        return reply

    def call(self, procedure, body):
        return self.take(self.send(procedure, body))

    def close(self):
        self.socket.close()


class Phases:
    """The migration of one guest from a daemon to another; each phase takes the cookie on. xml, if given, changes the definition
    on its way; parameters are typed ones of perform that are numbers, and begin_with those of begin."""

    STEPS = ["begin", "prepare", "perform", "finish", "confirm"]

    def __init__(self, source, target, name, flags, xml=None, address="127.0.0.1", begin_with=None, **parameters):
        self.source, self.target, self.name = Wire(source), Wire(target), name
        self.flags = flags | libvirt.VIR_MIGRATE_CHANGE_PROTECTION
        self.change, self.address, self.parameters, self.begin_with = xml, address, parameters, begin_with or {}
        with contextlib.closing(libvirt.open(source.uri)) as connection:
            domain = connection.lookupByName(name)
            self.domain = opaque(name) + domain.UUID() + number(domain.ID())
        self.cookie, self.xml, self.uri = b"", None, None
        self.step, self.serial = None, None     # what was sent last, and whether its answer was taken (None)

    def wire(self, step):
        return self.target if step in ("prepare", "finish") else self.source

    def send(self, step, cancelled=False):
        """Begins a phase without waiting for its answer."""
        flags = number(self.flags)
        body = {
            "begin": lambda: self.domain + typed(**self.begin_with) + flags,
            "prepare": lambda: strings(migrate_uri=f"tcp://{self.address}", destination_xml=self.xml, destination_name=self.name) +
            opaque(self.cookie) + flags,
            "perform": lambda: self.domain + number(0) + typed(migrate_uri=self.uri, **self.parameters) + opaque(self.cookie) +
            flags,
            "finish": lambda: strings(destination_name=self.name) + opaque(self.cookie) + flags + number(cancelled),
            "confirm": lambda: self.domain + strings() + opaque(self.cookie) + flags + number(cancelled),
        }[step]()
        self.step = step
        self.serial = self.wire(step).send(f"domain-migrate-{step}3-params", body)

    def take(self):
        """Waits for the answer of the phase that was sent last."""
        serial, self.serial = self.serial, None
        reply = self.wire(self.step).take(serial)
        if self.step == "finish":
            reply.opaque()
            reply.at += 16 + 4
        if self.step != "confirm":
            self.cookie = reply.opaque()
        if self.step == "begin":
            xml = reply.opaque().decode()
            self.xml = self.change(xml) if self.change else xml
        if self.step == "prepare":
            self.uri = reply.optional()

    def do(self, step, cancelled=False):
        self.send(step, cancelled)
        self.take()

    def begin(self):
        self.do("begin")

    def prepare(self):
        self.do("prepare")

    def perform(self):
        self.do("perform")

    def finish(self, cancelled=False):
        self.do("finish", cancelled)

    def confirm(self, cancelled=False):
        self.do("confirm", cancelled)

    def up_to(self, last):
        for step in self.STEPS[:self.STEPS.index(last) + 1]:
            self.do(step)
        return self

    def carry_on(self):
        """Goes on as libvirt's client does: after a phase that failed, finish and confirm cancel. Returns the words of all that
        failed, the first of which the user sees."""
        failures = []

        def attempt(what, *arguments):
            try:
                what(*arguments)
            except (RuntimeError, OSError) as failure:
                failures.append(str(failure))
        if self.serial is not None:
            attempt(self.take)
        done = self.STEPS.index(self.step)
        for step in self.STEPS[done + 1:]:
            prepared = done >= 1 and not (done == 1 and failures)
            if step in ("prepare", "perform") and failures or step == "finish" and not prepared:
                continue
            attempt(self.do, step, bool(failures))
        return failures

    def close(self):
        self.source.close()
        self.target.close()
