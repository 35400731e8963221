// Shows the graph: draws what graph_layout.js has placed, and answers to mouse, fingers and keys.
//
// Strategy: everything that is drawn is made anew when a module is opened or closed; moving and zooming only change the
// transform of the scene.  Far away, small print goes and titles grow.  Text from the file is only ever set as text.
"use strict";

const model = JSON.parse(document.getElementById("model").textContent);
const element = (id) => document.getElementById(id);
const canvas = element("canvas"), scene = element("scene"), panel = element("panel"), search = element("search"), found = element("found");
const view = { x: 0, y: 0, k: 1 };
const SMALL = 42; // so many boxes are shown at first, if modules can be closed
const FAR = 0.5;
let open = new Set(), placed = null, selected = null;

// ---- text width -----------------------------------------------------------------------------------------------------

const pen = document.createElement("canvas").getContext("2d");
const FONTS = { title: "650 13px ", group: "650 13px ", detail: "11px ", port: "11px " };
const widths = new Map();
function measure(text, style) {
  const key = style + text;
  if (!widths.has(key)) {
    pen.font = FONTS[style] + getComputedStyle(document.body).fontFamily;
    widths.set(key, pen.measureText(text).width);
  }
  return widths.get(key);
}
function fitText(text, style, room) {
  if (measure(text, style) <= room) return text;
  let low = 0, high = text.length;
  while (low < high) { const middle = (low + high + 1) >> 1; if (measure(text.slice(0, middle) + "…", style) <= room) low = middle; else high = middle - 1; }
  return text.slice(0, low) + "…";
}

// ---- drawing --------------------------------------------------------------------------------------------------------

function shape(parent, name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  parent.appendChild(made);
  return made;
}

function draw() {
  placed = layoutGraph(model, open, measure);
  scene.replaceChildren();
  for (const group of placed.groups.sort((a, b) => depth(a.number) - depth(b.number))) drawGroup(group);
  const lines = shape(scene, "g", {});
  for (const segment of placed.segments) drawSegment(lines, segment);
  for (const item of placed.items) drawItem(item);
  light();
  scale();
  for (const button of element("levels").children) button.classList.toggle("is-current", sameSet(button.opens, open));
}

const sameSet = (a, b) => a.size === b.size && [...a].every((each) => b.has(each));
function depth(group) { let steps = 0; for (let at = group; at >= 0; at = model.groups[at].parent) steps++; return steps; }

function drawGroup(place) {
  const group = model.groups[place.number];
  const drawn = shape(scene, "g", { class: "group " + group.kind, "data-key": "g" + place.number });
  shape(drawn, "rect", { x: place.x, y: place.y, width: place.w, height: place.h, rx: 9 });
  shape(drawn, "text", { class: "near", x: place.x + 13, y: place.y + 21 }, fitText("− " + group.title, "group", place.w - 20));
  const far = shape(drawn, "text", { class: "far", x: place.x + 10, y: place.y + 26 }, group.title);
  far.room = place.w - 16;
  far.wide = measure(group.title, "group") / 13;
  const bar = shape(drawn, "rect", { class: "bar", x: place.x, y: place.y, width: place.w, height: 32, tabindex: 0, role: "button", "aria-label": "close " + group.title });
  shape(bar, "title", {}, group.title + (group.note ? "\n" + group.note : "") + "\nclick to close");
  bar.toggles = place.number;
}

function drawSegment(lines, segment) {
  const path = pathOf(segment.points);
  segment.drawn = shape(lines, "path", { class: "edge" + (segment.isBack ? " is-back" : ""), d: path });
  if (segment.isEnd) segment.drawn.setAttribute("marker-end", "url(#head)");
  else segment.drawn.classList.add("is-passing");
  const hit = shape(lines, "path", { class: "edge-hit", d: path });
  const shown = segment.arrows.slice(0, 12).map((number) => arrowText(model.arrows[number]));
  shape(hit, "title", {}, shown.join("\n") + (segment.arrows.length > 12 ? "\n…" : ""));
  hit.segment = segment;
}

function arrowText([source, output, target, input]) {
  const from = model.boxes[source], port = from.outputs.find((each) => each.name === output);
  return `${from.id}${output ? "/" + output : ""}  →  ${model.boxes[target].id} (${input})` + (port && port.type ? `  [${port.type}]` : "");
}

function drawItem(item) {
  const number = +item.key.slice(1), isBox = item.key[0] === "b";
  const thing = isBox ? model.boxes[number] : model.groups[number];
  const drawn = shape(scene, "g", { class: "box " + thing.kind, "data-key": item.key, transform: `translate(${item.x} ${item.y})`, tabindex: 0, role: "button", "aria-label": thing.title });
  const wide = item.w, title = thing.title + (isBox ? "" : "  +");
  shape(drawn, "title", {}, [thing.id, isBox ? thing.detail : thing.note, isBox ? "" : "click the title to open it"].filter(Boolean).join("\n"));
  shape(drawn, "rect", { class: "body", width: wide, height: item.h, rx: 6 });
  shape(drawn, "path", { class: "stripe", d: `M6 0 H${wide - 6} a6 6 0 0 1 6 6 H0 a6 6 0 0 1 6 -6 z` });
  shape(drawn, "text", { class: "title near", x: wide / 2, y: 21, "text-anchor": "middle" }, fitText(title, "title", wide - 16));
  const about = isBox ? thing.detail : thing.note;
  if (about) shape(drawn, "text", { class: "detail near", x: wide / 2, y: 37, "text-anchor": "middle" }, fitText(about, "detail", wide - 16));
  drawFarTitle(drawn, thing.title, item);
  if (!isBox) {
    const named = (ports) => ports.map((port) => ({ key: port.name, name: port.shown }));
    drawPorts(drawn, item, named(item.ports.inputs), named(item.ports.outputs));
    drawn.querySelector(".title").classList.add("toggle");
    return;
  }
  drawPorts(drawn, item, thing.inputs, thing.outputs);
}

function drawPorts(drawn, item, inputs, outputs) {
  const need = (port) => (port ? measure(port.name, "port") + (port.chip ? measure(port.chip, "port") + 18 : 0) : 0);
  const free = item.w - 34;
  for (let row = 0; row < Math.max(inputs.length, outputs.length); row++) {
    const [left, right] = [need(inputs[row]), need(outputs[row])];
    const isTight = left + right > free;
    if (inputs[row]) drawPort(drawn, item, "in", inputs[row], isTight ? Math.max(free / 2, free - right) : left);
    if (outputs[row] && outputs[row].name) drawPort(drawn, item, "out", outputs[row], isTight ? Math.max(free / 2, free - left) : right);
  }
}

function drawFarTitle(drawn, title, item) {
  // as large as the box allows, in one line or in two where the name has a joint
  const one = Math.min((item.w - 12) / (measure(title, "title") / 13), item.h * 0.6, 34);
  const joint = [...title.matchAll(/[-_./ ]/g)].map((match) => match.index + 1).sort((a, b) => Math.abs(a - title.length / 2) - Math.abs(b - title.length / 2))[0];
  const parts = joint ? [title.slice(0, joint), title.slice(joint)] : [title];
  const two = Math.min((item.w - 12) / (Math.max(...parts.map((part) => measure(part, "title"))) / 13), item.h * 0.34, 34);
  const lines = joint && two > one * 1.15 ? parts : [title], size = Math.max(8, lines.length > 1 ? two : one);
  lines.forEach((line, at) => {
    const y = item.h / 2 + size * 0.36 + (at - (lines.length - 1) / 2) * size * 1.1;
    shape(drawn, "text", { class: "far", x: item.w / 2, y, "text-anchor": "middle", style: `font-size:${size}px` }, line.trim());
  });
}

function drawPort(drawn, item, side, port, room) {
  const key = port.key || port.name;
  const y = side === "in" ? item.ins.get(key) : item.outs.get(key);
  if (side === "out") {
    shape(drawn, "circle", { class: "port", cx: item.w, cy: y, r: 3 });
    shape(drawn, "text", { class: "port-out near", x: item.w - 10, y: y + 4, "text-anchor": "end" }, fitText(port.name, "port", room + 0.5));
    return;
  }
  if (!port.chip) shape(drawn, "circle", { class: "port", cx: 0, cy: y, r: 3 });
  const name = fitText(port.name, "port", room - (port.chip ? measure(port.chip, "port") + 18 : 0) + 0.5);
  shape(drawn, "text", { class: "near", x: 10, y: y + 4 }, name);
  if (!port.chip) return;
  const chip = shape(drawn, "g", { class: "chip near" }), x = 16 + measure(name, "port"), wide = measure(port.chip, "port");
  shape(chip, "rect", { x, y: y - 7, width: wide + 8, height: 14, rx: 7 });
  shape(chip, "text", { x: x + 4 + wide * 0.04, y: y + 3.5 }, port.chip);
}

// ---- moving and zooming ---------------------------------------------------------------------------------------------

function scale() {
  scene.setAttribute("transform", `translate(${view.x} ${view.y}) scale(${view.k})`);
  canvas.classList.toggle("is-far", view.k < FAR);
  if (view.k < FAR) for (const text of scene.querySelectorAll(".group .far")) text.style.fontSize = Math.max(8, Math.min(15 / view.k, 40, text.room / text.wide)) + "px";
}

function zoom(factor, x, y) {
  isMoved = true;
  const k = Math.min(3, Math.max(0.03, view.k * factor));
  view.x = x - (x - view.x) * (k / view.k);
  view.y = y - (y - view.y) * (k / view.k);
  view.k = k;
  scale();
}

let isMoved = false;
const room = () => ({ w: canvas.clientWidth - (panel.hidden ? 0 : Math.min(panel.offsetWidth, canvas.clientWidth / 2)), h: canvas.clientHeight });

new ResizeObserver(() => { if (placed && !isMoved) fit(); }).observe(canvas);

function fit() {
  isMoved = false;
  const { w, h } = room();
  view.k = Math.min(1.25, w / placed.width, h / placed.height) || 1;
  view.x = (w - placed.width * view.k) / 2;
  view.y = (h - placed.height * view.k) / 2;
  scale();
}

function show(key) {
  const item = placed.items.find((each) => each.key === key) || placed.groups.find((each) => "g" + each.number === key);
  if (!item) return;
  isMoved = true;
  const { w, h } = room();
  view.k = Math.max(view.k, 0.9);
  view.x = w / 2 - (item.x + item.w / 2) * view.k;
  view.y = h / 2 - (item.y + Math.min(item.h, h / view.k) / 2) * view.k;
  scale();
}

/** Open or close a module; its title stays where it is. */
function toggle(number) {
  const before = placeOf(number);
  if (open.has(number)) open.delete(number); else open.add(number);
  draw();
  const after = placeOf(number);
  if (before && after) { view.x += (before.x - after.x) * view.k; view.y += (before.y - after.y) * view.k; scale(); }
}
const placeOf = (number) => placed.groups.find((each) => each.number === number) || placed.items.find((each) => each.key === "g" + number);

const fingers = new Map();
let dragged = 0, pressed = null;
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  const box = canvas.getBoundingClientRect();
  if (event.shiftKey) { view.x -= event.deltaY; scale(); } else zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), event.clientX - box.left, event.clientY - box.top);
}, { passive: false });
canvas.addEventListener("pointerdown", (event) => {
  fingers.set(event.pointerId, event);
  [dragged, pressed] = [0, event.target];
});
canvas.addEventListener("pointermove", (event) => {
  const last = fingers.get(event.pointerId);
  if (!last) return;
  const [dx, dy] = [event.clientX - last.clientX, event.clientY - last.clientY];
  dragged += Math.abs(dx) + Math.abs(dy);
  if (dragged > 4 && !canvas.hasPointerCapture(event.pointerId)) { canvas.setPointerCapture(event.pointerId); canvas.classList.add("is-dragging"); }
  const other = [...fingers.values()].find((each) => each.pointerId !== event.pointerId);
  if (other) {
    const far = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
    const box = canvas.getBoundingClientRect();
    zoom(far(event) / (far(last) || 1), other.clientX - box.left, other.clientY - box.top);
  } else { isMoved = true; view.x += dx; view.y += dy; scale(); }
  fingers.set(event.pointerId, event);
});
function release(event) {
  if (!fingers.delete(event.pointerId)) return;
  canvas.classList.remove("is-dragging");
  if (event.type === "pointerup" && dragged <= 4) click(pressed);
}
canvas.addEventListener("pointerup", release);
canvas.addEventListener("pointercancel", release);

function click(target) {
  element("hint").hidden = true;
  if (target.toggles !== undefined) return toggle(target.toggles);
  const box = target.closest(".box");
  if (box && target.classList.contains("toggle")) return toggle(+box.dataset.key.slice(1));
  if (target.segment) return select({ arrows: target.segment.arrows });
  const group = target.closest(".group");
  select(box ? { key: box.dataset.key } : group ? { key: group.dataset.key } : null);
}
canvas.addEventListener("dblclick", (event) => {
  const box = event.target.closest(".box.module, .box.runtime");
  if (box) toggle(+box.dataset.key.slice(1));
});
canvas.addEventListener("pointerover", (event) => hover(event.target.segment));
function hover(segment) {
  for (const each of placed.segments) each.drawn.classList.toggle("is-hot", Boolean(segment) && each.arrows.some((arrow) => segment.arrows.includes(arrow)));
}

// ---- selection and panel --------------------------------------------------------------------------------------------

const isInside = (group, outer) => group === outer || (group >= 0 && isInside(model.groups[group].parent, outer));
function boxesOf(key) {
  const number = +key.slice(1);
  return key[0] === "b" ? [number] : model.boxes.map((box, at) => at).filter((at) => isInside(model.boxes[at].group, number));
}

function select(what) {
  selected = what;
  if (what) element("hint").hidden = true;
  panel.hidden = !what;
  panel.replaceChildren();
  if (what) fillPanel(what);
  light();
  const key = what && what.key ? (what.key[0] === "b" ? model.boxes : model.groups)[+what.key.slice(1)].id : "";
  try { history.replaceState(null, "", key ? "#" + encodeURIComponent(key) : location.pathname + location.search); } catch { /* not allowed everywhere */ }
}

function light() {
  const chosen = new Set(selected && selected.key ? boxesOf(selected.key) : []);
  const kinds = model.arrows.map(([source, , target], arrow) => {
    if (selected && selected.arrows) return selected.arrows.includes(arrow) ? "is-out" : "";
    return chosen.has(source) === chosen.has(target) ? (chosen.has(source) && chosen.size === 1 ? "is-out" : "") : chosen.has(source) ? "is-out" : "is-in";
  });
  canvas.classList.toggle("has-selection", Boolean(selected));
  const lit = new Set();
  for (const segment of placed.segments) {
    const kind = selected && segment.arrows.map((arrow) => kinds[arrow]).find(Boolean);
    for (const name of ["is-in", "is-out"]) segment.drawn.classList.toggle(name, kind === name);
    segment.drawn.classList.toggle("is-lit", Boolean(kind));
    if (segment.isEnd) segment.drawn.setAttribute("marker-end", `url(#head${kind ? kind.slice(2) : ""})`);
  }
  kinds.forEach((kind, arrow) => { if (kind) { lit.add(model.arrows[arrow][0]); lit.add(model.arrows[arrow][2]); } });
  for (const drawn of scene.querySelectorAll("[data-key]")) {
    const own = boxesOf(drawn.dataset.key);
    drawn.classList.toggle("is-selected", Boolean(selected) && selected.key === drawn.dataset.key);
    drawn.classList.toggle("is-lit", own.some((box) => lit.has(box) || chosen.has(box)));
  }
}

function add(parent, name, text, kind) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  parent.appendChild(made);
  return made;
}

function link(parent, key, text) {
  const made = add(parent, "a", text);
  made.tabIndex = 0;
  made.onclick = () => go(key);
  made.onkeydown = (event) => { if (event.key === "Enter") go(key); };
}

function fillPanel(what) {
  const close = add(panel, "button", "×", "close");
  close.setAttribute("aria-label", "close");
  close.onclick = () => select(null);
  if (what.arrows) return fillArrows(what.arrows);
  const number = +what.key.slice(1);
  if (what.key[0] === "g") return fillGroup(number);
  const box = model.boxes[number];
  add(panel, "h2", box.title);
  const kind = add(panel, "p", box.kind === "missing" ? "does not exist" : box.kind, "kind" + (box.kind === "missing" ? " warning" : ""));
  if (box.group >= 0) { add(kind, "span", " in "); link(kind, "g" + box.group, model.groups[box.group].id); }
  fillFacts(box.facts);
  if (box.inputs.length) add(panel, "h3", `Inputs (${box.inputs.length})`);
  for (const port of box.inputs) {
    const item = portItem(port);
    const feeding = model.arrows.filter(([, , target, input]) => target === number && input === port.name);
    for (const [source, output] of feeding) { add(item, "span", " ← ", "note"); link(item, "b" + source, model.boxes[source].id + (output ? "/" + output : "")); }
    if (!feeding.length && port.chip) add(item, "span", " ← " + port.chip, "note");
    if (port.note) add(item, "div", port.note, "note");
  }
  const outputs = box.outputs.filter((port) => port.name);
  if (outputs.length) add(panel, "h3", `Outputs (${outputs.length})`);
  for (const port of outputs) {
    const item = portItem(port);
    const readers = model.arrows.filter(([source, output]) => source === number && output === port.name);
    if (port.note) add(item, "div", port.note, "note");
    if (!readers.length) add(item, "div", "read by no node", "note");
    readers.forEach(([, , target, input], at) => { add(item, "span", at ? ", " : " → ", "note"); link(item, "b" + target, model.boxes[target].id + " (" + input + ")"); });
  }
}

function portItem(port) {
  const item = add(panel, "div", undefined, "item");
  add(item, "b", port.name);
  if (port.type) add(item, "span", port.type, "type");
  return item;
}

function fillFacts(facts) {
  if (!facts.length) return;
  const list = add(panel, "dl");
  for (const [key, value] of facts) { add(list, "dt", key); add(list, "dd", value); }
}

function fillGroup(number) {
  const group = model.groups[number], inside = boxesOf("g" + number);
  add(panel, "h2", group.id);
  add(panel, "p", group.kind === "module" ? `module, ${inside.length} nodes inside` : `node with ${inside.length} operators in one process`, "kind");
  fillFacts(group.note ? [["file", group.note]] : []);
  const flip = add(panel, "button", open.has(number) ? "Close in the picture" : "Open in the picture");
  flip.style.cssText = "margin:10px 0 0;border-radius:6px";
  flip.onclick = () => { toggle(number); select({ key: "g" + number }); };
  add(panel, "h3", "Inside");
  const inner = model.groups.map((each, at) => at).filter((at) => model.groups[at].parent === number);
  for (const at of inner) link(add(panel, "div", undefined, "item"), "g" + at, model.groups[at].title + " …");
  for (const at of inside.filter((at) => model.boxes[at].group === number)) link(add(panel, "div", undefined, "item"), "b" + at, model.boxes[at].title);
}

function fillArrows(arrows) {
  const [source, output] = model.arrows[arrows[0]];
  const port = model.boxes[source].outputs.find((each) => each.name === output);
  add(panel, "h2", model.boxes[source].id + (output ? "/" + output : ""));
  add(panel, "p", "message" + (port && port.type ? " of type " + port.type : ""), "kind");
  add(panel, "h3", "From");
  link(add(panel, "div", undefined, "item"), "b" + source, model.boxes[source].id);
  add(panel, "h3", "To");
  for (const [, , target, input] of arrows.map((arrow) => model.arrows[arrow])) link(add(panel, "div", undefined, "item"), "b" + target, model.boxes[target].id + " (" + input + ")");
}

/** Select and show something, opening what it is in. */
function go(key) {
  const group = key[0] === "b" ? model.boxes[+key.slice(1)].group : model.groups[+key.slice(1)].parent;
  let isNew = false;
  for (let at = group; at >= 0; at = model.groups[at].parent) if (!open.has(at)) { open.add(at); isNew = true; }
  if (isNew) draw();
  select({ key });
  show(key);
}

// ---- search, levels, keys -------------------------------------------------------------------------------------------

const words = [
  ...model.boxes.map((box, at) => ({ key: "b" + at, title: box.id, about: box.detail, text: [box.id, box.title, box.detail, ...box.outputs.map((p) => p.name), ...box.inputs.map((p) => p.name), ...box.facts.flat()].join("\n").toLowerCase() })),
  ...model.groups.map((group, at) => ({ key: "g" + at, title: group.id, about: group.note || group.kind, text: (group.id + "\n" + group.note).toLowerCase() })),
];
let matches = [], current = 0;
function listMatches() {
  const text = search.value.trim().toLowerCase();
  const rank = (word) => (word.title.toLowerCase().startsWith(text) ? 0 : word.title.toLowerCase().includes(text) ? 1 : 2);
  matches = text ? words.filter((word) => word.text.includes(text)).sort((a, b) => rank(a) - rank(b)).slice(0, 14) : [];
  current = 0;
  showMatches();
}
function showMatches() {
  found.hidden = !search.value.trim();
  found.replaceChildren();
  matches.forEach((match, at) => {
    const item = add(found, "li", match.title, at === current ? "is-current" : "");
    if (match.about) add(item, "small", match.about);
    item.onpointerdown = (event) => { event.preventDefault(); take(match); };
  });
  if (!matches.length) add(found, "li", "nothing found");
}
function take(match) {
  if (!match) return;
  found.hidden = true;
  search.blur();
  go(match.key);
}
search.addEventListener("input", listMatches);
search.addEventListener("focus", listMatches);
search.addEventListener("blur", () => { found.hidden = true; });
search.addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step && matches.length) { current = (current + step + matches.length) % matches.length; showMatches(); event.preventDefault(); }
  if (event.key === "Enter") take(matches[current]);
  if (event.key === "Escape") { search.value = ""; search.blur(); }
  event.stopPropagation();
});

const middle = (factor) => zoom(factor, canvas.clientWidth / 2, canvas.clientHeight / 2);
const KEYS = {
  "/": () => search.focus(), "+": () => middle(1.3), "=": () => middle(1.3), "-": () => middle(1 / 1.3), "0": fit, "Escape": () => select(null),
  "ArrowLeft": () => { view.x += 60; scale(); }, "ArrowRight": () => { view.x -= 60; scale(); },
  "ArrowUp": () => { view.y += 60; scale(); }, "ArrowDown": () => { view.y -= 60; scale(); },
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if ((event.key === "Enter" || event.key === " ") && event.target.closest && event.target.closest("#scene [tabindex]")) { click(event.target); event.preventDefault(); return; }
  const act = KEYS[event.key];
  if (act) { act(); event.preventDefault(); }
});

function makeLevels() {
  const deepest = Math.max(0, ...model.groups.map((group, at) => depth(at)));
  const upTo = (levels) => new Set(model.groups.map((group, at) => at).filter((at) => depth(at) <= levels));
  const seenWith = (opened) => new Set(model.boxes.map((box, at) => {
    let key = "b" + at;
    for (let group = box.group; group >= 0; group = model.groups[group].parent) if (!opened.has(group)) key = "g" + group;
    return key;
  })).size;
  for (let levels = 0; levels <= deepest && deepest; levels++) {
    const button = add(element("levels"), "button", levels === 0 ? "Modules closed" : levels === deepest ? "All open" : `${levels} open`);
    button.title = levels === 0 ? "Close all modules" : levels === deepest ? "Open all modules" : `Open ${levels} level${levels > 1 ? "s" : ""} of modules`;
    button.opens = upTo(levels);
    button.onclick = () => { open = new Set(button.opens); draw(); fit(); };
  }
  for (let levels = 0; levels <= deepest; levels++) if (levels === 0 || seenWith(upTo(levels)) <= SMALL) open = upTo(levels);
}

function paint(theme) {
  document.documentElement.dataset.theme = theme;
  try { localStorage.setItem("dora-graph-theme", theme); } catch { /* not kept */ }
}

function begin() {
  element("title").textContent = model.title;
  element("count").textContent = model.count;
  let theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  try { theme = localStorage.getItem("dora-graph-theme") || theme; } catch { /* not kept */ }
  document.documentElement.dataset.theme = theme;
  makeLevels();
  draw();
  fit();
  element("in").onclick = () => middle(1.3);
  element("out").onclick = () => middle(1 / 1.3);
  element("fit").onclick = fit;
  element("theme").onclick = () => paint(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  const wanted = decodeURIComponent(location.hash.slice(1));
  const box = model.boxes.findIndex((each) => each.id === wanted), group = model.groups.findIndex((each) => each.id === wanted);
  if (wanted && box >= 0) go("b" + box); else if (wanted && group >= 0) go("g" + group);
}

begin();
