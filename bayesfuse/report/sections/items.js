"use strict";
// Searches, sorts and leafs through the table of items, and shows the ranking of one label.
const ROWS = 50;
const data = JSON.parse(document.getElementById("items-data").textContent);
const items = data.items.map(([id, title, picture, uncertainty, share, person, tags], place) => ({
  id,
  name: title || id,
  title,
  picture,
  uncertainty,
  share,
  person,
  place,
  tags: tags.map(([label, mean, low, high, given, truth]) => ({
    label: data.labels[label],
    mean,
    low,
    high,
    given,
    truth,
  })),
}));
for (const item of items) {
  const given = item.tags.filter((tag) => tag.given).map((tag) => tag.label);
  item.given = new Set(given);
  item.words = folded([item.name, item.id, ...given].join("\n"));
}

const table = document.getElementById("items-table");
const body = table.tBodies[0];
const blank = document.getElementById("item-row").content.querySelector("tr");
const search = document.getElementById("search");
const tagged = document.getElementById("tagged");
const decision = document.getElementById("decision");
const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
const KEYS = {
  title: (a, b) => collator.compare(a.name, b.name),
  tags: (a, b) => chance(a) - chance(b),
  uncertainty: (a, b) => a.uncertainty - b.uncertainty,
  share: (a, b) => a.share - b.share,
  person: (a, b) => a.person - b.person,
};
let sorted = { key: "uncertainty", down: true };
let page = 0;
let shown = [];

// Letters without case and accents.
function folded(text) {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}

// The probability of the label that is asked for, or of the likeliest.
function chance(item) {
  const wanted = tagged.value;
  const tag = wanted ? item.tags.find((one) => one.label === wanted) : item.tags[0];
  return tag ? tag.mean : 0;
}

function choose() {
  const words = folded(search.value).split(/\s+/).filter(Boolean);
  shown = items.filter(
    (item) =>
      words.every((word) => item.words.includes(word)) &&
      (!tagged.value || item.given.has(tagged.value)) &&
      (!decision.value || item.person === Number(decision.value)),
  );
  const compare = KEYS[sorted.key];
  const sign = sorted.down ? -1 : 1;
  shown.sort((a, b) => sign * compare(a, b) || a.place - b.place);
  leaf(0);
}

function leaf(to) {
  page = to;
  const start = ROWS * page;
  const end = Math.min(start + ROWS, shown.length);
  body.replaceChildren(...shown.slice(start, end).map(row));
  const of = shown.length < items.length ? ` (of ${count(items.length)})` : "";
  const words = shown.length
    ? `Items ${count(start + 1)} to ${count(end)} of ${count(shown.length)}${of}`
    : `No item matches${of}.`;
  for (const place of document.querySelectorAll(".leaf p")) {
    place.textContent = words;
  }
  for (const button of document.querySelectorAll(".leaf button")) {
    const focused = document.activeElement === button;
    const previous = button.classList.contains("previous");
    button.disabled = previous ? page === 0 : end >= shown.length;
    if (focused && button.disabled) {
      // of no use any more: the one beside it takes the focus
      (previous ? button.nextElementSibling : button.previousElementSibling).focus();
    }
  }
}

// Whatever is of the catalogue is set as text, never as markup.
function row(item) {
  const made = blank.cloneNode(true);
  const cells = made.cells;
  const id = made.querySelector(".id");
  made.querySelector(".title").textContent = item.name;
  id.textContent = item.id;
  if (item.title === null) {
    id.remove();
  }
  const image = made.querySelector("img");
  if (item.picture >= 0) {
    image.src = data.pictures[item.picture];
    image.alt = `Picture of ${item.name}`;
  } else if (data.pictures.length) {
    const gap = document.createElement("span");
    gap.className = "picture";
    image.replaceWith(gap);
  } else {
    image.remove();
  }
  const line = cells[1].querySelector(".tag");
  cells[1].replaceChildren(...item.tags.map((tag) => tagLine(line, tag)));
  cells[2].textContent = item.uncertainty.toFixed(3);
  cells[3].textContent = percent(item.share);
  if (!item.person) {
    cells[4].textContent = "tagged";
  }
  return made;
}

function tagLine(line, tag) {
  const made = line.cloneNode(true);
  made.classList.toggle("given", Boolean(tag.given));
  made.querySelector(".label").textContent = tag.label;
  if (!tag.given) {
    made.querySelector(".hidden").remove();
  }
  if (!tag.truth) {
    made.querySelector(".truth").remove();
  }
  const range = made.querySelector(".range").style;
  range.left = `${100 * tag.low}%`;
  range.width = `${100 * (tag.high - tag.low)}%`;
  made.querySelector(".dot").style.left = `${100 * tag.mean}%`;
  const interval = made.querySelector(".value .muted");
  interval.textContent = `(${percent(tag.low)} to ${percent(tag.high)})`;
  made.querySelector(".value").firstChild.data = `${percent(tag.mean)} `;
  return made;
}

function percent(value) {
  return value > 0 && value < 0.005 ? "<1 %" : `${(100 * value).toFixed(0)} %`;
}

function count(number) {
  return number.toLocaleString("en");
}

function sortBy(head) {
  const key = head.dataset.sort;
  // Names begin at A, numbers at the highest; a second click turns the order round.
  const down = sorted.key === key ? !sorted.down : key !== "title";
  sorted = { key, down };
  for (const other of table.querySelectorAll("th[aria-sort]")) {
    other.removeAttribute("aria-sort");
  }
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  choose();
}

for (const head of table.querySelectorAll("th[data-sort]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = head.textContent;
  button.addEventListener("click", () => sortBy(head));
  head.replaceChildren(button);
}
search.addEventListener("input", choose);
tagged.addEventListener("change", choose);
decision.addEventListener("change", choose);
document.getElementById("controls").addEventListener("submit", (event) => event.preventDefault());
for (const [name, step] of [[".previous", -1], [".next", 1]]) {
  document.querySelectorAll(name).forEach((button, place) => {
    button.addEventListener("click", () => {
      leaf(page + step);
      if (place > 0) {
        document.getElementById("controls").scrollIntoView();
      }
    });
  });
}

const rankBy = document.getElementById("rank-by");
if (rankBy) {
  const rankings = [...document.querySelectorAll("table.ranked")];
  const rank = () => {
    rankings.forEach((ranking, place) => {
      ranking.hidden = place !== Number(rankBy.value);
    });
  };
  for (const gap of document.querySelectorAll("[data-picture]")) {
    const number = Number(gap.dataset.picture);
    if (number >= 0) {
      const image = document.createElement("img");
      image.className = "picture";
      image.loading = "lazy";
      image.decoding = "async";
      image.alt = `Picture of ${gap.dataset.title}`;
      image.width = 48;
      image.height = 72;
      image.src = data.pictures[number];
      gap.replaceWith(image);
    }
  }
  rankBy.addEventListener("change", rank);
  document.getElementById("rank-controls").addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("rank-controls").hidden = false;
  rank();
}

document.body.classList.add("scripted");
document.getElementById("controls").hidden = false;
for (const place of document.querySelectorAll(".leaf")) {
  place.hidden = false;
}
choose();
