"""How well energies of attention edit images of Shapes, judged from pixels."""
