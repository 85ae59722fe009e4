"""The directory of servers, the registry of this node's processes, and diagnosis of what is missing."""
