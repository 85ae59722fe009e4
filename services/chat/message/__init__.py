"""A message from its arrival to its end: in flight, acknowledged, and the statuses that its author is told."""
