"""Received messages until they are acknowledged: verified, given to the application in order, recognised again."""
