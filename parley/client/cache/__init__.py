"""The cache: a user's conversations on this machine, as the user's server keeps them, to be read without it.

cache_file.py   the file: lines, how far each conversation was read, and the server's cursor
cache.py        fills it with SYNC while the client is connected, and tells of what is new
"""
