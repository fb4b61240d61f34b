# SPDX-License-Identifier: LGPL-2.1-or-later
"""godwit convert --xml-only and domxml-from-native: what they make of Xen's definitions, seen by libvirt's own schema, by define and
by stock virsh. The table itself, tests/convert/cases, is checked case by case by tests/unit/test_convert.c."""
import glob
import os
import subprocess
from xml.etree import ElementTree

import libvirt
import pytest

from helpers.cli import godwit
from helpers.tools import virsh

CASES = os.path.join(os.path.dirname(__file__), "../convert/cases")
SCHEMA = "/usr/share/libvirt/schemas/domain.rng"
GUIDE = f"{CASES}/guide-sles11.xml"


def results():
    return sorted(glob.glob(f"{CASES}/*.out.xml"))


def valid(*files):
    done = subprocess.run(["xmllint", "--noout", "--relaxng", SCHEMA, *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_results_are_valid_by_libvirts_schema():
    assert len(results()) >= 40
    valid(*results())


def test_results_can_be_defined(connection):
    for path in results():
        with open(path) as file:
            domain = connection.defineXMLFlags(file.read(), libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
        tree = ElementTree.fromstring(domain.XMLDesc())
        assert tree.get("type") == "kvm" and not tree.findall(".//*[@bus='xen']"), path
        domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)


def test_says_what_it_changes_and_prints_the_definition():
    answer = godwit("convert", "-i", "libvirtxml", GUIDE, "--xml-only")
    assert answer.out.startswith("<domain type='kvm'>")
    lines = answer.errors.split("\n")
    assert "disk xvda: target xvda -> vda" in lines and "domain: type xen -> kvm" in lines
    assert "interface 00:16:3e:2d:91:c3: script removed: vif-bridge" in lines
    assert any(line.startswith("left to do: domain: /usr/bin/pygrub") for line in lines)
    assert any("No such file" in line for line in lines), "its image is not on this host, which is told"


def test_json():
    answer = godwit("convert", "-i", "xl", f"{CASES}/xm-python.cfg", "--xml-only", "--on", "other", "--output", "json").json
    assert answer["name"] == "other"
    assert ElementTree.fromstring(answer["xml"]).findtext("name") == "other"
    change = next(row for row in answer["changes"] if row["rule"] == "disk/bus")
    assert (change["subject"], change["from"], change["to"]) == ("disk hda1", "ide", "virtio") and change["why"]
    assert any("0000:03:00.0" in row["text"] for row in answer["left"])


def test_old_and_new_words_for_networks(tmp_path):
    def sources(*words):
        out = godwit("convert", "-i", "LIBVIRTXML", f"{CASES}/pv-interfaces.xml", "--xml-only", *words).out
        return [next(iter(source.attrib.items())) if source is not None else None
                for source in (card.find("source") for card in ElementTree.fromstring(out).iter("interface"))]
    assert sources("--bridge", "br0") == [("bridge", "br0")] * 4
    assert sources("--network=lan") == [("network", "lan")] * 4
    assert sources("-b", "xenbr0:br7", "-b", "ovsbr0:br8", "--mac", "00:16:3e:00:00:04:network:dmz", "-n", "default:inner") == \
        [("bridge", "br7"), ("bridge", "br8"), ("network", "inner"), ("network", "dmz")]
    mapping = tmp_path / "virt-v2v.conf"
    mapping.write_text("<virt-v2v>\n<!-- <network type='bridge' name='ovsbr0'/> -->\n<network type='bridge' name='xenbr0'>\n"
                       "  <network type='network' name='default'/>\n</network>\n</virt-v2v>\n")
    assert sources("-f", mapping) == [("network", "default"), ("bridge", "ovsbr0"), ("network", "default"), None]


def test_formats_are_probed_only_as_far_as_a_guest_cannot_lie(tmp_path):
    def convert(path, driver):
        with open(GUIDE) as file:
            xml = file.read().replace("/var/lib/libvirt/images/SLES_11_SP2_JeOS.x86_64-0.0.2_para.raw", str(path))
        answer = godwit("convert", "-i", "libvirtxml", "-", "--xml-only", stdin=xml.replace("<driver name='file'/>", driver))
        return ElementTree.fromstring(answer.out).find(".//disk/driver").get("type"), answer.errors
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", tmp_path / "own.qcow2", "1M"], check=True)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", "/etc/shadow", "-F", "raw", "-u", tmp_path / "liar.img", "1M"],
                   check=True)
    (tmp_path / "raw.img").write_bytes(bytes(4096))
    assert convert(tmp_path / "own.qcow2", "<driver name='file'/>")[0] == "qcow2"
    assert convert(tmp_path / "raw.img", "")[0] == "raw"
    kind, words = convert(tmp_path / "liar.img", "<driver name='file'/>")
    assert kind == "raw" and "names other files" in words
    kind, words = convert(tmp_path / "own.qcow2", "<driver name='qemu' type='raw'/>")
    assert kind == "raw" and "its header looks like qcow2" in words


def test_source_from_a_daemon(host, connection):
    with open(f"{CASES}/hvm.out.xml") as file:
        xml = file.read().replace("type='kvm'", "type='qemu'").replace("<cpu mode='host-model'/>", "") \
            .replace("<model type='virtio'/>", "<model type='rtl8139'/>").replace("port='-1'", "port='-1' passwd='geheim'")
    domain = connection.defineXML(xml)
    try:
        for words, uri in (["-ic", host.uri], None), ([], host.uri):
            answer = godwit("convert", "-i", "libvirt", "hvm", *words, "--xml-only", "--virt-type", "qemu", "-on", "hvm2", uri=uri)
            tree = ElementTree.fromstring(answer.out)
            assert tree.findtext("name") == "hvm2" and tree.find(".//interface/model").get("type") == "virtio"
            assert tree.find(".//graphics").get("passwd") == "geheim" and "geheim" not in answer.errors
        assert "Domain not found" in godwit("convert", "nobody", "-ic", host.uri, "--xml-only", ok=False).errors
        source = godwit("convert", "hvm", "-ic", host.uri, "--print-source").out
        assert "rtl8139" in source
        connection.defineXML(godwit("convert", "hvm", "-ic", host.uri, "--xml-only").out)
    finally:
        domain.undefine()


def test_from_native(host, connection, tmp_path):
    """What the file says, as a Xen domain; nothing is converted."""
    native = []
    for path in sorted(glob.glob(f"{CASES}/*.cfg")):
        with open(path) as file:
            xml = connection.domainXMLFromNative("xen-xm" if "/xm-" in path else "xen-xl", file.read(), 0)
        assert ElementTree.fromstring(xml).get("type") == "xen"
        native.append(tmp_path / os.path.basename(path))
        native[-1].write_text(xml)
    valid(*native)
    path = f"{CASES}/xl-hvm.cfg"
    theirs = virsh(host, "domxml-from-native", "xen-xl", path).text
    assert theirs.strip() == godwit("domxml-from-native", "xen-xl", path, uri=host.uri).out.strip()
    assert "passwd='geheim'" in theirs


@pytest.mark.parametrize("words, message", [
    (["-i", "ova", "x", "--xml-only"], "-i cannot be 'ova'; it is libvirt, libvirtxml, xl or disk"),
    (["-i", "xl", "/nonexistent.cfg", "--xml-only"], "cannot open the file '/nonexistent.cfg'"),
    (["-i", "xl", "-", "--xml-only"], "cannot read '-': the configuration has no name"),
    (["-i", "libvirtxml", "-", "--xml-only"], "cannot read '-': the XML of the domain is not well-formed"),
    (["x", "-ic", "xen+ssh://host/?command=/nonexistent/ssh", "--xml-only"], "/nonexistent/ssh"),
    (["-i", "xl", "x", "-ic", "xen:///", "--xml-only"], "-ic names a daemon, but -i xl reads a file"),
    ([GUIDE, "-i", "libvirtxml", "--xml-only", "--virt-type", "xen"], "--virt-type is kvm or qemu"),
    ([GUIDE, "-i", "libvirtxml", "--xml-only", "--mac", "1:2"], "--mac: '1:2' does not map an interface"),
    ([GUIDE, "-i", "libvirtxml", "--xml-only", "-f", "/nonexistent.conf"], "/nonexistent.conf"),
    ([GUIDE, "-i", "libvirtxml", "--xml-only", "-on", "a/b"], "a name has 1 to"),
    (["-i", "disk", "/nonexistent.img", "--xml-only"], "cannot find the image '/nonexistent.img'"),
    ([GUIDE, "-i", "libvirtxml", "-if", "raw", "--xml-only"], "-if is the format of an image"),
    ([GUIDE, "-zz"], "command 'convert' has no option --zz"),
    (["--xml-only"], "command 'convert' requires <source>"),
])
def test_errors(words, message):
    assert message in godwit("convert", *words, ok=False).errors


def test_a_nul_is_refused_and_where(tmp_path):
    """Text behind it would not be read: a guest without disks."""
    for kind, text in [("xl", "name = 'n'\nmemory = 64\n\0disk = [ '/x,raw,xvda,w' ]\n"), ("libvirtxml", "<domain>\n\n</domain>\0")]:
        (tmp_path / "n.cfg").write_text(text)
        errors = godwit("convert", "-i", kind, tmp_path / "n.cfg", "--xml-only", ok=False).errors
        assert f"'{tmp_path}/n.cfg' has a NUL byte in line 3" in errors


def test_native_errors(host):
    assert "formats are xen-xl and xen-xm" in godwit("domxml-from-native", "xen-sxpr", GUIDE, uri=host.uri, ok=False).errors
    assert "virt-install --print-xml" in godwit("domxml-from-native", "qemu-argv", GUIDE, uri=host.uri, ok=False).errors
    assert "line 1:" in godwit("domxml-from-native", "xen-xl", GUIDE, uri=host.uri, ok=False).errors
