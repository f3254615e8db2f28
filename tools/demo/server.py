"""A headless ComfyUI with this pack as its only custom node, spoken to over HTTP and websocket."""

from __future__ import annotations

import json
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import websocket

from tools.hosts import CHECKOUT, Host

START_SECONDS = 300
# Between two messages; a step of a large batch on a busy machine can take a while.
SILENCE_SECONDS = 900
OPTIONS = [
    *("--listen", "127.0.0.1", "--disable-auto-launch", "--disable-api-nodes"),
    *("--preview-method", "none", "--database-url", "sqlite:///:memory:"),
]


class Server:
    """A running ComfyUI; use it as a context manager.

    Arguments:
        host: the ComfyUI to start.
        python: an interpreter that has its packages and the pack's.
    """

    def __init__(self, host: Host, python: Path) -> None:
        self.host, self.python = host, python
        self.base = tempfile.TemporaryDirectory(prefix="energy-guidance-")
        self.log = Path(self.base.name) / "server.log"
        self.address = f"127.0.0.1:{_free_port()}"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Server:
        """Start it and wait until it answers and knows the pack's nodes."""
        nodes = Path(self.base.name) / "custom_nodes"
        nodes.mkdir()
        (nodes / "ComfyUI-Energy-Guidance").symlink_to(CHECKOUT, target_is_directory=True)
        with self.log.open("w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                self._command(), cwd=self.host.path, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            self._wait()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it and remove its folder."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.base.cleanup()

    def run(
        self, prompt: dict[str, Any], event: Callable[[dict[str, Any]], None]
    ) -> dict[str, Any]:
        """Queue an API workflow, hand each of its events to `event`, and return its outputs.

        Raises:
            RuntimeError: the server refused the workflow, or a node failed.
        """
        client = uuid.uuid4().hex
        channel = websocket.create_connection(
            f"ws://{self.address}/ws?clientId={client}", timeout=SILENCE_SECONDS
        )
        try:
            body = json.dumps({"prompt": prompt, "client_id": client}).encode()
            prompt_id = json.loads(self._request("/prompt", body))["prompt_id"]
            for message in _events(channel, prompt_id):
                event(message)
        finally:
            channel.close()
        return self._outputs(prompt_id)

    def view(self, image: dict[str, str]) -> bytes:
        """The file of an image named in a node's outputs."""
        return self._request(f"/view?{urlencode(image)}")

    def _outputs(self, prompt_id: str) -> dict[str, Any]:
        # The history is written a moment after the last event.
        for _ in range(200):
            history = json.loads(self._request(f"/history/{prompt_id}"))
            if prompt_id in history:
                return history[prompt_id]["outputs"]
            time.sleep(0.05)
        raise RuntimeError(f"ComfyUI {self.host.version} kept no history of the workflow it ran")

    def _request(self, path: str, body: bytes | None = None) -> bytes:
        headers = {"Content-Type": "application/json"} if body else {}
        try:
            with urlopen(Request(f"http://{self.address}{path}", body, headers)) as answer:
                return answer.read()
        except HTTPError as error:
            text = error.read().decode(errors="replace")
            raise RuntimeError(
                f"ComfyUI answered {error.code} to {path.split('?')[0]}: {text[:2000]}"
            ) from None

    def _command(self) -> list[str]:
        look = "import sys, torch; sys.exit(not torch.cuda.is_available())"
        gpu = subprocess.run([self.python, "-c", look], check=False).returncode == 0
        port = self.address.rsplit(":", 1)[1]
        options = [*OPTIONS, "--port", port, "--base-directory", self.base.name]
        return [str(self.python), "main.py", *options, *([] if gpu else ["--cpu"])]

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                known = json.loads(self._request("/object_info"))
            except (URLError, OSError):
                time.sleep(0.25)
                continue
            if "EGGuidedKSampler" not in known:
                raise RuntimeError(f"ComfyUI did not load this pack:\n{self._tail()}")
            return
        raise RuntimeError(f"ComfyUI {self.host.version} did not start:\n{self._tail()}")

    def _tail(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")[-4000:]


def _events(channel: websocket.WebSocket, prompt_id: str) -> Iterator[dict[str, Any]]:
    """Events of one prompt up to its end."""
    while True:
        message = channel.recv()
        # Binary messages are previews.
        event = json.loads(message) if isinstance(message, str) else {}
        data = event.get("data", {})
        if data.get("prompt_id") != prompt_id:
            continue
        if event["type"] in ("execution_error", "execution_interrupted"):
            raise RuntimeError(
                f"node {data.get('node_type')} failed: {data.get('exception_message')}"
            )
        yield event
        if event["type"] == "execution_success":
            return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
