/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/metadata.h"

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <string.h>

enum { QUIET = XML_PARSE_NONET | XML_PARSE_NOBLANKS | XML_PARSE_NOERROR | XML_PARSE_NOWARNING };

DEFINE_SCOPED(document_scope, xmlDoc *, xmlFreeDoc)
#define scoped_document scope_cleanup(document_scope)

static xmlDoc *parse(const char *xml)
{
    return xmlReadMemory(xml, (int)strlen(xml), "metadata.xml", NULL, QUIET);
}

static xmlNode *find(xmlDoc *document, const char *uri)
{
    xmlNode *root = document ? xmlDocGetRootElement(document) : NULL;
    for (xmlNode *node = root ? root->children : NULL; node; node = node->next)
        if (node->type == XML_ELEMENT_NODE && node->ns && xmlStrEqual(node->ns->href, BAD_CAST uri))
            return node;
    return NULL;
}

/* level: how deep the element stands in what it is put into, for the indentation. */
static char *to_text(xmlDoc *document, xmlNode *node, int level)
{
    xmlBuffer *buffer = xmlBufferCreate();
    xmlNodeDump(buffer, document, node, level, 1);
    char *text = xstrdup((const char *)xmlBufferContent(buffer));
    xmlBufferFree(buffer);
    return text;
}

static void strip_namespace(xmlNode *node, const char *uri)
{
    for (; node; node = node->next) {
        if (node->type != XML_ELEMENT_NODE)
            continue;
        if (node->ns && xmlStrEqual(node->ns->href, BAD_CAST uri))
            xmlSetNs(node, NULL);
        strip_namespace(node->children, uri);
    }
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
    scoped_document xmlDoc *document = def->metadata ? parse(def->metadata) : NULL;
    xmlNode *node = find(document, uri);
    if (!node)
        return NULL;
    scoped_document xmlDoc *alone = xmlNewDoc(BAD_CAST "1.0");
    xmlNode *copy = xmlDocCopyNode(node, alone, 1);
    xmlDocSetRootElement(alone, copy);
    strip_namespace(copy, uri);
    remove_declaration(copy, uri);
    return to_text(alone, copy, 0);
}

int domain_metadata_set(struct domain_def *def, const char *uri, const char *key, const char *xml, struct error *err)
{
    scoped_document xmlDoc *fresh = xml ? parse(xml) : NULL;
    xmlNode *added = fresh ? xmlDocGetRootElement(fresh) : NULL;
    if (xml && !added)
        return error_set(err, ERR_XML_DETAIL, "the metadata for %s is not one well-formed XML element", uri);
    scoped_document xmlDoc *document = parse(def->metadata ? def->metadata : "<metadata/>");
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
        xmlSetNs(copy, ns);
        xmlAddChild(root, copy);
    }
    bool empty = !xmlFirstElementChild(root);
    scoped_free char *text = empty ? NULL : to_text(document, root, 1);
    def->metadata = arena_strdup(def->arena, text);
    return 0;
}
