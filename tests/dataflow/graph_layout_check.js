// Lays out random graphs and looks at what comes out: `node graph_layout_check.js COUNT`.
"use strict";
const path = require("path");
const { layoutGraph, pathOf } = require(path.join(__dirname, "../../src/dora/dataflow/static/graph_layout.js"));

let seed = 1;
const random = (below) => { seed = (seed * 1103515245 + 12345) % 2147483648; return Math.floor((seed / 2147483648) * below); };
const fail = (text) => { console.log(text); process.exit(1); };

function randomModel(number) {
  const groups = Array.from({ length: random(8) }, (_, at) => ({ id: "g" + at, title: "group " + at, kind: "module", note: "", parent: random(at + 1) - 1 }));
  const boxes = Array.from({ length: random(number % 7 === 0 ? 120 : 30) }, (_, at) => ({
    id: "n" + at, title: "node " + at, kind: "node", detail: at % 3 ? "n.py" : "", group: random(groups.length + 1) - 1, inputs: [],
    outputs: Array.from({ length: random(4) }, (_, port) => ({ name: "o" + port })),
  }));
  const arrows = [];
  const senders = boxes.map((box, at) => at).filter((at) => boxes[at].outputs.length);
  for (let left = senders.length ? random(boxes.length * 3) : 0; left > 0; left--) {
    const source = senders[random(senders.length)], target = random(boxes.length), input = "i" + boxes[target].inputs.length;
    boxes[target].inputs.push({ name: input, chip: left % 5 ? undefined : "30 Hz" });
    arrows.push([source, "o" + random(boxes[source].outputs.length), target, input]);
  }
  return { boxes, groups, arrows };
}

const inside = (a, b) => a.x >= b.x - 0.01 && a.y >= b.y - 0.01 && a.x + a.w <= b.x + b.w + 0.01 && a.y + a.h <= b.y + b.h + 0.01;
const apart = (a, b) => a.x >= b.x + b.w || b.x >= a.x + a.w || a.y >= b.y + b.h || b.y >= a.y + a.h;

function check(model, open, number) {
  const placed = layoutGraph(model, open, (text) => text.length * 7);
  const all = { x: 0, y: 0, w: placed.width, h: placed.height };
  const groupOf = (key) => (key[0] === "b" ? model.boxes : model.groups)[+key.slice(1)][key[0] === "b" ? "group" : "parent"];
  placed.items.forEach((item, at) => {
    if (![item.x, item.y, item.w, item.h].every(Number.isFinite)) fail(`graph ${number}: ${item.key} has no place`);
    if (!inside(item, all)) fail(`graph ${number}: ${item.key} is outside the picture`);
    const outer = placed.groups.find((group) => group.number === groupOf(item.key));
    if (outer ? !inside(item, outer) : groupOf(item.key) >= 0) fail(`graph ${number}: ${item.key} is outside its group`);
    for (const other of placed.items.slice(0, at)) if (!apart(item, other)) fail(`graph ${number}: ${item.key} over ${other.key}`);
    for (const group of placed.groups) if (!inside(item, group) && !apart(item, group)) fail(`graph ${number}: ${item.key} on the border of ${group.number}`);
  });
  const drawn = new Set(placed.segments.flatMap((segment) => segment.arrows));
  const closed = (box) => { let key = "b" + box; for (let at = model.boxes[box].group; at >= 0; at = model.groups[at].parent) if (!open.has(at)) key = "g" + at; return key; };
  model.arrows.forEach(([source, , target], arrow) => {
    const isHidden = closed(source) === closed(target) && closed(source)[0] === "g";
    if (drawn.has(arrow) === isHidden) fail(`graph ${number}: arrow ${arrow} is ${isHidden ? "drawn" : "missing"}`);
    const ends = placed.segments.filter((segment) => segment.arrows.includes(arrow) && segment.isEnd);
    if (!isHidden && ends.length !== 1) fail(`graph ${number}: arrow ${arrow} has ${ends.length} heads`);
  });
  for (const segment of placed.segments) if (/NaN|undefined|Infinity/.test(pathOf(segment.points))) fail(`graph ${number}: ${pathOf(segment.points)}`);
}

const count = +process.argv[2];
for (let number = 0; number < count; number++) {
  const model = randomModel(number), all = model.groups.map((group, at) => at);
  for (const open of [new Set(), new Set(all), new Set(all.filter((at) => at % 2))]) check(model, open, number);
}
console.log(`${count} graphs`);
