"""Texts as windows of tokens, in batches of about equal length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Tokens = NDArray[np.int32]

_TOKENS_A_TEXT = 512
"""A batch of n texts holds n times as many tokens at most; of longer texts it has fewer."""


@dataclass(frozen=True)
class Windows:
    """The windows of some texts.

    Attributes:
        tokens: The tokens of each window, with the tokenizer's special ones.
            The windows of a text stand together, in its order.
        first: The first window of each text, `texts`.
    """

    tokens: list[Tokens]
    first: NDArray[np.int64]

    def counts(self) -> NDArray[np.int64]:
        """Return how many windows each text has, `texts`."""
        return np.diff(self.first, append=len(self.tokens))

    def tokens_of(self, text: int) -> list[Tokens]:
        """Return the windows of a text."""
        end = self.first[text + 1] if text + 1 < len(self.first) else len(self.tokens)
        return self.tokens[self.first[text] : end]

    def of_texts(self, texts: Sequence[int], *, first_only: bool = False) -> Windows:
        """Return the windows of some texts, in the order given, or the first one of each."""
        own = [self.tokens_of(text)[: 1 if first_only else None] for text in texts]
        first = np.cumsum([0, *map(len, own)], dtype=np.int64)[:-1]
        return Windows([window for windows in own for window in windows], first)

    def means(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the mean over each text's windows, `texts x features`.

        Args:
            vectors: One a window, `windows x features`.
        """
        if len(self.first) == len(self.tokens):
            return vectors
        sums = np.add.reduceat(vectors, self.first, axis=0)
        return (sums / self.counts()[:, None]).astype(np.float32)


def default_stride(max_length: int, num_special: int) -> int:
    """Return by how many tokens neighbouring windows overlap: a quarter of a window.

    About two sentences are then read in both windows, so that what stands at the end of one has
    its context in the next, at a third more work.

    Example:
        >>> default_stride(512, 2), default_stride(4, 2)
        (128, 1)
    """
    return max(0, min(max_length // 4, max_length - num_special - 1))


def cut_windows(
    tokenizer: Tokenizer, texts: Sequence[str], max_length: int, stride: int
) -> Windows:
    """Tokenise texts into windows that overlap.

    Args:
        tokenizer: A tokenizer; how it truncates and pads is set here.
        texts: The texts.
        max_length: Tokens of a window at most, with the special ones.
        stride: Tokens by which neighbouring windows overlap.

    Returns:
        The windows; every text has one at least, if only of special tokens.
    """
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length=max_length, stride=stride)
    tokens: list[Tokens] = []
    first: list[int] = []
    for encoding in tokenizer.encode_batch_fast(list(texts)):
        first.append(len(tokens))
        tokens.append(np.array(encoding.ids, dtype=np.int32))
        tokens += [np.array(window.ids, dtype=np.int32) for window in encoding.overflowing]
    return Windows(tokens, np.array(first, dtype=np.int64))


def batches(
    tokens: Sequence[Tokens], batch_size: int, pad: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield batches of windows, the longest first, each padded to its longest.

    The longest come first so that memory which does not suffice is noticed at once.

    Args:
        tokens: The windows' tokens.
        batch_size: Windows a batch; fewer if they are longer than 512 tokens.
        pad: The token that pads.

    Yields:
        The windows' numbers, and their tokens, `windows x length`.
    """
    lengths = np.array([len(window) for window in tokens], dtype=np.int64)
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        longest = max(int(lengths[order[start]]), 1)
        count = max(1, min(batch_size, batch_size * _TOKENS_A_TEXT // longest))
        rows = order[start : start + count]
        yield rows, padded([tokens[row] for row in rows], pad)
        start += count


def padded(tokens: Sequence[Tokens], pad: int) -> NDArray[np.int64]:
    """Return windows as one array, `windows x length`, padded on the right to the longest.

    Example:
        >>> padded([np.array([5, 6], dtype=np.int32), np.array([7], dtype=np.int32)], pad=0)
        array([[5, 6],
               [7, 0]])
    """
    length = max((len(window) for window in tokens), default=0)
    filled = np.full((len(tokens), length), pad, dtype=np.int64)
    for row, window in enumerate(tokens):
        filled[row, : len(window)] = window
    return filled
