# SPDX-License-Identifier: LGPL-2.1-or-later
"""What may go wrong with a migration, at which moment, and who has the guest afterwards. Data only: test_migration_matrix.py makes
each of these come true, and scripts/failures-doc writes them into docs/migration.md."""

# The moments, in order: a gap between two phases, or a phase that is held in its middle.
MOMENTS = {
    "begun": "between begin and prepare",
    "preparing": "in prepare, while the destination starts QEMU",
    "prepared": "between prepare and perform",
    "copying": "in perform, while disks are copied",
    "sending": "in perform, while memory flows",
    "performed": "between perform and finish",
    "arriving": "in finish, all is there, but not yet the destination's",
    "taking": "in finish, the destination's, but not yet let run",
    "finished": "between finish and confirm",
    "confirming": "in confirm, when the source's QEMU is gone",
}

FAULTS = {
    "client": "the client is gone",
    "source": "the source's daemon is killed",
    "destination": "the destination's daemon is killed",
    "both": "both daemons are killed",
    "source-qemu": "QEMU on the source is killed",
    "destination-qemu": "QEMU on the destination is killed",
    "abort": "the user aborts",
}

# Who has the guest in the end, driven by a client (direct) and peer to peer: s = the source, d = the destination, - = nobody,
# because the only whole guest was killed, e = either (a client's end counts until QEMU is told to let the guest run, which is a
# moment after the journal says so), . = cannot be. A daemon that was killed is started again; its client is gone then.
DIRECT = """
                    begun preparing prepared copying sending performed arriving taking finished confirming
client              s     s         s        s       s       s         s        e      d        d
source              s     s         s        s       s       s         s        e      d        d
destination         s     s         s        s       s       s         s        d      d        d
both                s     s         s        s       s       s         s        d      d        d
source-qemu         -     -         -        -       -       d         d        d      d        .
destination-qemu    .     s         s        s       s       s         s        s      .        .
abort               s     s         s        s       s       d         d        d      d        d
"""
PEER_TO_PEER = """
                    preparing copying sending arriving taking
client              d         d       d       d        d
source              s         s       s       s        e
destination         s         s       s       s        d
both                s         s       s       s        d
source-qemu         -         -       -       d        d
destination-qemu    s         s       s       s        s
abort               s         s       s       d        d
"""

# Those that run by default; --full runs all.
DEFAULT = {
    "direct": """
preparing source, preparing destination-qemu, prepared both, copying client, copying destination, sending source,
sending destination, sending destination-qemu, performed source, performed destination, arriving destination, arriving both,
taking destination, taking destination-qemu, finished source, finished both, confirming source""",
    "p2p": "sending both, arriving source, taking both",
}

# What a destination refuses or cannot do: (what, where it is found out). The guest goes on on the source in each of them.
REFUSALS = {
    "name": ("the destination has another domain of that name", "checks"),
    "running": ("the destination runs a domain of that UUID", "prepare"),
    "port": ("the migration port is busy", "prepare"),
    "disks-port": ("the port for the disks is busy", "prepare"),
    "missing": ("a disk is missing on the destination", "checks"),
    "read-only": ("a disk is read-only on the destination", "checks"),
    "full": ("the destination's disk is full", "perform, while disks are copied"),
}


def cells():
    """[(way, moment, fault, owner, by default)] of all that can be."""
    found = []
    for way, text in (("direct", DIRECT), ("p2p", PEER_TO_PEER)):
        head, *rows = [line.split() for line in text.strip().splitlines()]
        wanted = [tuple(cell.split()) for cell in DEFAULT[way].replace("\n", " ").split(",")]
        for moment in head:
            for fault, *owners in rows:
                owner = owners[head.index(moment)]
                if owner != ".":
                    found.append((way, moment, fault, owner, (moment, fault) in wanted))
    return found
