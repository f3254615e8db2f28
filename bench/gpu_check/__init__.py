"""What guidance costs on a GPU, with models at their true sizes and random weights."""
