/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/xml.h"

/* Elements that no table describes, as text. */

/* Nothing in it but elements, attributes and text that need neither namespaces nor comments. */
static bool node_is_plain(const xmlNode *node)
{
    if (node->ns || node->nsDef)
        return false;
    for (const xmlAttr *attr = node->properties; attr; attr = attr->next)
        if (attr->ns || (attr->children && (attr->children->next || attr->children->type != XML_TEXT_NODE)))
            return false;
    for (const xmlNode *child = node->children; child; child = child->next) {
        if (child->type == XML_TEXT_NODE ? node->children->next != NULL : child->type != XML_ELEMENT_NODE)
            return false;
        if (child->type == XML_ELEMENT_NODE && !node_is_plain(child))
            return false;
    }
    return true;
}

/* A plain element as text, in the layout of everything else. */
static void plain_dump(struct text *out, const xmlNode *node, unsigned level)
{
    text_printf(out, "<%s", (const char *)node->name);
    for (const xmlAttr *attr = node->properties; attr; attr = attr->next) {
        text_printf(out, " %s='", (const char *)attr->name);
        xml_escape(out, xml_attribute_value(attr));
        text_append_char(out, '\'');
    }
    if (!node->children) {
        text_append(out, "/>");
        return;
    }
    text_append_char(out, '>');
    if (node->children->type == XML_TEXT_NODE) {
        xml_escape(out, (const char *)node->children->content);
    } else {
        for (const xmlNode *child = node->children; child; child = child->next) {
            text_printf(out, "\n%*s", (int)(level + 1) * 2, "");
            plain_dump(out, child, level + 1);
        }
        text_printf(out, "\n%*s", (int)level * 2, "");
    }
    text_printf(out, "</%s>", (const char *)node->name);
}

/* libxml2 writes the URIs of namespaces as they are. */
static void escape_namespaces(xmlNode *node)
{
    for (xmlNs *ns = node->nsDef; ns; ns = ns->next) {
        scoped_text struct text escaped = {0};
        xml_escape(&escaped, ns->href ? (const char *)ns->href : "");
        xmlFree((void *)ns->href);
        ns->href = xmlStrdup(BAD_CAST text_string(&escaped));
    }
    for (xmlNode *child = node->children; child; child = child->next)
        if (child->type == XML_ELEMENT_NODE)
            escape_namespaces(child);
}

char *xml_foreign_text(struct arena *arena, xmlNode *node, unsigned level)
{
    xmlNode *copy = xmlDocCopyNode(node, node->doc, 1);
    xmlBuffer *buffer = xmlBufferCreate();
    escape_namespaces(copy);
    xmlIndentTreeOutput = 1;
    xmlNodeDump(buffer, node->doc, copy, (int)level, 1);
    char *text = arena_strdup(arena, (const char *)xmlBufferContent(buffer));
    xmlBufferFree(buffer);
    xmlFreeNode(copy);
    return text;
}

static unsigned node_level(const xmlNode *node)
{
    unsigned level = 0;
    for (const xmlNode *parent = node->parent; parent && parent->type == XML_ELEMENT_NODE; parent = parent->parent)
        level++;
    return level;
}

char *xml_node_text(struct arena *arena, xmlNode *node, bool foreign)
{
    if (foreign || !node_is_plain(node))
        return xml_foreign_text(arena, node, node_level(node));
    scoped_text struct text out = {0};
    plain_dump(&out, node, node_level(node));
    return arena_strdup(arena, text_string(&out));
}
