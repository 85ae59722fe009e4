"""The operating system's side: listeners, datagrams, TCP options, segment sizes, descriptors."""
