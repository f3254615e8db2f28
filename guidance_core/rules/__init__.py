"""Rules: how an energy's gradient steers the sampler, one per file."""
