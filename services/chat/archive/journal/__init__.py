"""The archive's journal: all that was told as delivered, until the archive has it; a killed process loses nothing.

Entries (entries.py) are appended to *segments*, files that are mapped into memory: they outlive the process without
a call of the system. They go once the archive's process has written what is in them.

    segment.py        how a segment looks, and what is left in some of a process that was killed    pure
    journal.py        appends, takes chunks' bytes, lets segments go                                  pure
    segment_files.py  segments as files in `archive.journal`
"""
