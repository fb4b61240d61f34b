/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/domain.h"

/* Whatever is accepted must come out as a document that is accepted again and then stays the same; copies, aliases and
 * the comparison must bear it too. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0};
    scoped_domain_def struct domain_def *def =
        domain_parse((const char *)data, (long)size, DOMAIN_PARSE_INACTIVE, NULL, &err);
    if (!def) {
        if (!err.code || !*err.message)
            abort();
        return 0;
    }
    scoped_free char *first = domain_format(def, DOMAIN_XML_INACTIVE | DOMAIN_XML_SECURE);
    scoped_domain_def struct domain_def *again = domain_parse(first, -1, DOMAIN_PARSE_INACTIVE, NULL, &err);
    if (!again)
        abort();
    scoped_free char *second = domain_format(again, DOMAIN_XML_INACTIVE | DOMAIN_XML_SECURE);
    scoped_domain_def struct domain_def *third = domain_parse(second, -1, DOMAIN_PARSE_INACTIVE, NULL, &err);
    if (!third)
        abort();
    scoped_free char *last = domain_format(third, DOMAIN_XML_INACTIVE | DOMAIN_XML_SECURE);
    if (strcmp(second, last) != 0 || domain_abi_check(again, third, &err) < 0)
        abort();

    scoped_domain_def struct domain_def *copy = domain_edit(def);
    domain_assign_aliases(copy);
    copy->id = (struct optional_i32){1, true};
    free(domain_format(copy, DOMAIN_FORMAT_STATUS));
    char name[64];
    unsigned char uuid[UUID_SIZE];
    domain_peek((const char *)data, size, name, sizeof(name), uuid);
    return 0;
}
