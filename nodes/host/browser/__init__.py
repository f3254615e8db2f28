"""What talks to the pack's part in the browser."""
