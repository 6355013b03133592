"""From cells to windows of tokens, with a word on every cell that is odd or unreadable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesfuse.encoders.base import Cell, CellProblem
from bayesfuse.encoders.languages import LanguageFilter
from bayesfuse.encoders.text_cells import read_texts, without_control_characters
from bayesfuse.encoders.text_loading import TokenizerParts
from bayesfuse.encoders.transformers_library import import_transformers
from bayesfuse.encoders.unknown_scripts import ScriptCheck
from bayesfuse.encoders.windows import Windows, cut_windows

NO_CHARACTERS = "nothing but control characters"
NO_TOKENS = "nothing that the tokenizer reads"
OTHER_LANGUAGE = "another language than those that are wanted"
UNKNOWN_SCRIPT = "a script or language that the tokenizer does not know"
CLEANED = "control characters removed"
LONGER = "longer than {length} tokens; {done}"


@dataclass(frozen=True)
class Reading:
    """What was read of some cells.

    Attributes:
        rows: The cells that are texts which can be read, in order.
        windows: Their windows.
        problems: Cells with a text that cannot be read.
        remarks: Cells that are read, but not as they stand; one a cell.
    """

    rows: NDArray[np.int64]
    windows: Windows
    problems: tuple[CellProblem, ...]
    remarks: tuple[CellProblem, ...]


class TextReader:
    """Reads cells as one encoder does.

    Args:
        tokenizer: The tokenizer.
        lower_case: Whether texts are lowered first.
        languages: Languages that are wanted; all if there are none.

    Raises:
        ConfigError: If a language is unknown.

    Attributes:
        parts: The tokenizer that was given.
        num_special: Special tokens of every text.
    """

    def __init__(
        self, tokenizer: TokenizerParts, *, lower_case: bool, languages: Sequence[str]
    ) -> None:
        import_transformers()
        from tokenizers import Tokenizer

        self.parts, self.lower_case = tokenizer, lower_case
        self.filter = LanguageFilter(languages) if languages else None
        self.tokenizer: Tokenizer = Tokenizer.from_str(tokenizer.json)
        self.num_special = int(self.tokenizer.num_special_tokens_to_add(False))
        self.scripts = ScriptCheck(self.tokenizer, tokenizer.unknown)

    def read(self, cells: Sequence[Cell], max_length: int, stride: int, *, cut: bool) -> Reading:
        """Read cells.

        Args:
            cells: The cells; what is empty is left out without a word.
            max_length: Tokens of a window.
            stride: Tokens by which windows overlap.
            cut: Whether only the first window of a text is read.

        Raises:
            FeatureError: If a cell is no text.
        """
        rows, texts, cleaned, problems = [], [], set(), []
        for row, text in enumerate(read_texts(cells)):
            readable = without_control_characters(text)
            if text and not readable:
                problems.append(CellProblem(row, NO_CHARACTERS))
            elif self.filter is not None and self.filter.is_other(readable):
                problems.append(CellProblem(row, OTHER_LANGUAGE))
            elif readable:
                rows.append(row)
                texts.append(readable.lower() if self.lower_case else readable)
                if readable != text:
                    cleaned.add(row)
        windows = cut_windows(self.tokenizer, texts, max_length, stride)
        unreadable = self._unreadable(texts, windows)
        problems += [CellProblem(rows[place], reason) for place, reason in unreadable.items()]
        kept = [place for place in range(len(texts)) if place not in unreadable]
        longer = LONGER.format(length=max_length, done="cut" if cut else "read in windows")
        remarks = []
        for row, count in zip(
            [rows[place] for place in kept], windows.counts()[kept].tolist(), strict=True
        ):
            words = [CLEANED] * (row in cleaned) + [longer] * (count > 1)
            if words:
                remarks.append(CellProblem(row, "; ".join(words)))
        return Reading(
            rows=np.array(rows, dtype=np.int64)[kept],
            windows=windows.of_texts(kept, first_only=cut),
            problems=tuple(sorted(problems, key=lambda problem: problem.row)),
            remarks=tuple(remarks),
        )

    def _unreadable(self, texts: Sequence[str], windows: Windows) -> dict[int, str]:
        """Return which texts cannot be read, by their place, and why."""
        found = {}
        for number, text in enumerate(texts):
            own = windows.tokens_of(number)
            special = self.num_special * len(own)
            tokens = np.concatenate(own)
            if len(tokens) <= special:
                found[number] = NO_TOKENS
            elif self.scripts.is_unread(text, tokens, special):
                found[number] = UNKNOWN_SCRIPT
        return found

    def empty_text(self) -> NDArray[np.int32]:
        """Return the tokens of a text of no words, one token at least."""
        tokens = cut_windows(self.tokenizer, [""], self.num_special + 1, 0).tokens[0]
        return tokens if len(tokens) else np.zeros(1, dtype=np.int32)
