"""The archive: the conversations of this server's users, kept for some days, in order, to be read and searched.

Theory of operation. Chat tells of each message that one of its users sent or received; each becomes an *entry*
(entries.py), and the entries of up to 50 ms one *chunk*, which is written in one commit as *records* of at most
64 KiB (storage.py). That is all that has to happen at the pace of chat. Everything else is a projection of the
records, made by the same thread behind them, many chunks at a time, a moment later or as soon as somebody asks
(projection.py):

    line    a person's own list: conversation, sequence → where the message stands
    words   which messages have a word, one table for each day

A record is never changed, except by an erasure, which blanks messages in place. The oldest days go first,
records and words as whole tables. Whoever asks is answered by another thread with a reader of its own
(reader.py, requests.py).

    collector.py     what chat tells → chunks         pure
    entries.py       a chunk and its entries          pure
    filed.py         entries of large messages        pure
    files.py         and the files of these
    plain.py         entries, without protobuf        pure
    lists.py         whose list an entry belongs to   pure
    texts.py         words of a text, and of a query  pure
    storage.py       the file: records, days
    edits.py         which line an edit is of
    early_edits.py   edits that came before their messages
    shares.py        how much of whom is kept         pure
    usage.py         and who has how much
    projection.py    lines and words from records
    worker.py        the thread that writes and projects
    reader.py        questions to the file
    sync.py          everything new since a cursor
    followers.py     links that are told of it         pure
    requests.py      questions of clients, and answers
    archive.py       all of it, for the chat process
"""
