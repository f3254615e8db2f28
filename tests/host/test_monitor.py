"""Live curves: sent to the browser that queued and watches, and to nobody else."""

from __future__ import annotations

import math
import time

import pytest
import requests
from energy_guidance.guidance_core.trace import Trace
from energy_guidance.nodes.host.browser import monitor
from energy_guidance.tests.host.server import Server
from energy_guidance.tests.host.test_http_workflows import STEPS, id_of, workflow

EVENT = "energy_guidance.monitor"
ROUTE = "/energy_guidance/monitor"


def tell(server: Server, client: str, on: bool = True, folded: tuple[str, ...] = ()):
    body = {"client_id": client, "on": on, "folded": list(folded)}
    return requests.post(f"http://{server.address}{ROUTE}", json=body, timeout=60)


def prompt(seed: int) -> dict:
    return workflow("classifier-guided", seed=seed, end_percent=1.0)


def saved(server: Server, outcome) -> bytes:
    return server.view(
        next(i for part in outcome.history["outputs"].values() for i in part["images"])
    )


def test_the_watching_browser_gets_every_row_on_the_node_that_guides(server: Server) -> None:
    queued = prompt(31)
    outcome = server.run(queued, before=lambda client: tell(server, client).raise_for_status())
    events = outcome.of(EVENT)
    assert {event["node"] for event in events} == {id_of(queued, "EGApplyGuidance")}
    assert [event["done"] for event in events] == [False] * (len(events) - 1) + [True]
    sigmas, levels = events[0]["sigmas"], events[0]["levels"]
    assert len(sigmas) == STEPS + 1
    assert levels == sorted(levels, reverse=True)
    rows = [row for event in events for row in event["rows"]]
    forward = [row for row in rows if row["rule"] == "Forward"]
    assert [row["sigma"] for row in forward] == pytest.approx(sigmas[:-1])
    assert all(len(row["energy"]) == 1 and row["terms"] for row in rows)

    server.forget()
    unwatched = server.run(queued)
    assert not unwatched.of(EVENT)
    assert saved(server, unwatched) == saved(server, outcome)


def test_a_folded_node_and_a_monitor_that_is_off_are_sent_nothing(server: Server) -> None:
    queued = prompt(32)
    node = id_of(queued, "EGApplyGuidance")
    assert not server.run(queued, before=lambda client: tell(server, client, folded=(node,))).of(
        EVENT
    )
    server.forget()
    assert not server.run(queued, before=lambda client: tell(server, client, on=False)).of(EVENT)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "not JSON"),
        (b"[]", "expected a JSON object, got list"),
        (b'{"client_id": 1, "on": true, "folded": []}', "client_id (text)"),
        (b'{"client_id": "a", "on": true, "folded": [1]}', "folded (list of ids)"),
    ],
)
def test_malformed_requests_are_refused_with_words(server: Server, body: bytes, words: str) -> None:
    answer = requests.post(f"http://{server.address}{ROUTE}", data=body, timeout=60)
    assert answer.status_code == 400
    assert words in answer.text


class Socket:
    """A server that counts what it sends."""

    client_id, sockets = "me", {"me": None}

    def __init__(self) -> None:
        self.sent = []

    def send_sync(self, event: str, data: dict, client: str) -> None:
        assert (event, client) == (EVENT, "me")
        self.sent.append(data)


def row(value: float) -> dict:
    numbers = {name: [value] for name in ("energy", "grad_norm", "push", "cfg_push")}
    return {"rule": "Forward", "sigma": 1.0, **numbers, "terms": {"red": [value]}}


@pytest.fixture
def started(monkeypatch):
    """A monitor in the middle of a run, its trace and its server."""
    socket, trace = Socket(), Trace()
    context = type("Context", (), {"prompt_id": "p", "node_id": "7"})
    monkeypatch.setattr(monitor, "_server", lambda: socket)
    monkeypatch.setattr(monitor, "get_executing_context", lambda: context)
    monkeypatch.setattr(monitor, "_folded", {})
    (_, made) = monitor.sinks_of(trace)
    made.begin(lambda: {"sigmas": [1.0]})
    return made, trace, socket


def test_who_opens_a_node_late_gets_the_run_from_its_beginning(started) -> None:
    made, trace, socket = started
    trace.rows.append(row(1.0))
    made(None)
    assert not socket.sent
    monitor.watch("me", True, [])
    trace.rows.append(row(math.nan))
    made(None)
    assert [len(message["rows"]) for message in socket.sent] == [2]
    assert socket.sent[0]["sigmas"] == [1.0]
    assert socket.sent[0]["rows"][1]["terms"] == {"red": [None]}


def test_messages_are_throttled_and_none_is_lost(started) -> None:
    made, trace, socket = started
    monitor.watch("me", True, [])
    began = time.monotonic()
    for _ in range(2000):
        trace.rows.append(row(1.0))
        made(None)
    spent = time.monotonic() - began
    made.end()
    assert sum(len(message["rows"]) for message in socket.sent) == 2000
    assert len(socket.sent) <= 2 + spent / monitor.SECONDS
    assert [message["done"] for message in socket.sent].count(True) == 1


def test_browsers_that_have_left_are_forgotten(started) -> None:
    _, _, socket = started
    monitor.watch("me", True, [])
    socket.sockets = {"other": None}
    monitor.watch("other", True, ["7"])
    assert set(monitor._folded) == {"other"}
