"""The command line, `parley`."""
