/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/xpath.h"

#include <libxml/parser.h>
#include <libxml/xpathInternals.h>
#include <string.h>

struct document *document_parse(const char *text, const char *what, struct error *err)
{
    xmlDoc *xml = xmlReadMemory(text, (int)strlen(text), NULL, NULL,
                                XML_PARSE_NONET | XML_PARSE_NOBLANKS | XML_PARSE_NOERROR |
                                XML_PARSE_NOWARNING);
    if (!xml) {
        const xmlError *fault = xmlGetLastError();
        return error_null(err, ERR_XML_ERROR, "%s is not well-formed: line %d: %s", what, fault ? fault->line : 0,
                          fault && fault->message ? fault->message : "no message");
    }
    struct document *document = xcalloc(1, sizeof *document);
    document->xml = xml;
    document->context = xmlXPathNewContext(xml);
    return document;
}

void document_free(struct document *document)
{
    if (!document)
        return;
    xmlXPathFreeContext(document->context);
    xmlFreeDoc(document->xml);
    free(document);
}

xmlXPathObject *document_query(struct document *document, const char *expression)
{
    document->context->node = xmlDocGetRootElement(document->xml);
    return xmlXPathEvalExpression((const xmlChar *)expression, document->context);
}

static char *node_text(struct arena *arena, xmlNode *node)
{
    xmlChar *content = xmlNodeGetContent(node);
    char *copy = arena_strdup(arena, content ? (const char *)content : "");
    xmlFree(content);
    return copy;
}

char **document_strings(struct arena *arena, struct document *document, const char *expression, size_t *count)
{
    xmlXPathObject *found = document_query(document, expression);
    int length = found && found->nodesetval ? found->nodesetval->nodeNr : 0;
    char **strings = arena_new_array(arena, (size_t)length + 1, char *);
    for (int i = 0; i < length; i++)
        strings[i] = node_text(arena, found->nodesetval->nodeTab[i]);
    *count = (size_t)length;
    xmlXPathFreeObject(found);
    return strings;
}

char *document_string(struct arena *arena, struct document *document, xmlNode *node, const char *expression)
{
    document->context->node = node ? node : xmlDocGetRootElement(document->xml);
    xmlXPathObject *found = xmlXPathEvalExpression((const xmlChar *)expression, document->context);
    char *string = found && found->nodesetval && found->nodesetval->nodeNr
                       ? node_text(arena, found->nodesetval->nodeTab[0]) : NULL;
    xmlXPathFreeObject(found);
    return string;
}
