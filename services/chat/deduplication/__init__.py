"""Messages that came before, recognised in memory and on disk.

A message is known by its key: 128 bits of a keyed hash of author, number, recipient, group and content. Four
tables are asked, the cheapest first; what none of them has is new.

    table                module                what it has                               survives
    recent messages      recent.py             the last 50,000 seen, with their status   nothing
    delivered keys       delivered_keys.py     those delivered without touching a disk   a crash of the process
    stored keys          stored_keys.py        64 bits of each key on disk: no look-up   (read at the start)
                                               of the disk for what is not there
    rows on disk         storage/queries.py    what waits, was handed over, or is        a power cut
                                               settled, the last 500,000 of these

A message that came before is not delivered again: its author is told its present status again. Where another
server has it and knows more, it is sent on again, and that server answers. Recipients' clients recognise messages
by themselves, too: delivery is at least once on every hop, and exactly once on the screen.
"""
