"""Morphs, images continued beyond their edge and cascades, judged from pixels."""
