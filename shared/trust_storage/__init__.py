"""Trust on disk: keys and pins in files. Their meaning is in `shared/trust/`."""
