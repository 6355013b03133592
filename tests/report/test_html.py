from __future__ import annotations

import base64
import dataclasses
import hashlib
import itertools
import json
import math
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from bayesfuse.errors import MissingExtraError
from bayesfuse.evaluation.checks import predictive_check
from bayesfuse.evaluation.resampling import Interval
from bayesfuse.report import LabelRow, ReliabilityCurve, ReportData, render, write
from bayesfuse.report import html as html_module
from bayesfuse.report.competitors import SCORES, Competitor, Competitors
from bayesfuse.report.html import render_further
from bayesfuse.report.item_rows import LabelRanking, RankedGroup, RankedRow, SurpriseRow
from bayesfuse.report.item_table import TABLE_ROWS, items_script
from bayesfuse.report.risk import collect_risks
from bayesfuse.report.statistics import Statistics
from bayesfuse.report.strata import MissingRow, collect_strata
from bayesfuse.report.words import summary
from tests.report.conftest import of_models

ATTACK = "<script>alert(1)</script>\"'&"
VOID = {"meta", "br", "link", "img", "input"}


class Page(HTMLParser):
    """The page's elements, in order, and a check that they are closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.scripts: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "script" in self._open:
            self.scripts.append(data)
        else:
            self.words.append(data)

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def html(report_data: ReportData) -> str:
    """Return the full page, drawn once."""
    return render(report_data)


@pytest.fixture
def page(html: str) -> Page:
    """Return the full page, parsed."""
    return Page(html)


def test_the_page_is_one_document_under_a_megabyte(html: str) -> None:
    assert html.startswith("<!DOCTYPE html>")
    assert len(html.encode()) < 1_000_000


def test_nothing_is_fetched_and_only_our_script_runs(page: Page) -> None:
    assert not page.count("link") + page.count("iframe")
    scripts = [attributes for tag, attributes in page.elements if tag == "script"]
    assert scripts == [{"id": "items-data", "type": "application/json"}, {}]
    assert page.scripts[1] == items_script().source
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in ("href", "src", "xlink:href"):
                assert (value or "").startswith(("#", "data:")), (tag, value)
    assert not re.search(r"@import|url\(\s*['\"]?(?!#)", "".join(page.words))


def test_a_policy_forbids_the_network(page: Page) -> None:
    policies = [a["content"] for tag, a in page.elements if tag == "meta" and "http-equiv" in a]
    digest = base64.b64encode(hashlib.sha256(page.scripts[1].encode()).digest()).decode()
    assert policies == [
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
        f"script-src 'sha256-{digest}'"
    ]


def test_what_the_reader_needs_is_there(page: Page, report_data: ReportData) -> None:
    assert report_data.command in page.text
    assert summary(report_data) in page.text
    for words in ("Macro AP", "0.520", "prior_scale", "left to a person", "2.13.0", "tt0000049"):
        assert words in page.text
    assert 'No item of the train split has the label "Western".' in page.text


def test_the_page_can_be_used_without_eyes(page: Page) -> None:
    assert page.elements[0] == ("html", {"lang": "en"})
    svgs = [attributes for tag, attributes in page.elements if tag == "svg"]
    assert svgs
    assert all(a["role"] == "img" and a["aria-label"] for a in svgs)
    pictures = [attributes for tag, attributes in page.elements if tag == "img"]
    assert pictures
    assert all((a["alt"] or "").startswith("Picture of ") for a in pictures)
    assert page.count("caption") == page.count("table")
    assert page.count("figcaption") == page.count("figure") == len(svgs)
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_ids_are_unique_and_links_lead_somewhere(page: Page) -> None:
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [a["href"] for tag, a in page.elements if tag == "a"]
    assert links
    assert {(link or "")[1:] for link in links} <= set(ids)


def test_every_string_of_the_user_is_escaped(small_report_data: ReportData) -> None:
    clean = Page(render(small_report_data))
    tag = dataclasses.replace(small_report_data.items[0].tags[0], label=ATTACK)
    item = dataclasses.replace(small_report_data.items[0], id=ATTACK, title=ATTACK, tags=[tag])
    surprise = SurpriseRow(ATTACK, ATTACK, tag, 3.0, [ATTACK])
    ranked = RankedRow(1, ATTACK, ATTACK, tag, 1, 2)
    data = dataclasses.replace(
        small_report_data,
        title=ATTACK,
        command=ATTACK,
        typed=ATTACK,
        report_command=ATTACK,
        split=ATTACK,
        settings={ATTACK: ATTACK, **small_report_data.settings},
        metrics={ATTACK: 1.0},
        labels=[dataclasses.replace(small_report_data.labels[0], name=ATTACK)],
        reliability=dataclasses.replace(small_report_data.reliability, name=ATTACK),
        label_reliability=[dataclasses.replace(small_report_data.reliability, name=ATTACK)],
        items=[item],
        warnings=[ATTACK],
        versions={ATTACK: ATTACK},
        surprises=[surprise],
        statistics=attacked_statistics(),
        rankings=[LabelRanking(ATTACK, [RankedGroup(1, 1, [ranked])])],
    )
    attacked = Page(render(data))
    assert attacked.count("script") == clean.count("script") == 2
    assert attacked.text.count(ATTACK) >= 40
    assert attacked.scripts[1] == clean.scripts[1]
    assert json.loads(attacked.scripts[0])["items"][0][:2] == [ATTACK, ATTACK]
    assert ATTACK not in attacked.scripts[0]
    assert "<" not in attacked.scripts[0]


def test_a_table_of_models_has_spreads_and_both_tests(
    report_data: ReportData, small_report_data: ReportData
) -> None:
    def shown(found: Statistics) -> str:
        only = Statistics(competitors=found.competitors)
        return Page(render(dataclasses.replace(small_report_data, statistics=only))).text

    page, before = shown(of_models(report_data.statistics)), shown(report_data.statistics)
    assert "Models side by side" in page
    assert "± 0.004" in page
    assert ", p = 0.012" in page
    assert "fitted anew" not in page
    assert "fitted anew" in before
    assert ", p = " not in before


def attacked_statistics() -> Statistics:
    """Return every statistical section, with names that would run."""
    rng = np.random.default_rng(0)
    mean = rng.random((60, 2))
    labels = rng.random((60, 2)) < mean**4
    strata = {ATTACK: np.arange(60) < 30}
    ends = dict.fromkeys(SCORES, Interval(0.1, 0.05, 0.2))
    row = Competitor(ATTACK, ends, ends, 1.0, 1.0, 7)
    names = [ATTACK, "War"]
    return Statistics(
        intervals={ATTACK: ends["nll"]},
        risks=collect_risks(mean, mean[:, 0], labels, names, replicates=9),
        check=predictive_check(mean[None], labels, names, strata=strata, replicates=100),
        strata=collect_strata(mean, labels, mean[:, 0], strata),
        missing=[MissingRow(ATTACK, 0.5, 0.4, 0.2, 0.02, 0.8, 0.05)],
        competitors=Competitors([row, row], 0.95, 1, [ATTACK]),
        notes=[ATTACK],
    )


def test_rows_and_panels_are_bounded_and_it_is_said(
    small_report_data: ReportData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(html_module, "MAX_PANELS", 2)
    curves = [ReliabilityCurve(f"label {n}", [0.1], [0.1], [3]) for n in range(9)]
    data = dataclasses.replace(
        small_report_data, label_reliability=curves, surprises=(), rankings=()
    )
    page = Page(render(data))
    assert len(data.items) > TABLE_ROWS
    assert f"Without scripts, the first {TABLE_ROWS} are listed." in page.text
    assert page.text.count("The film number") == TABLE_ROWS
    assert len(json.loads(page.scripts[0])["items"]) == len(data.items)
    assert "7 more are in the table above" in page.text


def test_a_further_page_holds_the_items_that_the_first_has_no_room_for(
    small_report_data: ReportData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("item_table", "pages"):
        monkeypatch.setattr(f"bayesfuse.report.{module}.PAGE_ITEMS", 25)
    write(small_report_data, tmp_path / "r.html")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r-2.html", "r-3.html", "r.html"]
    pages = [Page((tmp_path / name).read_text()) for name in ("r.html", "r-2.html", "r-3.html")]
    ids = [[row[0] for row in json.loads(page.scripts[0])["items"]] for page in pages]
    assert [len(some) for some in ids] == [25, 25, 10]
    assert [*ids[0], *ids[1], *ids[2]] == [item.id for item in small_report_data.items]
    assert (tmp_path / "r-2.html").read_text() == render_further(small_report_data, 2, "r.html")
    for number, page in enumerate(pages):
        links = {a["href"] for tag, a in page.elements if tag == "a"}
        others = {"r.html", "r-2.html", "r-3.html"} - {("r.html", "r-2.html", "r-3.html")[number]}
        assert links >= others
        assert page.count("h1") == 1
        assert page.scripts[1] == items_script().source


def test_every_statistical_section_is_there_and_can_be_left_out(
    page: Page, report_data: ReportData, small_report_data: ReportData
) -> None:
    sections = {"competitors", "risk", "robustness", "check", "strata"}
    ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    assert sections <= ids
    for words in (
        "0.500 to 0.540",  # the interval of a metric
        "More than bayesian, paired over items",
        "Both were fitted on Monday.",
        "+0.010 to +0.030",
        "all decisions",
        "drawn at random",
        "whole items",
        "without text",
        "If a modality were missing",
        "chosen at random",
    ):
        assert words in page.text
    found = report_data.statistics
    assert found.check is not None
    for family in found.check.families:
        assert f"{family.num_outside} of {family.num_statistics:,}" in page.text
    bare = Page(render(small_report_data))
    assert not sections & {a["id"] for _, a in bare.elements if "id" in a}
    assert not {f"#{name}" for name in sections} & {a.get("href") for _, a in bare.elements}
    assert "95 % interval" not in bare.text.split("Metrics")[2].split("Calibration")[0]


def test_a_tempered_posterior_is_declared(small_report_data: ReportData) -> None:
    assert "tempered" not in render(small_report_data)
    assert "weighted by 0.300" in render(dataclasses.replace(small_report_data, temperature=0.3))


def test_a_bare_run_makes_a_page_too(small_report_data: ReportData) -> None:
    blind = LabelRow("Drama", 0, 0.0, *[math.nan] * 5)
    page = Page(
        render(
            dataclasses.replace(
                small_report_data,
                history=[],
                metrics={"macro_ap": math.nan},
                labels=[blind],
                reliability=ReliabilityCurve("all labels", [], [], []),
                label_reliability=[],
                items=[],
                surprises=[],
                rankings=[],
                epistemic_shares=[],
                best_epoch=None,
                num_left_to_person=None,
                truth=None,
                warnings=[],
                versions={},
            )
        )
    )
    assert "No history was recorded." in page.text
    assert "No items to show." in page.text
    assert "Read this first" not in page.text
    assert "nan" not in page.text.lower().split()


def test_the_same_run_gives_the_same_page(small_report_data: ReportData) -> None:
    assert render(small_report_data) == render(small_report_data)


def test_write_replaces_the_file_as_a_whole(small_report_data: ReportData, tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    target.write_text("old")
    assert write(small_report_data, target) == target
    assert target.read_text(encoding="utf-8") == render(small_report_data)
    assert list(tmp_path.iterdir()) == [target]


def test_a_failed_write_leaves_the_old_page(
    small_report_data: ReportData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "report.html"
    target.write_text("old")

    def full_disk(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write(small_report_data, target)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_without_jinja_the_extra_is_named(
    small_report_data: ReportData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtraError, match=r"needs jinja2.*bayesfuse\[report\]"):
        render(small_report_data)


def contrast(one: str, two: str) -> float:
    """Return the WCAG 2 contrast ratio of two colours such as `#1f5fa8`."""

    def luminance(colour: str) -> float:
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(two)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_text_stands_out_in_every_theme(html: str) -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    themes = re.findall(r":root \{([^}]*--page[^}]*)\}", html)
    assert len(themes) == 3  # light, dark, print
    for theme in themes:
        colours = dict(re.findall(r"--(\w+): (#\w{6})", theme))
        for ground in ("page", "card", "note"):
            for text in ("ink", "muted", "accent", "second"):
                assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground, theme)


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1200])
def test_a_real_browser_lays_it_out_without_scrolling_sideways(
    report_data: ReportData, tmp_path: Path, width: int
) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("no Chromium here to look at the page with")
    write(report_data, tmp_path / "report.html")
    # A frame of the wanted width; the frame's own script is not bound by the report's policy.
    (tmp_path / "frame.html").write_text(
        f'<iframe id="f" src="report.html" style="width:{width}px;height:800px;border:0"></iframe>'
        "<script>addEventListener('load', () => {"
        "const page = document.getElementById('f').contentDocument.documentElement;"
        "document.title = page.scrollWidth + '/' + page.clientWidth; });</script>"
    )
    done = subprocess.run(
        [
            *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"),
            *("--allow-file-access-from-files", f"--user-data-dir={tmp_path / 'profile'}"),
            (tmp_path / "frame.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    found = re.search(r"<title>(\d+)/(\d+)</title>", done.stdout)
    assert found is not None, done.stdout + done.stderr
    assert 0 < int(found.group(1)) <= int(found.group(2)) <= width
