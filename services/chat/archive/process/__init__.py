"""The archive's own process: it alone changes the file, and nothing that it does holds up the chat process.

Theory of operation. Lists and words cost ten times the CPU of a message. So they are made in a process of lower
priority; chat gathers chunks, numbers them and hands them over through a pair of sockets. It keeps each until the
process has written it, 64 MiB at most, and what comes beyond that is dropped and counted. The process reads no
more than it can write, so what waits, waits in chat.

    chat      Begin, then Put (chunks), Asked (somebody waits for one), Apply (a change), Keys       messages.py
    process   Ready (the last chunk in the file), then Position, Touched, Applied, Logged, KeysAsked

To judge an edit the process asks which devices its author has; the answer goes before all chunks that are not sent.

A process that died is started again, later each time. The number of the last chunk of this chat process stands in
the file, written in the chunk's own transaction: so the next process says from where on chat has to hand over
again, and nothing is there twice. Where chat died, the process reads what is left in the socket, writes it, and
ends.

A fork takes 3 ms and 5 MiB, an interpreter of its own half a second and 34 MiB. But a process with threads or an
event loop must not fork. So chat forks, before it has either, a small process that waits to fork the archive's, as
often as that is needed (forker.py). Where there is none, an interpreter is started for it.

    messages.py          the messages, and their bytes        pure
    handover.py          chat's side, without the socket      pure
    archive_process.py   chat's side, on the event loop
    forker.py            starts the process, again and again
    serving.py           the process
"""
