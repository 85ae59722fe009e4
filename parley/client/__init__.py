"""The client library: a feature each for chat, typing and location. Its public names are those of `parley`."""
