"""The status page: its data, its HTML, its picture."""
