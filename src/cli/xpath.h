/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <libxml/tree.h>
#include <libxml/xpath.h>

#include "base/arena.h"
#include "base/error.h"

/* Reading XML that a daemon sent: one document and questions to it. */
struct document {
    xmlDoc *xml;
    xmlXPathContext *context;
};

/* `what` is for the message: "the XML of domain 'x'". No network, no entities. */
struct document *document_parse(const char *text, const char *what, struct error *err);
void document_free(struct document *document);
DEFINE_SCOPED(document_scope, struct document *, document_free)
#define scoped_document scope_cleanup(document_scope)

/* The nodes, in document order; the caller frees with xmlXPathFreeObject(); NULL only for a bad expression. */
xmlXPathObject *document_query(struct document *document, const char *expression);
/* The text of each node the expression finds. */
char **document_strings(struct arena *arena, struct document *document, const char *expression, size_t *count);
/* The text of the first node below `node` (NULL: the document), or NULL. */
char *document_string(struct arena *arena, struct document *document, xmlNode *node, const char *expression);
