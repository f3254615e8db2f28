"""How well energies of attention edit pictures of Shapes, judged from pixels."""
