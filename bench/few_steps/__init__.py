"""How guidance obeys where a distilled model takes few steps, judged from pixels."""
