"""Pairing: a new device of a user shows a code, an earlier one enters it, and what both say is passed on here."""
