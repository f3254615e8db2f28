"""The server's side of the pack's browser part: monitor, attention viewer, words."""
