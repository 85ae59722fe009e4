"""The common library: one framing, one session and one link for clients and servers alike."""
