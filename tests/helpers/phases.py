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
        self.socket.settimeout(60)
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
        self.serial += 1
        message = struct.pack(">IIiiIi", PROGRAM, 1, NUMBERS[procedure], 0, self.serial, 0) + body
        self.socket.sendall(number(len(message) + 4) + message)

    def call(self, procedure, body):
        self.send(procedure, body)
        while True:
            message = self._read(struct.unpack(">I", self._read(4))[0] - 4)
            _, _, _, kind, serial, status = struct.unpack_from(">IIiiIi", message)
            if kind == 1 and serial == self.serial:
                break
        reply = Reply(message[24:])
        if status:
            reply.number(), reply.number()
            raise RuntimeError(reply.optional())
        return reply

    def close(self):
        self.socket.close()


class Phases:
    """The migration of one guest from a daemon to another; each phase takes the cookie on."""

    def __init__(self, source, target, name, flags):
        self.source, self.target, self.name = Wire(source), Wire(target), name
        self.flags = flags | libvirt.VIR_MIGRATE_CHANGE_PROTECTION
        with contextlib.closing(libvirt.open(source.uri)) as connection:
            domain = connection.lookupByName(name)
            self.domain = opaque(name) + domain.UUID() + number(domain.ID())
        self.cookie, self.xml, self.uri = b"", None, None

    def begin(self):
        reply = self.source.call("domain-migrate-begin3-params", self.domain + strings() + number(self.flags))
        self.cookie, self.xml = reply.opaque(), reply.opaque().decode()

    def prepare(self):
        reply = self.target.call("domain-migrate-prepare3-params",
                                 strings(migrate_uri="tcp://127.0.0.1", destination_xml=self.xml,
                                         destination_name=self.name) + opaque(self.cookie) + number(self.flags))
        self.cookie, self.uri = reply.opaque(), reply.optional()

    def perform(self):
        reply = self.source.call("domain-migrate-perform3-params",
                                 self.domain + number(0) + strings(migrate_uri=self.uri) + opaque(self.cookie) +
                                 number(self.flags))
        self.cookie = reply.opaque()

    def _finish(self, cancelled):
        return strings(destination_name=self.name) + opaque(self.cookie) + number(self.flags) + number(cancelled)

    def send_finish(self):
        """Without waiting for the answer."""
        self.target.send("domain-migrate-finish3-params", self._finish(False))

    def finish(self, cancelled=False):
        reply = self.target.call("domain-migrate-finish3-params", self._finish(cancelled))
        reply.opaque()
        reply.at += 16 + 4
        self.cookie = reply.opaque()

    def confirm(self, cancelled=False):
        self.source.call("domain-migrate-confirm3-params",
                         self.domain + strings() + opaque(self.cookie) + number(self.flags) + number(cancelled))

    def close(self):
        self.source.close()
        self.target.close()
