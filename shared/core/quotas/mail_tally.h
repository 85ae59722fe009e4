/* Who has how much mail: MailTally of services/chat/storage/quotas.py, compiled. */
#ifndef PARLEY_QUOTAS_MAIL_TALLY_H
#define PARLEY_QUOTAS_MAIL_TALLY_H

#include "quotas/python_side.h"

extern PyTypeObject MailTallyType;

#endif
