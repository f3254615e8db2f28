"""Whether each guide of the pack does what it is asked on Shapes, judged from pixels."""
