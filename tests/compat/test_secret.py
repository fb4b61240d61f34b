# SPDX-License-Identifier: LGPL-2.1-or-later
"""Secrets as stock clients see them: python3-libvirt, virsh and godwit."""
import base64
import os
import subprocess
import threading
import uuid as uuids
from xml.etree import ElementTree

import libvirt
import pytest

from helpers.cli import godwit
from helpers.tools import virsh, wait_until
from helpers.volumes import code_of

VALUE = b"open \x00\xffsesame"


def secret_xml(kind="volume", user="/images/a", ephemeral="no", private="no", uuid=None, description=None):
    element = {"volume": "volume", "iscsi": "target"}.get(kind, "name")
    usage = f"<usage type='{kind}'><{element}>{user}</{element}></usage>" if kind else ""
    return (f"<secret ephemeral='{ephemeral}' private='{private}'>{f'<uuid>{uuid}</uuid>' if uuid else ''}"
            f"{f'<description>{description}</description>' if description else ''}{usage}</secret>")


@pytest.fixture(autouse=True)
def no_secrets_left(connection):
    yield
    again = libvirt.open(connection.getURI()) if not connection.isAlive() else connection
    for secret in again.listAllSecrets():
        secret.undefine()


def names(secrets):
    return sorted(secret.UUIDString() for secret in secrets)


@pytest.mark.parametrize("kind, number, user", [("volume", 1, "/images/a b&c"), ("ceph", 2, "client.x"), ("iscsi", 3, "libvirtiscsi"),
                                                ("tls", 4, "TLS_example"), ("vtpm", 5, "VTPM_example"), (None, 0, "")])
def test_define_and_describe(connection, kind, number, user):
    secret = connection.secretDefineXML(secret_xml(kind, user.replace("&", "&amp;"), description="what for"))
    assert (secret.usageType(), secret.usageID()) == (number, user)
    tree = ElementTree.fromstring(secret.XMLDesc())
    assert (tree.get("ephemeral"), tree.get("private")) == ("no", "no")
    assert tree.findtext("uuid") == secret.UUIDString() and tree.findtext("description") == "what for"
    if kind:
        assert tree.find("usage").get("type") == kind and tree.find("usage")[0].text == user
        assert connection.secretLookupByUsage(number, user).UUID() == secret.UUID()
    assert connection.secretLookupByUUIDString(secret.UUIDString()).usageID() == user
    assert connection.numOfSecrets() == 1 and connection.listSecrets() == [secret.UUIDString()]


def test_values(connection):
    secret = connection.secretDefineXML(secret_xml())
    assert code_of(secret.value) == libvirt.VIR_ERR_NO_SECRET
    for value in (VALUE, b"\0", b"x" * 65536, VALUE):
        secret.setValue(value)
        assert secret.value() == value
    changed = connection.secretDefineXML(secret_xml(uuid=secret.UUIDString(), description="told anew"))
    assert changed.value() == VALUE and "told anew" in secret.XMLDesc()
    secret.undefine()
    assert code_of(secret.value) == libvirt.VIR_ERR_NO_SECRET
    assert connection.secretDefineXML(secret_xml(uuid=changed.UUIDString())) and code_of(changed.value) == libvirt.VIR_ERR_NO_SECRET


def test_private_ones_are_told_to_nobody(connection):
    secret = connection.secretDefineXML(secret_xml(private="yes"))
    secret.setValue(VALUE)
    assert code_of(secret.value) == libvirt.VIR_ERR_INVALID_SECRET
    with pytest.raises(libvirt.libvirtError, match="cannot change private flag"):
        connection.secretDefineXML(secret_xml(uuid=secret.UUIDString()))
    assert code_of(secret.value) == libvirt.VIR_ERR_INVALID_SECRET


def test_refusals(connection):
    secret = connection.secretDefineXML(secret_xml())
    with pytest.raises(libvirt.libvirtError, match=f"a secret with UUID {secret.UUIDString()} already defined for use with /images/a"):
        connection.secretDefineXML(secret_xml())
    with pytest.raises(libvirt.libvirtError, match="already defined for use with"):
        connection.secretDefineXML(secret_xml(user="/images/b", uuid=secret.UUIDString()))
    for xml in ("<secret><usage type='volume'/></secret>", "<secret><usage type='nope'/></secret>", "<secret ephemeral='x'/>", "<x/>",
                "<secret", "<secret><uuid>1</uuid></secret>"):
        with pytest.raises(libvirt.libvirtError):
            connection.secretDefineXML(xml)
    assert code_of(connection.secretLookupByUUIDString, str(uuids.uuid4())) == libvirt.VIR_ERR_NO_SECRET
    assert code_of(connection.secretLookupByUsage, 1, "/nope") == libvirt.VIR_ERR_NO_SECRET
    assert names(connection.listAllSecrets()) == [secret.UUIDString()]


def test_lists_with_filters(connection):
    kinds = {(e, p): connection.secretDefineXML(secret_xml("ceph", f"{e}{p}", e, p)).UUIDString() for e in ("yes", "no")
             for p in ("yes", "no")}
    flags = {"ephemeral": (libvirt.VIR_CONNECT_LIST_SECRETS_EPHEMERAL, libvirt.VIR_CONNECT_LIST_SECRETS_NO_EPHEMERAL),
             "private": (libvirt.VIR_CONNECT_LIST_SECRETS_PRIVATE, libvirt.VIR_CONNECT_LIST_SECRETS_NO_PRIVATE)}
    for answer, e in zip(("yes", "no"), flags["ephemeral"]):
        assert names(connection.listAllSecrets(e)) == sorted(u for (k, _), u in kinds.items() if k == answer)
        for also, p in zip(("yes", "no"), flags["private"]):
            assert names(connection.listAllSecrets(e | p)) == [kinds[answer, also]]
    assert len(connection.listAllSecrets(sum(flags["private"]))) == 4


@pytest.mark.godwit
def test_what_lasts_and_what_is_on_disk(host, connection):
    """Acknowledged values survive SIGKILL, ephemeral ones end with the daemon; nothing on disk or in logs tells a value."""
    kept = connection.secretDefineXML(secret_xml(user="/kept"))
    memory = connection.secretDefineXML(secret_xml(user="/memory", ephemeral="yes"))
    moved = connection.secretDefineXML(secret_xml(user="/moved", ephemeral="yes"))
    for secret in (kept, memory, moved):
        secret.setValue(b"opensesame" + secret.UUID())
    connection.secretDefineXML(secret_xml(user="/moved", uuid=moved.UUIDString()))
    assert memory.value() == b"opensesame" + memory.UUID()
    key = f"{host.root}/var/lib/godwit/secrets.key"
    assert os.stat(key).st_mode & 0o777 == 0o600 and os.path.getsize(key) == 32
    for word in ("opensesame", base64.b64encode(b"opensesame").decode()[:12]):
        assert subprocess.run(["grep", "-ral", word, host.root], capture_output=True, text=True).stdout == ""
    host.kill()
    host.start()
    again = libvirt.open(host.uri)
    assert names(again.listAllSecrets()) == names([kept, moved])
    for secret in (kept, moved):
        assert again.secretLookupByUUID(secret.UUID()).value() == b"opensesame" + secret.UUID()
    again.secretDefineXML(secret_xml(user="/moved", uuid=moved.UUIDString(), ephemeral="yes"))
    assert again.secretLookupByUUID(moved.UUID()).value() == b"opensesame" + moved.UUID()
    assert sorted(os.listdir(f"{host.root}/etc/godwit/secrets")) == [f"{kept.UUIDString()}.value", f"{kept.UUIDString()}.xml"]
    again.close()


@pytest.mark.godwit
def test_damage_is_told(host, connection):
    secret, other = (connection.secretDefineXML(secret_xml(user=user)) for user in "ab")
    for one in (secret, other):
        one.setValue(VALUE)
    folder, key = f"{host.root}/etc/godwit/secrets", f"{host.root}/var/lib/godwit/secrets.key"
    os.rename(key, f"{key}.away")
    with pytest.raises(libvirt.libvirtError, match="secrets.key"):
        secret.value()
    with pytest.raises(libvirt.libvirtError, match="put the key back"):
        secret.setValue(b"new")
    os.rename(f"{key}.away", key)
    os.replace(f"{folder}/{other.UUIDString()}.value", f"{folder}/{secret.UUIDString()}.value")
    with pytest.raises(libvirt.libvirtError, match="damaged, or was encrypted with another key"):
        secret.value()
    secret.setValue(b"new")
    assert secret.value() == b"new"


def test_events(connection, host):
    seen, others = [], []
    ids = [connection.secretEventRegisterAny(None, libvirt.VIR_SECRET_EVENT_ID_LIFECYCLE,
                                             lambda _, secret, event, detail, __: seen.append((secret.UUIDString(), event)), None),
           connection.secretEventRegisterAny(None, libvirt.VIR_SECRET_EVENT_ID_VALUE_CHANGED,
                                             lambda _, secret, __: seen.append((secret.UUIDString(), "value")), None)]
    first = connection.secretDefineXML(secret_xml(user="1"))
    ids.append(connection.secretEventRegisterAny(first, libvirt.VIR_SECRET_EVENT_ID_VALUE_CHANGED,
                                                 lambda _, secret, __: others.append(secret.UUIDString()), None))
    second = connection.secretDefineXML(secret_xml(user="2", ephemeral="yes"))
    second.setValue(VALUE)
    first.setValue(VALUE)
    first.undefine()
    second.undefine()
    a, b = first.UUIDString(), second.UUIDString()
    wait_until(lambda: len(seen) == 6, timeout=30, what="the events")
    assert seen == [(a, 0), (b, 0), (b, "value"), (a, "value"), (a, 1), (b, 1)]
    assert others == [a]
    for number in ids:
        connection.secretEventDeregisterAny(number)


def test_virsh_and_readers(host, folder):
    with open(f"{folder}/s.xml", "w") as file:
        file.write(secret_xml("iscsi", "target"))
    uuid = virsh(host, "secret-define", f"{folder}/s.xml").text.split()[1]
    with open(f"{folder}/plain", "wb") as file:
        file.write(VALUE)
    with open(f"{folder}/base64", "wb") as file:
        file.write(base64.b64encode(b"other") + b"\n")
    virsh(host, "secret-set-value", uuid, "--file", f"{folder}/plain", "--plain")
    assert base64.b64decode(virsh(host, "secret-get-value", uuid).text) == VALUE
    virsh(host, "secret-set-value", uuid, "--file", f"{folder}/base64")
    assert virsh(host, "secret-get-value", uuid, "--plain").text == "other"
    assert f"{uuid}   iscsi target" in virsh(host, "secret-list").text
    assert uuid in virsh(host, "secret-dumpxml", uuid, readonly=True).text
    virsh(host, "secret-get-value", uuid, ok=False, readonly=True)
    virsh(host, "secret-set-value", uuid, "--file", f"{folder}/plain", ok=False, readonly=True)
    virsh(host, "secret-undefine", uuid)
    assert uuid not in virsh(host, "secret-list").text


@pytest.mark.godwit
def test_godwit(host, folder):
    with open(f"{folder}/s.xml", "w") as file:
        file.write(secret_xml("tls", "name"))
    uuid = godwit("secret-define", f"{folder}/s.xml", uri=host.uri).out.split()[1]
    for words in (("secret-list",), ("secret-list", "--no-private"), ("secret-dumpxml", uuid), ("secret-event", "--list")):
        theirs = subprocess.run(["virsh", "-c", host.uri, *words], capture_output=True, text=True, check=True).stdout
        ours = godwit(*words, uri=host.uri).out
        assert [line.rstrip() for line in ours.strip().split("\n")] == [line.rstrip() for line in theirs.strip().split("\n")]
    answers = []
    worker = threading.Thread(target=lambda: answers.append(
        godwit("secret-event", "--secret", uuid, "--event", "value-changed", "--timeout", "30", uri=host.uri)))
    worker.start()
    wait_until(lambda: godwit("secret-set-value", uuid, "--interactive", stdin="typed\n", uri=host.uri) and not worker.is_alive(),
               timeout=30, what="the event", step=0.1)
    worker.join()
    assert f"event 'value-changed' for secret {uuid}" in answers[0].out
    assert godwit("-q", "secret-get-value", uuid, "--plain", uri=host.uri).out == "typed"
    with open(f"{folder}/bad", "w") as file:
        file.write("not base64!")
    assert "--plain" in godwit("secret-set-value", uuid, "--file", f"{folder}/bad", uri=host.uri, ok=False).errors
    for content, what in ((b"cGFz\0rubbish!!", "--plain"), (b"\0" * 1000, "--plain"), (b"", "empty"), (b" \n", "empty")):
        with open(f"{folder}/damaged", "wb") as file:
            file.write(content)
        assert what in godwit("secret-set-value", uuid, "--file", f"{folder}/damaged", uri=host.uri, ok=False).errors, content
    assert "empty" in godwit("secret-set-value", uuid, "--interactive", stdin="\n", uri=host.uri, ok=False).errors
    assert "empty" in godwit("secret-set-value", uuid, "--file", "/dev/null", "--plain", uri=host.uri, ok=False).errors
    subprocess.run(["virsh", "-c", host.uri, "secret-set-value", uuid, "--file", "/dev/null", "--plain"], capture_output=True)
    assert godwit("-q", "secret-get-value", uuid, "--plain", uri=host.uri).out == "typed", "the old one is kept"
    godwit("secret-set-value", uuid, "--file", f"{folder}/bad", "--plain", uri=host.uri)
    assert godwit("secret-get-value", uuid, "--output", "json", uri=host.uri).json == \
        {"value": base64.b64encode(b"not base64!").decode()}
    assert godwit("secret-list", "--output", "json", uri=host.uri).json == [{"uuid": uuid, "usage_type": "tls", "usage": "name"}]
    godwit("secret-undefine", uuid, uri=host.uri)
    assert godwit("secret-list", "--output", "json", uri=host.uri).json == []
