"""Nodes: widgets, tooltips and sockets around guidance_core; only nodes/host knows ComfyUI's internals."""
