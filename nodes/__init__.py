"""Widgets, tooltips and sockets around guidance_core; only nodes/host knows the host."""
