"""The discovery port: announcements, requests and answers, and their limits.

    announcer.py         the socket and the clock: sends rounds of requests, hands each datagram on
    asking.py            which places a round asks, and how often
    answering.py         which datagrams are looked at, and which requests are answered
    server_limits.py     how many servers the directory takes in, from one address and in all
    silences.py          servers that should answer and do not, for the operator
    server_discovery.py  discovery as a server of its own does it, for one process alone

A round of requests goes out at the start, at intervals, and when a process misses a server. Each request has a
nonce. An answer returns it, and so is told from a claim: a claim counts on our own networks only. A server that
asked us is asked in turn by our answer, which has a nonce (`ask`) of its own: so both know each other after one
round, and a forged address draws no more than one answer, no larger than the request.
"""
