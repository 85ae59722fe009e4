"""The way out to one destination: order, window, lanes, retries, the persist timer, and the fast path."""
