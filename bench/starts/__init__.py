"""What the one-node starts reach on Shapes at each strength, judged from pixels."""
