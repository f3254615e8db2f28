"""How attention to one prompt is made of attention to another: Prompt-to-Prompt's mappers."""

from __future__ import annotations

from itertools import combinations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from guidance_core.attention.alignment import Placed, common, refined, replaced


def placed(text, pieces=None, first=1):
    """Words one behind another; `pieces` says how many tokens a word has, 1 if it does not."""
    found = []
    for word in text.split():
        count = (pieces or {}).get(word, 1)
        found.append(Placed(word, tuple(range(first, first + count))))
        first += count
    return tuple(found)


def published_mapper(source, target, length):
    """Prompt-to-Prompt's get_replacement_mapper, from its paper's section 3.2: word by word."""
    mapper, i, j = torch.zeros(length, length), 0, 0
    swapped = {
        a.places[0]: (a.places, b.places)
        for a, b in zip(source, target, strict=True)
        if a.text != b.text
    }
    while i < length and j < length:
        if i in swapped:
            there, here = swapped[i]
            for row in there:
                for column in here:
                    same = len(there) == len(here)
                    one = there.index(row) == here.index(column)
                    mapper[row, column] = float(one) if same else 1 / len(here)
            i, j = i + len(there), j + len(here)
        else:
            mapper[i, j] = 1.0
            i, j = i + 1, j + 1
    return mapper


def test_a_swapped_word_of_as_many_tokens_is_the_published_mapper():
    source, target = placed("a red circle"), placed("a red square")
    mine = replaced(source, target, (9, 9), {})
    assert torch.equal(mine.source, published_mapper(source, target, 9))
    assert torch.equal(mine.source, torch.eye(9))
    assert mine.share.eq(1).all()


@pytest.mark.parametrize("tokens", [(1, 2), (2, 3), (3, 3)])
def test_a_word_of_other_pieces_is_the_published_mapper_up_to_the_end_token(tokens):
    source = placed("a cat sits", {"cat": tokens[0]})
    target = placed("a puma sits", {"puma": tokens[1]})
    mine = replaced(source, target, (12, 12), {}).source
    published = published_mapper(source, target, 12)
    ends = (source[-1].places[-1] + 1, target[-1].places[-1] + 1)
    torch.testing.assert_close(mine[: ends[0], : ends[1]], published[: ends[0], : ends[1]])
    # What the authors leave out: the last places of the longer one.
    torch.testing.assert_close(mine.sum(1), torch.ones(12))


def test_replaced_attention_is_still_attention():
    source, target = placed("a cat on mat", {"cat": 2}), placed("a dog on mat")
    there = torch.rand(2, 3, 5, 12).softmax(-1)
    here = torch.rand(2, 3, 5, 10).softmax(-1)
    edited = replaced(source, target, (12, 10), {}).edited(there, here)
    torch.testing.assert_close(edited.sum(-1), torch.ones(2, 3, 5))
    torch.testing.assert_close(edited[..., 2], there[..., 2:4].sum(-1))
    torch.testing.assert_close(edited[..., 3], there[..., 4])


def test_refined_words_keep_their_attention_and_new_ones_have_their_own():
    source, target = placed("a circle"), placed("a big red circle")
    there, here = torch.rand(1, 4, 8), torch.rand(1, 4, 8)
    edited = refined(source, target, (8, 8), {}).edited(there, here)
    torch.testing.assert_close(edited[..., :2], there[..., :2])
    torch.testing.assert_close(edited[..., 2:4], here[..., 2:4])
    torch.testing.assert_close(edited[..., 4], there[..., 2])
    # End token to end token; what is left over of the source's padding at the last place.
    torch.testing.assert_close(edited[..., 5], there[..., 3])
    torch.testing.assert_close(edited[..., 7], there[..., 5:].sum(-1))


def test_a_reweighted_word_is_multiplied():
    words = placed("a red circle")
    there = torch.rand(1, 4, 8)
    edited = replaced(words, words, (8, 8), {2: -2.0}).edited(there, torch.rand(1, 4, 8))
    torch.testing.assert_close(edited[..., 2], -2 * there[..., 2])
    torch.testing.assert_close(edited[..., [0, 1, 3]], there[..., [0, 1, 3]])


def test_what_stands_between_words_is_paired_or_left():
    comma = (Placed("cat", (1,)), Placed("dog", (3,)))
    plain = (Placed("cat", (1,)), Placed("dog", (2,)))
    without = replaced(comma, plain, (6, 6), {})
    assert without.source[2].sum() == 0
    added = replaced(plain, comma, (6, 6), {})
    assert added.share[2] == 0
    assert added.source[2, 3] == 1


def test_prompts_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"as many words, got 2 \(a circle\) and 3 \(a red"):
        replaced(placed("a circle"), placed("a red circle"), (8, 8), {})
    with pytest.raises(ValueError, match="share a word"):
        refined(placed("cat"), placed("dog"), (8, 8), {})


texts = st.lists(st.sampled_from("abc"), max_size=6).map(" ".join)


@given(texts, texts)
def test_common_words_are_a_longest_common_subsequence(one, other):
    source, target = placed(one), placed(other)
    pairs = common(source, target)
    assert pairs == sorted(pairs)
    assert all(a[0] < b[0] and a[1] < b[1] for a, b in zip(pairs, pairs[1:], strict=False))
    assert all(source[i].text == target[j].text for i, j in pairs)
    subsequences = lambda words: {
        tuple(words[i] for i in chosen)
        for count in range(len(words) + 1)
        for chosen in combinations(range(len(words)), count)
    }
    both = subsequences(one.split()) & subsequences(other.split())
    assert len(pairs) == max(map(len, both))
