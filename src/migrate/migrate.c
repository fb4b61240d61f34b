/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/migrate.h"

void migration_attached(struct domain *domain)
{
}
