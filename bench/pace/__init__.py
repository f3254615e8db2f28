"""Whether images are as asked, against what it costs, for ways of guiding less often or less."""
