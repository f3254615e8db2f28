"""Whether one strength suits every sampler and every number of steps."""
