# ruff: noqa: RUF001 - letters that look like others are what these tests are about
from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesfuse.graph.names import fold_name, fold_names


@pytest.mark.parametrize(
    "spellings",
    [
        ["J. J. Abrams", "J.J. Abrams", "JJ Abrams", "j j abrams", "J.\u00a0J. Abrams"],
        [
            "Alejandro González Iñárritu",
            "Alejandro Gonzalez Inarritu",
            "ALEJANDRO GONZÁLEZ IÑÁRRITU",
        ],
        ["Conan O'Brien", "Conan O’Brien", "Conan O´Brien", "Conan OʼBrien", "Conan O`Brien"],
        ["Jean-Pierre Jeunet", "Jean Pierre Jeunet", "Jean\u2010Pierre\u00adJeunet"],
        ["Straße", "STRASSE"],
        ["İlker Işık", "ilker isık"],
        ["Ｋｕｒｏｓａｗａ", "Kurosawa"],
        ["Κώστας Γαβράς", "ΚΩΣΤΑΣ ΓΑΒΡΑΣ"],
        ["Фёдор Бондарчук", "ФЕДОР БОНДАРЧУК"],
        ["宮崎 駿", "宮崎駿", "宮崎・駿"],
        ["שָׁלוֹם", "שלום"],
        ["مُحَمَّد", "محمد", "محـــمد"],
    ],
)
def test_spellings_of_one_name_are_one(spellings: list[str]) -> None:
    assert len(set(fold_names(spellings))) == 1


@pytest.mark.parametrize(
    "names",
    [
        ["Андрей", "Андреи"],
        ["Її", "Іі"],
        ["かき", "がき"],
        ["कि", "की", "क"],
        ["กา", "กี", "ก"],
        ["한", "하"],
        ["宮崎 駿", "宮崎 吾朗"],
        ["Иван", "Ivan"],
        ["C", "C++"],
        ["Søren", "Soren"],
        ["Paweł", "Pawel"],
        ["!!!", "???", "…"],
        ["آدم", "ادم"],
    ],
)
def test_other_names_stay_others(names: list[str]) -> None:
    assert len(set(fold_names(names))) == len(names)


def test_a_script_keeps_its_letters() -> None:
    assert fold_name("Андрей Тарковский") == "андрейтарковский"
    assert fold_name("が") == "が"


def test_blank_names_have_no_key() -> None:
    assert fold_names(["", "  ", "\u00a0\t"]) == ["", "", ""]


def test_a_name_of_punctuation_alone_keeps_it() -> None:
    assert fold_names(["!!!", " ! ! ! ", "！！！"]) == ["!!!"] * 3


@given(st.text())
def test_a_key_is_its_own_key(name: str) -> None:
    key = fold_name(name)
    assert fold_name(key) == key


@given(st.text())
def test_normal_forms_and_case_and_spaces_do_not_matter(name: str) -> None:
    key = fold_name(name)
    assert fold_name(unicodedata.normalize("NFD", name)) == key
    assert fold_name(f" {name}\n") == key
    assert (key == "") == (not name.split())


@given(st.text(st.characters(max_codepoint=127)))
def test_the_short_way_for_ascii_is_the_long_one(name: str) -> None:
    # A letter beyond ASCII sends the rest along the other way.
    assert fold_name(f"a{name}é") == fold_name(f"a{name}e")
