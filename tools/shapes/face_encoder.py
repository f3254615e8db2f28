"""Make the stand-in face encoder of Shapes from its classifier.

    python -m tools.shapes.face_encoder

Shapes paints no faces. Here a "face" is one object, and who it is are its shape and its colour, of
which there are 18, wherever it stands and however large it is. The classifier was trained to tell
them from scenes that fade from one to another, so its logits of shapes and colours are an embedding
whose slope leads all the way: its last layer keeps these rows and loses those of sizes.
"""

from __future__ import annotations

from torch import nn

from guidance_core.networks import classifier
from guidance_core.shapes import scenes
from tools.diffusers_host import WEIGHTS
from tools.shapes.export import PIXELS, export_guide
from tools.shapes.train_classifier import SIDE

NAMES = (*scenes.SHAPES, *scenes.PALETTE)


def encoder() -> nn.Module:
    """The classifier's network with an embedding of 9 numbers in place of its labels."""
    known = classifier.load(WEIGHTS / "classifier.safetensors")
    network, rows = known.network, [known.labels.index(name) for name in NAMES]
    kept = nn.Linear(network.fc.in_features, len(NAMES))
    kept.load_state_dict({name: value[rows] for name, value in network.fc.state_dict().items()})
    network.fc = kept
    return network


def main() -> None:
    """Write the file."""
    card = {"architecture": "test_resnet", "input_size": SIDE, **PIXELS}
    export_guide(encoder().state_dict(), card, WEIGHTS / "face_encoder.safetensors")


if __name__ == "__main__":
    main()
