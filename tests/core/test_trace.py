"""Traces are plain numbers."""

from __future__ import annotations

import json

import torch

from guidance_core.trace import Record, Trace


def test_rows_are_plain_and_survive_json():
    trace = Trace()
    two = torch.tensor([1.0, 2.0])
    trace(Record("Forward", 2.5, two, two, two.half(), None, {"red": two}, {"Face": 2}))
    trace(Record("Backward", 1.0, two, two, two, two))
    first, second = json.loads(json.dumps(trace.to_dict()))["rows"]
    assert first == {
        "rule": "Forward",
        "sigma": 2.5,
        "energy": [1, 2],
        "grad_norm": [1, 2],
        "push": [1, 2],
        "cfg_push": None,
        "terms": {"red": [1, 2]},
        "silent": {"Face": 2},
        "reached": {},
        "spread": None,
    }
    assert second["cfg_push"] == [1, 2]
