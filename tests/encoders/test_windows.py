"""Windows against windows made by hand, means over them, and batches of about equal length."""

from __future__ import annotations

import numpy as np
import pytest
from tokenizers import Tokenizer

from bayesfuse.encoders.windows import Windows, batches, cut_windows, default_stride, padded

CLS, SEP = 101, 102


@pytest.fixture(scope="module")
def tokenizer(minilm_folder):
    return Tokenizer.from_file(str(minilm_folder / "tokenizer.json"))


def _by_hand(tokenizer, text, max_length, stride):
    """Cut the tokens of a whole text into windows, each between the two special ones."""
    tokenizer.no_truncation()
    tokenizer.no_padding()
    own = tokenizer.encode(text, add_special_tokens=False).ids
    size = max_length - 2
    windows, start = [], 0
    while True:
        windows.append([CLS, *own[start : start + size], SEP])
        if start + size >= len(own):
            return windows
        start += size - stride


@pytest.mark.parametrize(("max_length", "stride"), [(8, 2), (16, 4), (5, 0), (4, 1), (64, 16)])
def test_windows_are_those_made_by_hand(tokenizer, max_length, stride):
    texts = ["one two three", "", "a " * 50, "the quick brown fox jumps over the lazy dog " * 9]
    windows = cut_windows(tokenizer, texts, max_length, stride)
    expected = [_by_hand(tokenizer, text, max_length, stride) for text in texts]
    for number, own in enumerate(expected):
        assert [window.tolist() for window in windows.tokens_of(number)] == own
    assert windows.counts().tolist() == [len(own) for own in expected]
    assert max(map(len, windows.tokens)) <= max_length
    assert expected[3][0] != expected[3][-1]


def test_neighbours_share_a_quarter_of_a_window(tokenizer):
    stride = default_stride(16, 2)
    first, second = cut_windows(tokenizer, ["word " * 20], 16, stride).tokens[:2]
    numbered = cut_windows(tokenizer, [" ".join(map(str, range(20)))], 16, stride).tokens
    assert stride == 4
    assert len(first) == len(second) == 16 or len(second) < 16
    assert numbered[0][-1 - stride : -1].tolist() == numbered[1][1 : 1 + stride].tolist()


@pytest.mark.parametrize("max_length", range(3, 40))
@pytest.mark.parametrize("num_special", [0, 1, 2])
def test_the_stride_leaves_room_to_go_on(max_length, num_special):
    assert 0 <= default_stride(max_length, num_special) < max_length - num_special


def test_means_over_windows():
    windows = Windows([np.zeros(1, np.int32)] * 5, np.array([0, 1, 4]))
    vectors = np.array([[1, 2], [3, 0], [5, 0], [1, 6], [7, 7]], dtype=np.float32)
    means = windows.means(vectors)
    np.testing.assert_array_equal(means, [[1, 2], [3, 2], [7, 7]])
    assert means.dtype == np.float32
    single = Windows([np.zeros(1, np.int32)] * 2, np.array([0, 1]))
    np.testing.assert_array_equal(single.means(vectors[:2]), vectors[:2])


def test_some_texts_of_all():
    tokens = [np.array([number], dtype=np.int32) for number in range(5)]
    windows = Windows(tokens, np.array([0, 1, 4]))
    some = windows.of_texts([2, 1])
    assert [int(window[0]) for window in some.tokens] == [4, 1, 2, 3]
    assert some.counts().tolist() == [1, 3]
    assert windows.of_texts([1], first_only=True).tokens == [tokens[1]]
    assert windows.of_texts([]).tokens == []


def test_batches_hold_every_window_once_and_little_padding():
    rng = np.random.default_rng(0)
    tokens = [rng.integers(1, 9, size).astype(np.int32) for size in rng.integers(1, 60, 101)]
    seen, lengths = [], []
    for rows, batch in batches(tokens, 16, pad=0):
        assert batch.shape == (len(rows), max(len(tokens[row]) for row in rows))
        assert batch.dtype == np.int64
        for row, line in zip(rows, batch, strict=True):
            np.testing.assert_array_equal(line[: len(tokens[row])], tokens[row])
            assert not line[len(tokens[row]) :].any()
        seen += rows.tolist()
        lengths.append(batch.size)
    assert sorted(seen) == list(range(101))
    assert lengths[0] == max(lengths)
    in_order = sum(
        padded(tokens[start : start + 16], 0).size for start in range(0, len(tokens), 16)
    )
    assert sum(lengths) < 0.7 * in_order
    assert sum(lengths) < 1.2 * sum(map(len, tokens))


def test_long_windows_come_in_smaller_batches():
    tokens = [np.ones(2048, np.int32)] * 9 + [np.ones(10, np.int32)] * 9
    assert [len(rows) for rows, _ in batches(tokens, 8, pad=0)] == [2, 2, 2, 2, 2, 8]
    huge = [np.ones(100_000, np.int32)] * 2
    assert [len(rows) for rows, _ in batches(huge, 4, pad=0)] == [1, 1]
    assert list(batches([], 4, pad=0)) == []
