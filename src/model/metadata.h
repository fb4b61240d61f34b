/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/domain.h"

/* <metadata> holds one element for each application, told apart by namespace. */

/* The application's element, without the namespace and its prefix, as its owner wrote it; to free(). NULL when there is
 * none. */
char *domain_metadata_get(const struct domain_def *def, const char *uri);
/* Puts xml (one element, or NULL to remove) in the place of the application's element, in its namespace with prefix
 * key (NULL when it is removed). def is a private copy. ERR_XML_DETAIL or ERR_XML_ERROR when xml is not one well-formed
 * element, ERR_INVALID_ARG when key or uri cannot name a namespace. */
int domain_metadata_set(struct domain_def *def, const char *uri, const char *key, const char *xml, struct error *err);
