"""What the nodes that guide by themselves share: a strength in words, and the advanced fold."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.rules.forward import Forward
from ...guidance_core.rules.manifold import Manifold
from ...guidance_core.schedules import PercentWindow, Scaled
from ...guidance_core.trace import Trace as TraceData
from ..host import guide
from ..host.browser import monitor
from ..host.recurrence import recurrent_model
from ..host.restart import restarting_model
from .sampling import (
    NO_VAE_TIP,
    RECURRENCES_TIP,
    TRACE_TIP,
    VAE_TIP,
    decoder_input,
    tries_input,
)
from .sockets import Trace, advanced
from .window import window_inputs

CATEGORY = "guidance/start here"
# Times the strength that was measured for the task.
STRENGTHS = {"weak": 0.5, "medium": 1.0, "strong": 1.5}
CUSTOM = "custom"
MODEL = io.Model.Output(tooltip="The guided model, for any sampler.")
TRACE = Trace.Output(display_name="trace", tooltip=TRACE_TIP)
# Where steps are taken several times, as measured: places are settled later on.
RECURRING = PercentWindow(0.0, 0.4)
RULES = {"forward": Forward, "manifold": Manifold}
LOOK_AT = "positive"  # above CFG 1 sentences obey more, labels as much: docs/cfg.md


def model_input() -> io.Input:
    """What is guided."""
    return io.Model.Input("model", tooltip="The diffusion model; it is not changed.")


def strength_inputs() -> list[io.Input]:
    """How strongly to guide: in words, or as a number."""
    return [
        io.Combo.Input(
            "strength",
            options=[*STRENGTHS, CUSTOM],
            default="medium",
            tooltip="How strongly the image is guided. Start with medium; where texture burns in, "
            "go down. custom takes the number below.",
        ),
        io.Float.Input(
            "amount",
            default=1.0,
            min=0.0,
            max=100.0,
            step=0.05,
            tooltip="Strength as a number, where strength is custom: 0.5 is weak, 1 medium, 1.5 "
            "strong, 0 exactly no guidance.",
        ),
    ]


def amount_of(strength: str, amount: float) -> float:
    """The strength as a number: 1 is medium."""
    return STRENGTHS.get(strength, amount)


def vae_input() -> io.Input:
    """What decodes the latent."""
    return io.Vae.Input("vae", optional=True, tooltip=f"{VAE_TIP} {NO_VAE_TIP}")


def folded_inputs(end: float) -> list[io.Input]:
    """The advanced fold of a node whose energy looks at the image: until `end`, if not changed."""
    start_percent, end_percent = window_inputs()
    end_percent.default = end
    return [
        advanced(widget)
        for widget in (
            io.Combo.Input(
                "rule",
                options=list(RULES),
                default="forward",
                optional=True,
                tooltip="forward: through the diffusion model; follows best. manifold: at the "
                "clean estimate; faster, and needs less memory.",
            ),
            *(_optional(widget) for widget in (start_percent, end_percent)),
            recurrence_input(),
            _optional(decoder_input()),
            tries_input(optional=True),
        )
    ]


def recurrence_input(default: int = 1) -> io.Input:
    """How often each of the first steps is taken."""
    return io.Int.Input(
        "recurrences", default=default, min=1, max=100, optional=True, tooltip=RECURRENCES_TIP
    )


def _optional(widget: io.Input) -> io.Input:
    widget.optional = True
    return widget


def prompt_inputs() -> list[io.Input]:
    """What is guided, and the prompt whose words are meant."""
    return [
        model_input(),
        io.Clip.Input("clip", tooltip="The model's text encoder."),
        io.String.Input(
            "text",
            multiline=True,
            tooltip="The positive prompt; this node encodes it, in place of CLIP Text Encode.",
        ),
    ]


def encoded(clip: Any, text: str) -> Any:
    """A prompt as CONDITIONING, as CLIP Text Encode makes it."""
    return clip.encode_from_tokens_scheduled(clip.tokenize(text))


def outputs() -> list[io.Output]:
    """The guided model, and what was done to it."""
    return [MODEL, TRACE]


def prompt_outputs() -> list[io.Output]:
    """The guided model, its prompt, and what was done to it."""
    positive = io.Conditioning.Output(
        display_name="positive", tooltip="The prompt, for the sampler's positive input."
    )
    return [MODEL, positive, TRACE]


def guided_by_image(
    model: Any,
    energy: Any,
    strength: float,
    window: tuple[float, float],
    *,
    rule: str,
    recurrences: int,
    vae: Any,
    decoder: str,
    tries: int,
) -> io.NodeOutput:
    """A MODEL under one rule, for an energy that looks at the image.

    Arguments:
        model: the host's MODEL.
        energy: what the image should be.
        strength: relative, as of a rule; 0 leaves the model as it is.
        window: where the rule acts, as percentages of the noise schedule in [0, 1].
        rule: a key of `RULES`.
        recurrences: how often each of the first steps is taken.
        vae: see `guide.apply`.
        decoder: see `guide.apply`.
        tries: how often an image is tried at most.
    """
    steered = RULES[rule](energy, Scaled(PercentWindow(*window), strength), look_at=LOOK_AT)
    rules = [steered] if strength else []
    return guided(model, rules, recurrences, tries=tries, vae=vae, decoder=decoder)


def guided(
    model: Any,
    rules: list[Any],
    recurrences: int,
    *,
    tries: int = 1,
    extra: Any = None,
    **options: Any,
) -> io.NodeOutput:
    """A MODEL under rules, whose samplers take each of the first steps several times.

    Arguments:
        model: the host's MODEL; without rules it is given back itself.
        rules: rules, innermost first.
        recurrences: how often each of the first steps is taken.
        tries: how often an image is tried at most.
        extra: what the node puts out between the model and its trace.
        options: see `guide.apply`.
    """
    trace = TraceData()
    if rules:
        model = guide.apply(model, rules, trace=trace, **options)
        model = recurrent_model(model, recurrences, RECURRING)
        model = restarting_model(model, tries)
    else:
        monitor.unguided(trace)
    return io.NodeOutput(*(part for part in (model, extra, trace) if part is not None))
