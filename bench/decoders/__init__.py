"""How guidance by a fitted decoder obeys beside guidance by the VAE, judged from pixels."""
