"""Messages and requests until they are answered."""
