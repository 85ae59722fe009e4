"""Finding servers on networks that nobody configured, and the list of them that processes pass on."""
