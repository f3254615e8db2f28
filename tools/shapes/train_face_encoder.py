"""Train the stand-in face encoder of Shapes: who an object is, wherever and however large it is.

    python -m tools.shapes.train_face_encoder

Shapes paints no faces. Here a "face" is one object, and its identity is its shape and its colour,
of which there are 18. The network is the classifier's with a last layer of its own, which alone is
trained: identities by the cosine with a direction each (NormFace, Wang et al. 2017,
arXiv:1704.06369), on scenes of one object, degraded as for the classifier.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from tqdm import trange

from guidance_core.networks import classifier
from guidance_core.shapes import scenes
from tools.diffusers_host import WEIGHTS
from tools.shapes import training
from tools.shapes.train_classifier import SIDE, degraded

IDENTITIES = [(shape, colour) for shape in scenes.SHAPES for colour in scenes.PALETTE]
# Length of an embedding, the sharpness of the softmax over cosines, and images that are shown.
WIDTH, SHARPNESS, IMAGES = 24, 16.0, 4096


def network() -> nn.Module:
    """The classifier's network, its last layer replaced by an untrained one."""
    net = classifier.load(WEIGHTS / "classifier.safetensors").network
    net.fc = nn.Linear(net.fc.in_features, WIDTH)
    return net


def batch(step: int, size: int) -> tuple[Tensor, Tensor]:
    """Images (B, 3, 64, 64) in [0, 1] and numbers of identities, a function of `step` alone."""
    generator = torch.Generator().manual_seed(57_000_000 + step)
    drawn = [scenes.random_scene(generator, 1) for _ in range(size)]
    named = [(scene.items[0].shape, scene.items[0].colour) for scene in drawn]
    images = degraded(scenes.render(drawn, SIDE), generator)
    return images, torch.tensor([IDENTITIES.index(name) for name in named])


@torch.no_grad()
def shown(net: nn.Module, images: int) -> tuple[Tensor, Tensor]:
    """What the network sees of images before its last layer, (N, D), and their identities (N,)."""
    parts = (batch(step, 64) for step in trange(images // 64, desc="features"))
    seen = lambda part: net.forward_head(net.forward_features(part * 2 - 1), pre_logits=True)
    features, names = zip(*((seen(part), name) for part, name in parts), strict=True)
    return torch.cat(features), torch.cat(names)


def main() -> None:
    """Train the last layer, resuming from the last checkpoint."""
    options = {"steps": 2000, "batch": 128, "lr": 1e-2, "out": "face_encoder.pt"}
    args = training.parser(__doc__, **options).parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    net, directions = network(), nn.Linear(WIDTH, len(IDENTITIES), bias=False)
    features, names = shown(net, IMAGES)
    optimiser = torch.optim.Adam([*net.fc.parameters(), *directions.parameters()], lr=args.lr)

    def loss_at(step: int) -> training.Loss:
        rows = torch.randint(0, len(names), (args.batch,), generator=seeded(step))
        near = nn.functional.normalize(net.fc(features[rows]), dim=1)
        cosines = near @ nn.functional.normalize(directions.weight, dim=1).T
        loss = nn.functional.cross_entropy(SHARPNESS * cosines, names[rows])
        return loss, {"right": (cosines.argmax(1) == names[rows]).float().mean()}

    rate = training.linear(args)
    training.train(args, loss_at, optimiser, rate, net=net, directions=directions)


def seeded(step: int) -> torch.Generator:
    """Randomness of one step."""
    return torch.Generator().manual_seed(58_000_000 + step)


if __name__ == "__main__":
    main()
