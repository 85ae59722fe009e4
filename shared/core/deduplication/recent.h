/* The messages that came lately, and their present status. */
#ifndef PARLEY_DEDUPLICATION_RECENT_H
#define PARLEY_DEDUPLICATION_RECENT_H

#include "deduplication/keys.h"

typedef struct RecentMessages RecentMessages;

extern PyTypeObject RecentMessagesType;

enum { NO_STATUS = -1, UNKNOWN_MESSAGE = -2 };

int recent_status(RecentMessages *recent, const MessageKey *key);
void recent_note(RecentMessages *recent, const MessageKey *key, int status);

#endif
