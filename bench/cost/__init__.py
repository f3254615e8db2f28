"""What a guided step costs beside a plain one, in time and memory."""
