"use strict";
// Works on what is already drawn: highlights, says who is shared, and lets nodes be moved.
const data = JSON.parse(document.getElementById("data").textContent);
const picture = document.getElementById("picture");
const nodes = [...picture.querySelectorAll(".node")];
const edges = [...picture.querySelectorAll(".edge")];
const panel = document.getElementById("panel");
const hint = panel.innerHTML;
const places = nodes.map((node) => [Number(node.dataset.x), Number(node.dataset.y)]);
const box = picture.viewBox.baseVal;
let chosen = -1;
let held = null;

document.body.classList.add("scripted");

function show(index) {
  const near = new Set([index]);
  const lines = [];
  data.edges.forEach(([first, second, words], number) => {
    const touches = first === index || second === index;
    if (touches) {
      const other = first === index ? second : first;
      near.add(other);
      lines.push([data.nodes[other].title, words]);
    }
    edges[number].classList.toggle("on", touches);
  });
  picture.classList.add("looking");
  nodes.forEach((node, number) => node.classList.toggle("on", near.has(number)));
  say(data.nodes[index].title, lines);
}

function showEdge(number) {
  const [first, second, words] = data.edges[number];
  picture.classList.add("looking");
  edges.forEach((edge, other) => edge.classList.toggle("on", other === number));
  nodes.forEach((node, other) => node.classList.toggle("on", other === first || other === second));
  say(data.nodes[first].title, [[data.nodes[second].title, words]]);
}

function clear() {
  if (chosen >= 0) {
    show(chosen);
    return;
  }
  picture.classList.remove("looking");
  panel.innerHTML = hint;
}

// Names are set as text, never as markup.
function say(title, lines) {
  const head = document.createElement("h2");
  head.textContent = title;
  const list = document.createElement("ul");
  for (const [other, words] of lines) {
    const item = document.createElement("li");
    const name = document.createElement("strong");
    name.textContent = other;
    item.append(name, ": " + words);
    list.append(item);
  }
  if (!lines.length) {
    list.append("shares nobody shown here");
  }
  panel.replaceChildren(head, list);
}

function choose(index) {
  chosen = chosen === index ? -1 : index;
  nodes.forEach((node, number) => node.setAttribute("aria-selected", String(number === chosen)));
  show(index);
}

function move(index, x, y) {
  const radius = Number(nodes[index].dataset.radius);
  places[index] = [
    Math.min(Math.max(x, radius), box.width - radius),
    Math.min(Math.max(y, radius), box.height - radius),
  ];
  const [left, top] = places[index];
  nodes[index].setAttribute("transform", `translate(${left},${top})`);
  data.edges.forEach(([first, second], number) => {
    for (const line of edges[number].querySelectorAll("line")) {
      if (first === index) {
        line.setAttribute("x1", left);
        line.setAttribute("y1", top);
      }
      if (second === index) {
        line.setAttribute("x2", left);
        line.setAttribute("y2", top);
      }
    }
  });
}

function focus(index) {
  nodes.forEach((node, number) => node.setAttribute("tabindex", number === index ? "0" : "-1"));
  nodes[index].focus();
}

// The nearest node that lies rather in this direction than in another.
function beside(index, right, down) {
  let best = -1;
  let least = Infinity;
  places.forEach(([x, y], other) => {
    const along = (x - places[index][0]) * right + (y - places[index][1]) * down;
    const across = Math.abs((x - places[index][0]) * down) + Math.abs((y - places[index][1]) * right);
    if (other !== index && along > 0 && across <= 2 * along && along + 2 * across < least) {
      best = other;
      least = along + 2 * across;
    }
  });
  return best;
}

const ARROWS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };

function pressed(event, index) {
  const arrow = ARROWS[event.key];
  if (arrow && event.shiftKey) {
    move(index, places[index][0] + 15 * arrow[0], places[index][1] + 15 * arrow[1]);
  } else if (arrow) {
    const other = beside(index, ...arrow);
    if (other >= 0) {
      focus(other);
    }
  } else if (event.key === "Home") {
    focus(0);
  } else if (event.key === "Enter" || event.key === " ") {
    choose(index);
  } else if (event.key === "Escape") {
    chosen = -1;
    nodes.forEach((node) => node.setAttribute("aria-selected", "false"));
    clear();
  } else {
    return;
  }
  event.preventDefault();
}

function pointer(event) {
  const at = new DOMPoint(event.clientX, event.clientY);
  const point = at.matrixTransform(picture.getScreenCTM().inverse());
  return [point.x, point.y];
}

nodes.forEach((node, index) => {
  node.addEventListener("pointerenter", () => held || show(index));
  node.addEventListener("pointerleave", () => held || clear());
  node.addEventListener("focus", () => show(index));
  node.addEventListener("blur", clear);
  node.addEventListener("keydown", (event) => pressed(event, index));
  node.addEventListener("pointerdown", (event) => {
    const [x, y] = pointer(event);
    held = { index, moved: false, x, y, dx: places[index][0] - x, dy: places[index][1] - y };
    node.setPointerCapture(event.pointerId);
  });
  node.addEventListener("pointermove", (event) => {
    if (held && held.index === index) {
      const [x, y] = pointer(event);
      held.moved = held.moved || Math.hypot(x - held.x, y - held.y) > 4;
      if (held.moved) {
        move(index, x + held.dx, y + held.dy);
      }
    }
  });
  node.addEventListener("pointerup", () => {
    const dragged = held && held.moved;
    held = null;
    if (!dragged) {
      focus(index);
      choose(index);
    }
  });
  node.addEventListener("pointercancel", () => {
    held = null;
  });
});

edges.forEach((edge, number) => {
  edge.addEventListener("pointerenter", () => held || showEdge(number));
  edge.addEventListener("pointerleave", () => held || clear());
});
