"""The schema of the payloads, and the module generated from it (`make proto`)."""
