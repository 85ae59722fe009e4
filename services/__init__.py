"""The processes of a node, one package each. They share `shared` and never import one another."""
