from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from bayesfuse.errors import MissingExtraError
from bayesfuse.graph.entity_graph import EntityGraph
from bayesfuse.graph.neighbourhood import ego
from bayesfuse.report.neighbourhood import LINES, Drawing, arrange
from bayesfuse.report.neighbourhood_page import render_page, write_page

EVIL = "</script><script>document.title='pwned'</script><b onload=\"x\">&'"
PEOPLE = {
    "director": [["A"], ["A"], ["A", "B"], ["B"], [f"B{EVIL}"]],
    "writer": [["C"], [], ["C"], [], []],
}


def draw(title: str = "Centre", name: str = "A") -> Drawing:
    people = {**PEOPLE, "director": [[name], [name], [name, "B"], ["B"], ["B"]]}
    titles = [title, "One", "Two", "Far", "Farther"]
    return arrange(ego(EntityGraph.from_people(people), 0, hops=2), list("vwxyz"), titles)


class Page(HTMLParser):
    """Collects the tags of a page, and the text in each."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def of(self, tag: str, name: str = "") -> list[dict[str, str | None]]:
        return [a for t, a in self.tags if t == tag and name in (a.get("class") or "").split(" ")]


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(render_page(draw()))


def test_nodes_and_edges_are_in_the_page(page: Page) -> None:
    nodes = page.of("g", "node")
    assert [node["aria-label"] for node in nodes][:2] == [
        "Centre",
        "Two: director A; writer C",
    ]
    assert len(page.of("g", "edge")) == len(draw().edges)
    text = " ".join(page.texts)
    assert "Farther" in text
    assert "director B (with Two)" in text


def test_one_node_is_reached_by_tab_and_the_rest_by_arrows(page: Page) -> None:
    assert [node["tabindex"] for node in page.of("g", "node")] == ["0", "-1", "-1", "-1", "-1"]
    assert {node["role"] for node in page.of("g", "node")} == {"option"}


def test_nothing_comes_from_elsewhere(page: Page) -> None:
    for tag, attributes in page.tags:
        assert not {"src", "href", "xlink:href", "onclick", "onload"} & set(attributes), tag
    assert "http" not in render_page(draw()).replace("http-equiv", "")


def test_only_our_script_may_run(page: Page) -> None:
    policy = next(a["content"] for t, a in page.tags if t == "meta" and "http-equiv" in a)
    assert policy is not None
    script = re.findall(r"<script>(.*?)</script>", render_page(draw()), re.S)
    assert len(script) == 1
    digest = base64.b64encode(hashlib.sha256(script[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


def test_names_are_escaped_wherever_they_stand() -> None:
    plain, evil = Page(render_page(draw())), Page(render_page(draw(EVIL, EVIL)))
    assert [tag for tag, _ in plain.tags] == [tag for tag, _ in evil.tags]
    found = re.search(
        r'<script id="data" type="application/json">(.*?)</script>',
        render_page(draw(EVIL, EVIL)),
        re.S,
    )
    assert found is not None
    data = json.loads(found.group(1))
    assert data["nodes"][0]["title"] == EVIL
    assert EVIL in data["edges"][0][2]


def contrast(one: str, two: str) -> float:
    """Return the WCAG 2 contrast ratio of two colours such as `#1f5fa8`."""

    def luminance(colour: str) -> float:
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(two)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_text_and_lines_stand_out_in_both_themes() -> None:
    themes = re.findall(r":root \{([^}]*--page[^}]*)\}", render_page(draw()))
    assert len(themes) == 2
    for theme in themes:
        colours = dict(re.findall(r"--(\w+): (#\w{6})", theme))
        lines = [f"line{number}" for number in range(len(LINES))]
        for name in ("ink", "muted", "accent", "second", *lines):
            for ground in ("page", "card"):
                assert contrast(colours[name], colours[ground]) >= 4.5, (name, ground)


def test_relations_differ_by_dashes_and_not_by_colour_alone() -> None:
    dashes = [dash for _, _, dash in LINES[:-1]]
    assert len(set(dashes)) == len(dashes)


def test_a_page_is_written_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "around.html"
    target.write_text("old")
    assert write_page(draw(), target) == target
    assert target.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert list(tmp_path.iterdir()) == [target]


def test_the_script_does_not_make_markup_of_names() -> None:
    source = Path(render_page.__code__.co_filename).with_name("neighbourhood.js").read_text()
    # The one thing that is set as markup is the hint that the page itself holds.
    assert re.findall(r"\.innerHTML = (.*);", source) == ["hint"]
    assert "insertAdjacentHTML" not in source
    assert "</script" not in source


def test_without_jinja_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    drawing = draw()
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtraError, match=r"needs jinja2.*bayesfuse\[report\]"):
        render_page(drawing)


STEPS = """
const frame = document.getElementById('f');
addEventListener('load', () => {
  const page = frame.contentDocument, view = frame.contentWindow, seen = {};
  const nodes = [...page.querySelectorAll('.node')], edges = [...page.querySelectorAll('.edge')];
  const panel = () => page.getElementById('panel').innerText;
  const on = (all) => all.filter((one) => one.classList.contains('on')).length;
  const key = (of, name, shiftKey) =>
    of.dispatchEvent(new view.KeyboardEvent('keydown', {key: name, shiftKey, bubbles: true}));
  const point = (of, name, clientX, clientY) =>
    of.dispatchEvent(new view.PointerEvent(name, {clientX, clientY, pointerId: 1}));
  seen.wide = page.documentElement.scrollWidth > page.documentElement.clientWidth;
  seen.hint = panel();
  point(nodes[0], 'pointerenter');
  seen.hover = [panel(), on(nodes), on(edges)];
  point(nodes[0], 'pointerleave');
  seen.left = [panel() === seen.hint, page.querySelectorAll('.looking').length];
  point(edges[0], 'pointerenter');
  seen.edge = [panel(), on(nodes), on(edges)];
  point(edges[0], 'pointerleave');
  nodes[0].focus();
  seen.focus = panel() !== seen.hint;
  for (const arrow of ['ArrowRight', 'ArrowLeft', 'ArrowUp', 'ArrowDown']) {
    if (page.activeElement === nodes[0]) key(nodes[0], arrow, false);
  }
  const now = page.activeElement;
  seen.arrow = [nodes.includes(now), now !== nodes[0], now.getAttribute('tabindex')];
  const before = now.getAttribute('transform');
  key(now, 'ArrowUp', true); key(now, 'ArrowLeft', true); key(now, 'ArrowLeft', true);
  seen.moved = now.getAttribute('transform') !== before && page.activeElement === now;
  key(now, 'Enter', false);
  seen.chosen = now.getAttribute('aria-selected');
  key(now, 'Escape', false);
  seen.freed = now.getAttribute('aria-selected');
  nodes[1].setPointerCapture = () => {};  // no real pointer holds it
  const box = nodes[1].querySelector('circle').getBoundingClientRect();
  const x = box.x + box.width / 2, y = box.y + box.height / 2;
  point(nodes[1], 'pointerdown', x, y);
  point(nodes[1], 'pointermove', x - 60, y - 30);
  point(nodes[1], 'pointerup', x - 60, y - 30);
  const after = nodes[1].querySelector('circle').getBoundingClientRect();
  seen.dragged = [Math.round(after.x - box.x), Math.round(after.y - box.y)];
  const [left, top] = nodes[1].getAttribute('transform').match(/[-\\d.]+/g).map(Number);
  seen.follow = edges.filter((edge) => edge.querySelector('line').getAttribute('x2') == left
    || edge.querySelector('line').getAttribute('x1') == left).length;
  seen.title = page.title;
  const out = document.createElement('pre');
  out.id = 'seen';
  out.textContent = JSON.stringify(seen);
  document.body.append(out);
});
"""


def look(page: Path, width: int) -> dict[str, Any]:
    """Return what a browser sees on the page as it is used."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("no Chromium here to look at the page with")
    frame = page.with_name("frame.html")
    # The frame's own script is not bound by the page's policy.
    frame.write_text(
        f'<!DOCTYPE html><body><iframe id="f" src="{page.name}" '
        f'style="width:{width}px;height:900px;border:0"></iframe><script>{STEPS}</script>'
    )
    done = subprocess.run(
        [
            *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"),
            *("--allow-file-access-from-files", f"--user-data-dir={page.parent / 'profile'}"),
            *("--window-size=1400,1000", frame.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    found = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout, re.S)
    assert found is not None, done.stdout[-2000:] + done.stderr[-2000:]
    seen: dict[str, Any] = json.loads(html.unescape(found.group(1)))
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1200])
@pytest.mark.parametrize("title", ["Centre", EVIL], ids=["plain", "evil"])
def test_a_real_browser_can_use_it(tmp_path: Path, width: int, title: str) -> None:
    seen = look(write_page(draw(title, title), tmp_path / "around.html"), width)
    assert not seen["wide"]
    assert "Point at an item" in seen["hint"]
    # the centre has two neighbours, by two edges
    assert seen["hover"][1:] == [3, 2]
    assert "Two: director " in seen["hover"][0]
    assert "; writer C" in seen["hover"][0]
    assert seen["left"] == [True, 0]
    assert seen["edge"][1:] == [2, 1]
    assert seen["focus"]
    assert seen["arrow"] == [True, True, "0"]
    assert seen["moved"]
    assert (seen["chosen"], seen["freed"]) == ("true", "false")
    assert seen["dragged"] == [-60, -30]
    assert seen["follow"] == len([e for e in draw(title, title).edges if 1 in (e.first, e.second)])
    assert seen["title"] == f"Around {title}"
