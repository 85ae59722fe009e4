"""Users and their devices: changes that a device or another server asks for, and telling of each change."""
