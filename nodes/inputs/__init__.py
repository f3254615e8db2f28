"""Sockets, and the widgets that nodes share."""
