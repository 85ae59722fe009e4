"""Chat, the feature MESSAGES: routes, keeps and acknowledges messages.

It owns where its users and the other servers are connected (roster) and what waits for whom (mailbox).
It never answers for a message that is neither delivered nor kept, and never looks into its content.

Nothing is loaded here: the archive's process and the operator's commands need a part of it alone.
"""
