# SPDX-License-Identifier: LGPL-2.1-or-later
"""What users write beside the machine (title, description, metadata, names) comes back as it went in, or is refused."""
import xml.etree.ElementTree as ET

import libvirt
import pytest

from helpers.guest import bare_xml


def plain(name, **options):
    return bare_xml(name, **options)


def code(action):
    """The error code of a call that must fail, and its message."""
    with pytest.raises(libvirt.libvirtError) as caught:
        action()
    return caught.value.get_error_code(), caught.value.get_error_message()


CONFIG, LIVE = libvirt.VIR_DOMAIN_AFFECT_CONFIG, libvirt.VIR_DOMAIN_AFFECT_LIVE
ELEMENT = libvirt.VIR_DOMAIN_METADATA_ELEMENT


@pytest.mark.godwit
@pytest.mark.parametrize("element, key, uri, words", [
    *(("<b/>", key, "http://a/b", f"'{key}'") for key in ("x y", "1", 'k"', "k:z", "xml", "xmlns", "")),
    ("<b/>", "k", "http://a/\x01", "URI"),
    ("<b/>", "k", "\uffff", "URI"),
    ("<b/>", "k", "", "URI"),
    ("<b/>", "k", "http://www.w3.org/2000/xmlns/", "URI"),
    ("<b>" * 200 + "</b>" * 200, "k", "http://a/b", "64 levels"),
    ("<b>" * 64 + "</b>" * 64, "k", "http://a/b", "64 levels"),
    ("<x:b/>", "k", "http://a/b", "x:b"),
    ("<b x:c='1'/>", "k", "http://a/b", "x:c"),
    ('<!DOCTYPE b [<!ENTITY x "y">]><b>&x;</b>', "k", "http://a/b", "DOCTYPE"),
    ("<b/><c/>", "k", "http://a/b", "line 1"),
], ids=lambda value: ascii(value[:20]))
def test_metadata_that_cannot_be_read_back_is_refused(connection, element, key, uri, words):
    domain = connection.defineXML(plain("kept"))
    domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    before = domain.XMLDesc(), domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    for where in (CONFIG, LIVE, CONFIG | LIVE):
        number, message = code(lambda where=where: domain.setMetadata(ELEMENT, element, key, uri, where))
        assert number in (libvirt.VIR_ERR_XML_ERROR, libvirt.VIR_ERR_XML_DETAIL, libvirt.VIR_ERR_INVALID_ARG), message
        assert words in message, message
    assert before == (domain.XMLDesc(), domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))


@pytest.mark.parametrize("uri", ["http://a/?b=1&c=2", pytest.param("http://a/<b>", marks=pytest.mark.godwit),
                                 pytest.param("""urn:"both'""", marks=pytest.mark.godwit), "urn:ü"])
@pytest.mark.godwit
def test_metadata_uris_are_escaped(host, connection, uri):
    """Also those that a definition brings: libvirt keeps them, so the next reader must understand them."""
    domain = connection.defineXML(plain("escaped"))
    for round in "12":
        domain.setMetadata(ELEMENT, f"<b round='{round}'><c/></b>", "k", uri, CONFIG)
    again = connection.defineXML(domain.XMLDesc())
    found = ET.fromstring(again.XMLDesc()).findall("metadata/*")
    assert [element.tag for element in found] == [f"{{{uri}}}b"] and found[0][0].tag == f"{{{uri}}}c"
    assert ET.fromstring(again.metadata(ELEMENT, uri)).get("round") == "2"
    host.kill()
    host.start()
    connection = libvirt.open(host.uri)
    assert [element.tag for element in ET.fromstring(connection.lookupByName("escaped").XMLDesc()).findall("metadata/*")] == \
        [f"{{{uri}}}b"]
    connection.close()


@pytest.mark.godwit
@pytest.mark.parametrize("text", ["a\uffff", "a\x01b", "\ufffe"], ids=ascii)
def test_characters_that_xml_cannot_hold_are_refused(connection, text):
    domain = connection.defineXML(plain("clean"))
    for kind, word in ((libvirt.VIR_DOMAIN_METADATA_DESCRIPTION, "description"), (libvirt.VIR_DOMAIN_METADATA_TITLE, "title")):
        number, message = code(lambda kind=kind: domain.setMetadata(kind, text, None, None, CONFIG))
        assert number == libvirt.VIR_ERR_XML_ERROR and word in message and "U+00" in message.replace("U+FF", "U+00"), message
    number, message = code(lambda: domain.rename(text))
    assert number in (libvirt.VIR_ERR_XML_ERROR, libvirt.VIR_ERR_INVALID_ARG) and "name" in message, message
    assert [domain.name() for domain in connection.listAllDomains()] == ["clean"]
    domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_DESCRIPTION, "tab\tline\nend\r ü \U0001f600", None, None, CONFIG)
    assert connection.defineXML(domain.XMLDesc()).metadata(libvirt.VIR_DOMAIN_METADATA_DESCRIPTION, None) == \
        "tab\tline\nend\r ü \U0001f600"
