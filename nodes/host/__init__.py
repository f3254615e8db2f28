"""The host adapter: the only place that imports ComfyUI."""
