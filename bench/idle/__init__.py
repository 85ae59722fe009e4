"""What it costs to do nothing: clients that are connected, a node at rest, servers that know of each other."""
