/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/metadata.h"

#include <libxml/tree.h>
#include <string.h>

#include "model/xml.h"

DEFINE_SCOPED(document_scope, xmlDoc *, xmlFreeDoc)
#define scoped_document scope_cleanup(document_scope)

/* What is stored is ours: it was checked when it came. */
static xmlDoc *stored(const struct domain_def *def)
{
    return xml_read(def->metadata, strlen(def->metadata), "metadata", NULL);
}

static xmlNode *find(xmlDoc *document, const char *uri)
{
    xmlNode *root = document ? xmlDocGetRootElement(document) : NULL;
    for (xmlNode *node = root ? root->children : NULL; node; node = node->next)
        if (node->type == XML_ELEMENT_NODE && node->ns && xmlStrEqual(node->ns->href, BAD_CAST uri))
            return node;
    return NULL;
}

/* Whether attributes remain that need the namespace: theirs is never a default. */
static bool strip_namespace(xmlNode *node, const char *uri)
{
    bool needed = false;
    for (; node; node = node->next) {
        if (node->type != XML_ELEMENT_NODE)
            continue;
        if (node->ns && xmlStrEqual(node->ns->href, BAD_CAST uri))
            xmlSetNs(node, NULL);
        for (const xmlAttr *attr = node->properties; attr; attr = attr->next)
            needed |= attr->ns && xmlStrEqual(attr->ns->href, BAD_CAST uri);
        needed |= strip_namespace(node->children, uri);
    }
    return needed;
}

static void remove_declaration(xmlNode *node, const char *uri)
{
    for (xmlNs **link = &node->nsDef; *link;) {
        xmlNs *ns = *link;
        if (!xmlStrEqual(ns->href, BAD_CAST uri)) {
            link = &ns->next;
            continue;
        }
        *link = ns->next;
        xmlFreeNs(ns);
    }
}

char *domain_metadata_get(const struct domain_def *def, const char *uri)
{
    scoped_document xmlDoc *document = def->metadata ? stored(def) : NULL;
    xmlNode *node = find(document, uri);
    if (!node)
        return NULL;
    scoped_document xmlDoc *alone = xmlNewDoc(BAD_CAST "1.0");
    xmlNode *copy = xmlDocCopyNode(node, alone, 1);
    xmlDocSetRootElement(alone, copy);
    if (!strip_namespace(copy, uri))
        remove_declaration(copy, uri);
    scoped_arena struct arena *arena = arena_new();
    return xstrdup(xml_foreign_text(arena, copy, 0));
}

/* The owner's element and all in it that belongs to no namespace. */
static void put_namespace(xmlNode *node, xmlNs *ns)
{
    xmlSetNs(node, ns);
    for (xmlNode *child = node->children; child; child = child->next)
        if (child->type == XML_ELEMENT_NODE && !child->ns)
            put_namespace(child, ns);
}

/* The first name with a prefix that nobody declared; NULL = none. */
static const char *undeclared(const xmlNode *node)
{
    if (strchr((const char *)node->name, ':'))
        return (const char *)node->name;
    for (const xmlAttr *attr = node->properties; attr; attr = attr->next)
        if (strchr((const char *)attr->name, ':'))
            return (const char *)attr->name;
    const char *found = NULL;
    for (const xmlNode *child = node->children; child && !found; child = child->next)
        if (child->type == XML_ELEMENT_NODE)
            found = undeclared(child);
    return found;
}

static int check_namespace(const char *uri, const char *key, struct error *err)
{
    if (xml_check_text("the URI of the metadata", uri, err) < 0)
        return -1;
    if (!*uri || string_equal(uri, "http://www.w3.org/XML/1998/namespace") ||
        string_equal(uri, "http://www.w3.org/2000/xmlns/"))
        return error_set(err, ERR_INVALID_ARG,
                         "the URI of the metadata, '%s', is no application's; give one of your own", uri);
    if (xml_check_text("the key of the metadata", key, err) < 0)
        return -1;
    if (xmlValidateNCName(BAD_CAST key, 0) != 0 || string_starts(key, "xml"))
        return error_set(err, ERR_INVALID_ARG, "the key '%s' of the metadata for %s is no prefix for names in XML: it "
                         "begins with a letter or '_', has no blanks and no ':', and does not begin with 'xml'", key,
                         uri);
    return 0;
}

/* The application's element in a document of its own. */
static xmlDoc *fresh_read(const char *uri, const char *key, const char *xml, struct error *err)
{
    if (check_namespace(uri, key, err) < 0)
        return NULL;
    scoped_document xmlDoc *fresh = xml_read(xml, strlen(xml), NULL, err);
    if (!fresh)
        return NULL;
    const char *name = undeclared(xmlDocGetRootElement(fresh));
    if (name)
        return error_null(err, ERR_XML_ERROR, "the metadata for %s uses a prefix in '%.100s' that it does not declare",
                          uri, name);
    return steal(fresh);
}

int domain_metadata_set(struct domain_def *def, const char *uri, const char *key, const char *xml, struct error *err)
{
    scoped_document xmlDoc *fresh = xml ? fresh_read(uri, key, xml, err) : NULL;
    xmlNode *added = fresh ? xmlDocGetRootElement(fresh) : NULL;
    if (xml && !added)
        return -1;
    scoped_document xmlDoc *document = def->metadata ? stored(def) : xml_read("<metadata/>", 11, "metadata", NULL);
    xmlNode *root = document ? xmlDocGetRootElement(document) : NULL;
    if (!root)
        return error_set(err, ERR_INTERNAL_ERROR, "the metadata of domain '%s' cannot be read", def->name);
    xmlNode *old = find(document, uri);
    if (old) {
        xmlUnlinkNode(old);
        xmlFreeNode(old);
    }
    if (added) {
        xmlNode *copy = xmlDocCopyNode(added, document, 1);
        xmlNs *ns = xmlNewNs(copy, BAD_CAST uri, BAD_CAST key);
        if (!ns) { /* it declares that prefix itself */
            xmlFreeNode(copy);
            return error_set(err, ERR_INVALID_ARG, "the metadata for %s already uses the prefix '%s'", uri, key);
        }
        put_namespace(copy, ns);
        xmlAddChild(root, copy);
    }
    def->metadata = xmlFirstElementChild(root) ? xml_foreign_text(def->arena, root, 1) : NULL;
    return 0;
}
