"""Show a trace, while it grows, to the browser that queued the prompt.

Nothing is reduced, copied or sent unless that browser watches the node; see routes.py.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from comfy_execution.utils import get_executing_context

EVENT = "energy_guidance.monitor"
SECONDS = 0.1  # between two messages of a node
LEVELS = 33  # noise levels at even percentages, for axes

# Browsers that watch, by client id, and the nodes that each has folded away.
_folded: dict[str, frozenset[str]] = {}


def watch(client: str, on: bool, folded: Sequence[str]) -> None:
    """Note what a browser wants to see; those that have left are forgotten.

    Arguments:
        client: id of its websocket.
        on: whether it watches at all.
        folded: ids of nodes that it has folded away.
    """
    present = _server().sockets
    for gone in [one for one in _folded if one not in present]:
        del _folded[gone]
    _folded.pop(client, None)
    if on and client in present:
        _folded[client] = frozenset(folded)


def sinks_of(trace: Any) -> tuple[Any, ...]:
    """The sinks of a node's guidance: its trace, and a monitor where a prompt is being executed."""
    context = get_executing_context()
    return (trace,) if context is None else (trace, Monitor(trace, context.node_id))


def unguided(trace: Any) -> None:
    """Say on the running node that it leaves the model as it is: nothing tells of its runs."""
    for sink in sinks_of(trace)[1:]:
        sink.begin(lambda: {"sigmas": [], "levels": []})
        sink.end()


def start(traces: Sequence[Any]) -> None:
    """Empty traces of an earlier prompt: the host keeps guided models in its cache."""
    context = get_executing_context()
    prompt = None if context is None else context.prompt_id
    for trace in traces:
        if hasattr(trace, "rows") and prompt is not None:
            if getattr(trace, "prompt", prompt) != prompt:
                trace.rows.clear()
            trace.prompt = prompt


@contextmanager
def shown(
    traces: Sequence[Any], model_sampling: Any, sigmas: Any, decoder: str = ""
) -> Iterator[None]:
    """Tell the monitors among the traces of a sampling run's beginning and end.

    Arguments:
        traces: sinks of the run.
        model_sampling: the host's, of the model.
        sigmas: noise levels of the run, shape (N,).
        decoder: name of what decodes for energies; empty where nothing does.
    """
    for trace in traces:
        if hasattr(trace, "decoder"):
            trace.decoder = decoder
    monitors = [trace for trace in traces if isinstance(trace, Monitor)]
    for monitor in monitors:
        monitor.begin(lambda: {**_facts(model_sampling, sigmas), "decoder": decoder})
    whole = False
    try:
        yield
        whole = True
    finally:
        for monitor in monitors:
            monitor.end(interrupted=not whole)


class Monitor:
    """Sends the new rows of one node's trace, some times a second.

    Arguments:
        trace: what the rules did; must be told of each record before the monitor.
        node: id of the node on which to draw.
    """

    def __init__(self, trace: Any, node: str) -> None:
        self.trace, self.node = trace, node
        self._due = math.inf

    def begin(self, facts: Callable[[], dict[str, Any]]) -> None:
        """A sampling run starts: what comes now belongs to it."""
        context = get_executing_context()
        self._prompt = None if context is None else context.prompt_id
        self._facts: Callable[[], dict[str, Any]] | None = facts
        self._sent, self._due = len(self.trace.rows), 0.0
        self._send()

    def __call__(self, record: Any) -> None:
        """Send what is new, if it is time."""
        if time.monotonic() >= self._due:
            self._send()

    def end(self, *, interrupted: bool = False) -> None:
        """Send the rest, and whether steps are missing: after a stop, or an error."""
        self._send(done=True, interrupted=interrupted)
        self._due = math.inf

    def _send(self, **course: bool) -> None:
        client = self._watcher()
        if client is None:
            return
        # Somebody who opens the node in the middle of a run gets it from its beginning.
        facts = self._facts() if self._facts else {}
        rows = [_plain(row) for row in self.trace.rows[self._sent :]]
        message = {"node": self.node, "prompt_id": self._prompt, "rows": rows, "done": False}
        _server().send_sync(EVENT, {**message, **course, **facts}, client)
        self._facts, self._sent = None, len(self.trace.rows)
        self._due = time.monotonic() + SECONDS

    def _watcher(self) -> str | None:
        """The browser that queued the prompt, if it looks at this node."""
        client = None if self._prompt is None else _server().client_id
        watching = client in _folded and self.node not in _folded[client]
        return client if watching else None


def _facts(model_sampling: Any, sigmas: Any) -> dict[str, Any]:
    """Noise levels of the run's steps, and of even percentages of the model's schedule."""
    percents = [step / (LEVELS - 1) for step in range(LEVELS)]
    return {
        "sigmas": _finite(sigmas.tolist()),
        "levels": _finite([float(model_sampling.percent_to_sigma(p)) for p in percents]),
    }


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row that every JSON reader takes: what is not finite becomes null."""
    numbers = {name: _finite(part) for name, part in row.items() if isinstance(part, list)}
    return {**row, **numbers, "terms": {name: _finite(t) for name, t in row["terms"].items()}}


def _finite(values: list[float]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values]


def _server() -> Any:
    # Not at the top: the pack can be used without ComfyUI's server.
    from server import PromptServer

    return PromptServer.instance
