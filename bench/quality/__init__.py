"""How well published methods and ours do what they are asked, judged from pixels."""
