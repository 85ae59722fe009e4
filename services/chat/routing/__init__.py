"""Where a message goes: known users and servers, servers that are looked for, fair turns."""
