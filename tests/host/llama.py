"""A small vocabulary where the host looks for Llama 3's, whose file is large."""

from __future__ import annotations

import contextlib
import functools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import comfy.text_encoders.hunyuan_video as home
import pytest
import tokenizers
import transformers

MARKS = {
    "<|begin_of_text|>": 128000,
    "<|start_header_id|>": 128006,
    "<|end_header_id|>": 128007,
    "<|eot_id|>": 128009,
}
MERGES = ("use", "user", "ĊĊ", "red", "blue")
# Those that the host looks for by their numbers.
KNOWN = {"user": 882, "ĊĊ": 271, "Ġ": 220}


def vocabulary() -> tokenizers.Tokenizer:
    """Bytes, a few words and Llama 3's marks."""
    starts = [word[:end] for word in MERGES for end in range(2, len(word) + 1)]
    merged = list(dict.fromkeys(starts))
    pieces = [*sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()), *merged]
    numbers = {text: KNOWN.get(text, 1000 + i) for i, text in enumerate(pieces)}
    pairs = [(text[:-1], text[-1]) for text in merged]
    found = tokenizers.Tokenizer(tokenizers.models.BPE({**numbers, **MARKS}, pairs))
    found.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    found.decoder = tokenizers.decoders.ByteLevel()
    start = next(iter(MARKS))
    found.post_processor = tokenizers.processors.TemplateProcessing(
        f"{start} $A", None, [(start, MARKS[start])]
    )
    found.add_special_tokens(list(MARKS))
    return found


@contextlib.contextmanager
def installed(folder: Path, reader: Any = transformers.PreTrainedTokenizerFast) -> Iterator[None]:
    """Let the host find its Llama tokenizer in a folder, inside.

    Arguments:
        folder: an empty one.
        reader: what reads the files. The host's own choice, `LlamaTokenizerFast`, does not heed
            them in transformers 5 (https://github.com/huggingface/transformers/issues/45488).
    """
    there = folder / "llama_tokenizer"
    there.mkdir()
    vocabulary().save(str(there / "tokenizer.json"))
    shutil.copy(Path(home.__file__).parent / there.name / "tokenizer_config.json", there)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(home, "__file__", str(folder / "hunyuan_video.py"))
        patch.setattr(home, "LlamaTokenizerFast", reader)
        yield


@functools.cache
def drops_blanks() -> bool:
    """Whether the package transformers has the fault named above."""
    return int(transformers.__version__.partition(".")[0]) >= 5
