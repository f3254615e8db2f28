"""A real ComfyUI server on a free port, with this checkout as its only custom node."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import requests
import websocket

CHECKOUT = Path(__file__).resolve().parents[2]
PACK = "energy-guidance"
Watch = Callable[[dict[str, Any]], None]
START_SECONDS = 600
RUN_SECONDS = 300


@dataclass
class Outcome:
    """What became of one prompt."""

    history: dict[str, Any]
    events: list[dict[str, Any]] = field(default_factory=list)

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Payloads of one kind of websocket event."""
        return [event["data"] for event in self.events if event["type"] == kind]

    @property
    def error(self) -> dict[str, Any]:
        """Payload of the node's error; fails where there was none."""
        errors = self.of("execution_error")
        assert errors, f"expected an error on a node, got {self.history.get('status')}"
        return errors[0]

    def images(self, node: str) -> list[dict[str, str]]:
        """References of the images that one node put out.

        Raises:
            RuntimeError: a node failed.
        """
        for error in self.of("execution_error"):
            raise RuntimeError(f"{error['node_type']} failed: {error['exception_message']}")
        return self.history["outputs"][node]["images"]


@dataclass(frozen=True)
class Server:
    """A running server."""

    address: str
    log: Path

    def get(self, path: str, **query: str) -> requests.Response:
        """GET, which must succeed."""
        url = f"http://{self.address}{path}?{urlencode(query)}"
        response = requests.get(url, timeout=60)
        response.raise_for_status()
        return response

    def post(self, prompt: dict[str, Any], client: str = "") -> requests.Response:
        """Queue a prompt in API form."""
        body = {"prompt": prompt, "client_id": client}
        return requests.post(f"http://{self.address}/prompt", json=body, timeout=60)

    def run(
        self,
        prompt: dict[str, Any],
        watch: Watch = lambda event: None,
        before: Callable[[str], None] = lambda client: None,
    ) -> Outcome:
        """Queue a prompt, show every event to `watch`, and return what happened.

        `before` is called with the client's id once its websocket is open.

        Raises:
            RuntimeError: the server refused the prompt.
        """
        client = uuid.uuid4().hex
        channel = websocket.create_connection(
            f"ws://{self.address}/ws?clientId={client}", timeout=RUN_SECONDS
        )
        try:
            before(client)
            response = self.post(prompt, client)
            if response.status_code != 200:
                raise RuntimeError(f"the server refused the prompt: {response.text[:2000]}")
            prompt_id = response.json()["prompt_id"]
            events = []
            for event in _events(channel, prompt_id):
                events.append(event)
                watch(event)
        finally:
            channel.close()
        return Outcome(self._history(prompt_id), events)

    def answer(self, prompt: dict[str, Any]) -> requests.Response:
        """What the server says of a prompt; one that it takes is cancelled, not run."""
        response = self.post(prompt)
        if response.status_code == 200:
            clear = {"clear": True}
            requests.post(f"http://{self.address}/queue", json=clear, timeout=60).raise_for_status()
            self.interrupt()
        return response

    def interrupt(self) -> None:
        """Press Cancel."""
        requests.post(f"http://{self.address}/interrupt", json={}, timeout=60).raise_for_status()

    def forget(self) -> None:
        """Drop every cached output, so that the next prompt runs anew."""
        flags = {"free_memory": True}
        requests.post(f"http://{self.address}/free", json=flags, timeout=60).raise_for_status()
        time.sleep(1.0)  # the worker reads its flags when it wakes up

    def view(self, image: dict[str, str]) -> bytes:
        """The bytes of an image of the history."""
        return self.get("/view", **image).content

    def _history(self, prompt_id: str) -> dict[str, Any]:
        # The server writes its history a moment after the last event.
        for _ in range(100):
            history = self.get(f"/history/{prompt_id}").json()
            if prompt_id in history:
                return history[prompt_id]
            time.sleep(0.05)
        raise RuntimeError("the prompt did not reach the history")


def _events(channel: websocket.WebSocket, prompt_id: str) -> Iterator[dict[str, Any]]:
    ends = {"execution_success", "execution_error", "execution_interrupted"}
    while True:
        message = channel.recv()
        if not isinstance(message, str):
            continue
        event = json.loads(message)
        if event.get("data", {}).get("prompt_id") == prompt_id:
            yield event
            if event["type"] in ends:
                return


@contextmanager
def running(comfyui: Path, base: Path, python: str = sys.executable) -> Iterator[Server]:
    """Start ComfyUI on a folder of data, wait until it answers, and stop it at the end."""
    (base / "custom_nodes").mkdir(parents=True)
    (base / "custom_nodes" / PACK).symlink_to(CHECKOUT, target_is_directory=True)
    log = base / "server.log"
    port = _free_port()
    with log.open("w", encoding="utf-8") as sink:
        process = subprocess.Popen(
            _command(python, comfyui, base, port),
            cwd=comfyui,
            # On a busy machine, threads that wait for each other cost far more than they bring.
            env={**os.environ, "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"},
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
        server = Server(f"127.0.0.1:{port}", log)
        try:
            _wait(server, process)
            yield server
        finally:
            process.terminate()
            process.wait(timeout=60)


def _command(python: str, comfyui: Path, base: Path, port: int) -> list[str]:
    options = f"--cpu --listen 127.0.0.1 --port {port} --disable-auto-launch --disable-api-nodes"
    return [
        *(python, str(comfyui / "main.py")),
        *options.split(),
        *("--preview-method", "none", "--database-url", "sqlite:///:memory:"),
        *("--base-directory", str(base), "--disable-metadata"),
    ]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait(server: Server, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            server.get("/system_stats")
        except requests.RequestException:
            time.sleep(0.25)
        else:
            return
    raise RuntimeError(f"ComfyUI did not start:\n{server.log.read_text(encoding='utf-8')[-4000:]}")
