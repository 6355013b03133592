"""Scripts that a tokenizer knows, and those that it does not: a real one, and one that we train."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from bayesfuse.encoders.unknown_scripts import LETTER_BY_LETTER, ScriptCheck
from tests.encoders.conftest import train_tokenizer

# Text, and what was measured under the tokenizer of all-MiniLM-L6-v2, which is that of
# bert-base-uncased: the share of unknown tokens, and of letters in words that are unread.
SCRIPTS = tomllib.loads((Path(__file__).parent / "scripts.toml").read_text(encoding="utf-8"))
READ, UNREAD = SCRIPTS["read"], SCRIPTS["unread"]


@pytest.fixture(scope="module")
def check(minilm_folder):
    tokenizer = Tokenizer.from_file(str(minilm_folder / "tokenizer.json"))
    return ScriptCheck(tokenizer, tokenizer.token_to_id("[UNK]"))


def _judge(check, text):
    check.tokenizer.no_truncation()
    check.tokenizer.no_padding()
    tokens = np.array(check.tokenizer.encode(text).ids, dtype=np.int32)
    own = len(tokens) - check.tokenizer.num_special_tokens_to_add(False)
    return check.is_unread(text, tokens, len(tokens) - own), np.mean(tokens == check.unknown) * (
        len(tokens) / own
    )


@pytest.mark.parametrize("name", READ)
def test_what_the_english_tokenizer_reads(check, name):
    text = READ[name]["text"]
    found, share = _judge(check, text)
    assert not found
    measured = {"unknown": share, "unread": check.unread_share(text)}
    assert {**measured, "text": text} == pytest.approx(READ[name], abs=0.006)


@pytest.mark.parametrize("name", UNREAD)
def test_what_the_english_tokenizer_does_not_read(check, name):
    text = UNREAD[name]["text"]
    found, share = _judge(check, text)
    assert found
    measured = {"unknown": share, "unread": check.unread_share(text)}
    assert {**measured, "text": text} == pytest.approx(UNREAD[name], abs=0.006)


def test_the_measured_values_stand_well_apart():
    """No text of letters is near one half, where the line is."""
    assert max(case["unread"] for case in READ.values()) < 0.25
    lettered = [name for name in UNREAD if name not in ("Chinese", "emoji")]
    assert min(UNREAD[name]["unread"] for name in lettered) > 0.7


def test_short_foreign_words(check):
    assert _judge(check, "Брат")[0]
    assert not _judge(check, "Amélie")[0]


RUSSIAN = """
молодой человек влюбляется в девушку из города но отец хочет чтобы она вышла замуж за купца
старый следователь возвращается в город чтобы найти убийцу дочери раньше полиции
семья переезжает в дом в деревне где каждую ночь происходят странные вещи
два брата грабят банк в маленьком городе и бегут через границу
певица и учитель знакомятся в поезде и говорят до утра
команда корабля теряется в море и должна научиться жить вместе на острове
"""


def test_a_tokenizer_that_has_learned_from_a_script_reads_it():
    """With 600 tokens it has 0.3 a letter in Russian; letter by letter it would have 1."""
    tokenizer = train_tokenizer(RUSSIAN.splitlines(), size=600)
    check = ScriptCheck(tokenizer, tokenizer.token_to_id("[UNK]"))
    text = "Старый учитель возвращается домой и находит девушку в маленькой деревне."
    letters = sum(map(str.isalpha, text))
    pieces = len(tokenizer.encode(text, add_special_tokens=False).ids)
    assert pieces / letters < 0.5 < LETTER_BY_LETTER
    assert _judge(check, text)[0] is False
    assert _judge(check, READ["English"]["text"])[0] is True


def test_bytes_of_an_unknown_script_are_no_words():
    """A byte-level tokenizer, as RoBERTa's, has no unknown token but knows no Russian either."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=500, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    english = [case["text"] for case in READ.values() if case["text"].isascii()]
    tokenizer.train_from_iterator(english * 3, trainer)
    check = ScriptCheck(tokenizer, None)
    assert _judge(check, UNREAD["Russian"]["text"])[0] is True
    assert _judge(check, READ["English"]["text"])[0] is False
    assert _judge(check, "1984 ... 2001")[0] is False


def test_a_tokenizer_of_letters_by_design_is_not_held_to_letters():
    letters = {chr(code): number for number, code in enumerate(range(0x20, 0x500))}
    tokenizer = Tokenizer(models.WordPiece({"[UNK]": len(letters), **letters, **{
        f"##{letter}": len(letters) + 1 + number for letter, number in letters.items()
    }}, unk_token="[UNK]"))  # fmt: skip
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    check = ScriptCheck(tokenizer, tokenizer.token_to_id("[UNK]"))
    assert _judge(check, UNREAD["Russian"]["text"])[0] is False
    assert _judge(check, READ["English"]["text"])[0] is False
    assert _judge(check, UNREAD["Korean"]["text"])[0] is True  # whose letters it has not


def test_the_quick_look_never_hides_what_the_long_one_finds(check):
    """A text is looked at closely unless it has too few tokens for more than half to be single."""
    mixed = " ".join([UNREAD["Russian"]["text"], "word " * 8])
    assert check.unread_share(mixed) > 0.5
    assert _judge(check, mixed)[0]
    assert not _judge(check, " ".join([UNREAD["Russian"]["text"], READ["English"]["text"] * 2]))[0]
