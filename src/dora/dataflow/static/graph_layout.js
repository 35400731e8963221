// Where everything stands: boxes in layers from left to right, groups inside groups, edges as curves between ports.
//
// Strategy: every group that is open is laid out by itself, the innermost first, and is then one box of its parent
// (Sugiyama, Tagawa, Toda 1981, in a recursive form).  A signal (one output of one box) crosses the border of a group
// in one port, whatever number of inputs it feeds inside.  In a group: edges that close a cycle are led back below
// their ends; boxes go right of what feeds them; edges over more layers get a waypoint in each; sweeps by barycentre,
// ports included, keep the order with the fewest crossings; heights are the least squares solution that keeps the
// order (pool adjacent violators), so that long edges run straight.
"use strict";

const LAYOUT = {
  title: 30, detail: 16, row: 18, foot: 8, header: 30, pad: 16, gap: 22, bundle: 7, channel: 46, widest: 320,
};
const DETOUR = 22;

/** @param model {boxes, groups, arrows}; @param open Set of groups that show what is in them; @param measure(text, style) */
function layoutGraph(model, open, measure) {
  const tree = makeTree(model, open);
  const segments = splitArrows(model, tree);
  const root = layoutGroup(-1, model, tree, segments, measure);
  const result = { items: [], groups: [], segments: [], width: root.w, height: root.h };
  collect(root, 0, 0, result);
  return result;
}

/** Which items (open or closed groups, boxes) are directly in which open group. */
function makeTree(model, open) {
  const isOpen = (group) => group < 0 || open.has(group);
  const ancestors = (group) => {
    const found = [];
    for (let at = group; at >= 0; at = model.groups[at].parent) found.unshift(at);
    return found;
  };
  // the innermost thing that is seen of a box: itself, or the outermost closed group around it
  const seen = model.boxes.map((box, number) => {
    const closed = ancestors(box.group).find((group) => !isOpen(group));
    return closed === undefined ? "b" + number : "g" + closed;
  });
  const parentOf = (key) => (key[0] === "b" ? model.boxes[+key.slice(1)].group : model.groups[+key.slice(1)].parent);
  const members = new Map([[-1, []]]);
  const used = new Set(seen);
  model.groups.forEach((group, number) => {
    const isShown = ancestors(group.parent).every(isOpen);
    if (isShown && isOpen(number)) members.set(number, []);
    if (isShown) used.add("g" + number);
  });
  const order = [...used].sort((a, b) => firstBox(model, a) - firstBox(model, b));
  for (const key of order) members.get(parentOf(key)).push(key);
  return { seen, parentOf, members, isOpen };
}

function firstBox(model, key) {
  const number = +key.slice(1);
  if (key[0] === "b") return number;
  const isInside = (group) => group === number || (group >= 0 && isInside(model.groups[group].parent));
  const found = model.boxes.findIndex((box) => isInside(box.group));
  return (found < 0 ? model.boxes.length + number : found) - 0.5;
}

/** Every arrow as steps, one in each open group that it passes; steps of the same signal between the same ends are one. */
function splitArrows(model, tree) {
  const found = new Map([...tree.members.keys()].map((group) => [group, new Map()]));
  const add = (group, from, out, to, into, arrow) => {
    const name = [from, out, to, into].join("|");
    const steps = found.get(group);
    if (!steps.has(name)) steps.set(name, { from, out, to, into, arrows: [] });
    steps.get(name).arrows.push(arrow);
  };
  model.arrows.forEach(([source, output, target, input], arrow) => {
    const from = tree.seen[source], to = tree.seen[target];
    if (from === to && from[0] === "g") return;
    const signal = source + ":" + output;
    const up = [tree.parentOf(from)], down = [tree.parentOf(to)];
    while (up[up.length - 1] >= 0) up.push(model.groups[up[up.length - 1]].parent);
    while (down[down.length - 1] >= 0) down.push(model.groups[down[down.length - 1]].parent);
    const meet = up.find((group) => down.includes(group));
    let [item, out] = [from, from[0] === "b" ? output : signal];
    for (const group of up.slice(0, up.indexOf(meet))) {
      add(group, item, out, ">" + signal, signal, arrow);
      [item, out] = ["g" + group, signal];
    }
    let [end, into] = [to, to[0] === "b" ? input : signal];
    for (const group of down.slice(0, down.indexOf(meet))) {
      add(group, "<" + signal, signal, end, into, arrow);
      [end, into] = ["g" + group, signal];
    }
    add(meet, item, out, end, into, arrow);
  });
  return found;
}

/** One box of its own size, with the heights of its ports. */
function makeBox(key, box, measure) {
  const inputs = box.inputs.map((port) => measure(port.name, "port") + (port.chip ? measure(port.chip, "port") + 18 : 0));
  const outputs = box.outputs.map((port) => measure(port.name, "port"));
  const rows = Math.max(inputs.length, outputs.length);
  const ports = Math.max(0, ...inputs.map((width, row) => width + (outputs[row] || 0)), ...outputs) + 44;
  const head = Math.max(measure(box.title, "title"), box.detail ? measure(box.detail, "detail") : 0) + 28;
  const top = LAYOUT.title + (box.detail ? LAYOUT.detail : 0);
  const height = (row) => top + LAYOUT.row * row + LAYOUT.row / 2;
  return {
    key, w: Math.min(LAYOUT.widest, Math.max(110, ports, head)), h: top + LAYOUT.row * rows + (rows ? LAYOUT.foot : 0), top,
    ins: new Map(box.inputs.map((port, row) => [port.name, height(row)])),
    outs: new Map(box.outputs.map((port, row) => [port.name, height(row)])),
  };
}

/** A closed group: a box whose ports are the signals that cross its border. */
function makeClosed(key, model, steps, measure) {
  const group = model.groups[+key.slice(1)];
  const inputs = signalPorts(model, group, steps.filter((step) => step.to === key).map((step) => step.into));
  const outputs = signalPorts(model, group, steps.filter((step) => step.from === key).map((step) => step.out));
  const shown = (ports) => ports.map((each) => ({ name: each.shown }));
  const sized = makeBox(key, { title: group.title + "  +", detail: group.note, inputs: shown(inputs), outputs: shown(outputs) }, measure);
  const place = (ports) => new Map(ports.map((each, row) => [each.name, sized.top + LAYOUT.row * (row + 0.5)]));
  return { ...sized, ins: place(inputs), outs: place(outputs), ports: { inputs, outputs } };
}

/** Signals as ports: named by their output, and by who sends it where that is not enough. */
function signalPorts(model, group, signals) {
  const ports = [...new Set(signals)].map((signal) => {
    const [box, output] = [model.boxes[+signal.split(":")[0]], signal.slice(signal.indexOf(":") + 1)];
    const sender = box.id.startsWith(group.id + ".") ? box.id.slice(group.id.length + 1) : box.id;
    return { name: signal, shown: output || box.title, full: sender + (output ? "/" + output : "") };
  });
  const uses = (text) => ports.filter((port) => port.shown === text).length;
  const isTwice = ports.map((port) => uses(port.shown) > 1);
  return ports.map((port, at) => (isTwice[at] ? { ...port, shown: port.full } : port));
}

function layoutGroup(number, model, tree, segments, measure) {
  const steps = [...segments.get(number).values()];
  const items = tree.members.get(number).map((key) => {
    if (key[0] === "b") return makeBox(key, model.boxes[+key.slice(1)], measure);
    const inner = +key.slice(1);
    return tree.isOpen(inner) ? layoutGroup(inner, model, tree, segments, measure) : makeClosed(key, model, steps, measure);
  });
  const pad = LAYOUT.pad;
  const inside = items.length ? layoutParts(items, steps, number < 0 ? 0 : pad) : layoutLayers([], [], pad);
  const header = number < 0 ? pad : LAYOUT.header + 6;
  const width = number < 0 ? inside.w + 2 * pad : Math.max(inside.w, measure(model.groups[number].title, "group") + 60);
  const shift = number < 0 ? pad : 0;
  return {
    key: "g" + number, w: width, h: inside.h + header + pad, inside, dx: shift, dy: header,
    ins: moved(inside.left, header), outs: moved(inside.right, header), isGroup: true,
  };
}

const moved = (heights, by) => new Map([...heights].map(([signal, y]) => [signal, y + by]));

/** Parts that are not wired to each other, each laid out alone: first all that is wired to the outside, then the rest in rows. */
function layoutParts(items, steps, pad) {
  const part = new Map(items.map((item) => [item.key, item.key]));
  const find = (key) => { while (part.get(key) !== key) key = part.get(key); return key; };
  const isOutside = (step) => step.from[0] === "<" || step.to[0] === ">";
  let outside = null;
  for (const step of steps) {
    const ends = [step.from, step.to].filter((key) => part.has(key));
    if (ends.length > 1) part.set(find(ends[0]), find(ends[1]));
    if (!isOutside(step)) continue;
    if (outside) part.set(find(ends[0]), find(outside));
    outside = ends[0];
  }
  const parts = new Map();
  for (const item of items) parts.set(find(item.key), [...(parts.get(find(item.key)) || []), item]);
  const first = outside ? find(outside) : null;
  const order = [...parts.keys()].sort((a, b) => (b === first) - (a === first) || (parts.get(b).length > 1) - (parts.get(a).length > 1));
  const done = order.map((key) => {
    const keys = new Set(parts.get(key).map((item) => item.key));
    return layoutLayers(parts.get(key), steps.filter((step) => keys.has(step.from) || keys.has(step.to)), pad);
  });
  return done.length === 1 ? done[0] : inRows(done, Boolean(first), pad);
}

function inRows(done, hasMain, pad) {
  const area = done.reduce((sum, each) => sum + (each.w + 36) * (each.h + 36), 0);
  const wide = Math.max(Math.sqrt(area * 1.7), ...done.map((each) => each.w), 0);
  const all = { places: [], routes: [], left: new Map(), right: new Map(), w: 0, h: 0, toRight: 0 };
  let x = 0, y = 0, tallest = 0;
  done.forEach((each, at) => {
    if (x > 0 && x + each.w > wide || (hasMain && at === 1)) [x, y, tallest] = [0, y + tallest + 30, 0];
    if (hasMain && !at) Object.assign(all, { left: each.left, right: each.right, toRight: each.w });
    for (const place of each.places) all.places.push({ ...place, x: place.x + x, y: place.y + y });
    for (const route of each.routes) all.routes.push({ ...route, points: route.points.map((p) => ({ ...p, x: p.x + x, y: p.y + y })) });
    all.w = Math.max(all.w, x + each.w);
    all.h = Math.max(all.h, y + each.h);
    tallest = Math.max(tallest, each.h);
    x += each.w + (pad ? 4 : 36);
  });
  return all;
}

/** The steps of one group in layers; the ports on its left and right border are layers of their own. */
function layoutLayers(items, steps, pad) {
  const nodes = items.map((item) => ({ item, w: item.w, h: item.h, ins: item.ins, outs: item.outs, before: [], after: [] }));
  const byKey = new Map(nodes.map((node) => [node.item.key, node]));
  const border = (key, side) => {
    if (!byKey.has(key)) {
      const node = { side, signal: key.slice(1), w: 0, h: 2, before: [], after: [] };
      nodes.push(node);
      byKey.set(key, node);
    }
    return byKey.get(key);
  };
  const edges = steps.map((step) => ({
    step,
    from: step.from[0] === "<" ? border(step.from, "left") : byKey.get(step.from),
    to: step.to[0] === ">" ? border(step.to, "right") : byKey.get(step.to),
  }));
  turnBack(nodes, edges);
  const count = assignLayers(nodes, edges);
  const layers = Array.from({ length: count }, () => []);
  for (const node of nodes) layers[node.layer].push(node);
  for (const edge of edges) addWaypoints(edge, layers);
  orderLayers(layers);
  placeHeights(layers);
  return finishLayers(layers, edges, pad);
}

/** Mark the edges that close a cycle, found by a walk in depth that starts at the sources. */
function turnBack(nodes, edges) {
  const leaving = new Map(nodes.map((node) => [node, []]));
  for (const edge of edges) leaving.get(edge.from).push(edge);
  const fed = new Set(edges.filter((edge) => edge.from !== edge.to).map((edge) => edge.to));
  const state = new Map();
  for (const start of [...nodes.filter((node) => !fed.has(node)), ...nodes]) {
    if (state.has(start)) continue;
    const walk = [[start, 0]];
    state.set(start, "open");
    while (walk.length) {
      const top = walk[walk.length - 1];
      const edge = leaving.get(top[0])[top[1]++];
      if (!edge) { state.set(top[0], "done"); walk.pop(); continue; }
      const known = state.get(edge.to);
      if (known === "open") edge.isBack = true;
      else if (!known) { state.set(edge.to, "open"); walk.push([edge.to, 0]); }
    }
  }
}

function assignLayers(nodes, edges) {
  const forward = edges.filter((edge) => !edge.isBack);
  const first = nodes.some((node) => node.side === "left") ? 1 : 0;
  const waits = new Map(nodes.map((node) => [node, 0]));
  const leaving = new Map(nodes.map((node) => [node, []]));
  for (const edge of forward) { waits.set(edge.to, waits.get(edge.to) + 1); leaving.get(edge.from).push(edge.to); }
  const order = nodes.filter((node) => !waits.get(node));
  for (const node of nodes) node.layer = node.side === "left" ? 0 : first;
  for (let at = 0; at < order.length; at++) {
    for (const next of leaving.get(order[at])) {
      next.layer = Math.max(next.layer, order[at].layer + 1);
      waits.set(next, waits.get(next) - 1);
      if (!waits.get(next)) order.push(next);
    }
  }
  // what nothing feeds stands beside the first that it feeds
  const fed = new Set(forward.map((edge) => edge.to));
  for (const node of [...order].reverse()) {
    const after = leaving.get(node);
    if (!fed.has(node) && !node.side && after.length) node.layer = Math.max(first, Math.min(...after.map((next) => next.layer)) - 1);
  }
  spread(nodes, fed, leaving, first);
  const inner = Math.max(first - 1, ...nodes.filter((node) => node.side !== "right").map((node) => node.layer));
  const hasRight = nodes.some((node) => node.side === "right");
  for (const node of nodes) if (node.side === "right") node.layer = inner + 1;
  return Math.max(1, inner + (hasRight ? 2 : 1));
}

/** What nothing feeds may stand further left, what feeds nothing further right: so that no layer is a long column. */
function spread(nodes, fed, leaving, first) {
  const inner = nodes.filter((node) => !node.side);
  const tall = (node) => node.h + LAYOUT.gap;
  const area = inner.reduce((sum, node) => sum + tall(node) * (node.w + LAYOUT.channel * 2), 0);
  const limit = Math.max(560, 1.5 * Math.sqrt(area));
  const move = (isMovable, step) => {
    const numbers = [...new Set(inner.map((node) => node.layer))].sort((a, b) => (a - b) * step);
    for (let layer = numbers[0], left = 400; left > 0; layer += step, left--) {
      const column = inner.filter((node) => node.layer === layer);
      if (!column.length) return;
      let height = column.reduce((sum, node) => sum + tall(node), 0);
      for (const node of column.filter(isMovable).reverse()) {
        if (height <= limit || tall(node) > limit / 2) break;
        node.layer += step;
        height -= tall(node);
      }
    }
  };
  move((node) => !fed.has(node) && leaving.get(node).length > 0, -1);
  move((node) => !leaving.get(node).length && fed.has(node), 1);
  const shift = first - Math.min(first, ...inner.map((node) => node.layer));
  for (const node of inner) node.layer += shift;
}

/** The waypoints of an edge: edges of one signal share them; one that is led back has some in the layers of its ends. */
function addWaypoints(edge, layers) {
  const [low, high] = edge.isBack ? [edge.to.layer, edge.from.layer] : [edge.from.layer + 1, edge.to.layer - 1];
  const trunk = edge.isBack ? new Map() : (edge.from.trunks ??= new Map());
  const known = (layer) => trunk.get(edge.step.out + "|" + layer);
  const chain = [];
  for (let layer = low; layer <= high; layer++) {
    const node = known(layer) || { isWaypoint: true, layer, w: 0, h: 2, before: [], after: [] };
    if (!known(layer)) layers[layer].push(node);
    trunk.set(edge.step.out + "|" + layer, node);
    chain.push(node);
  }
  if (edge.isBack) {
    chain[0].beside = [...(chain[0].beside || []), edge.to];
    chain[chain.length - 1].beside = [...(chain[chain.length - 1].beside || []), edge.from];
  }
  edge.chain = chain;
  const stops = edge.isBack ? chain : [edge.from, ...chain, edge.to];
  for (let at = 1; at < stops.length; at++) {
    const [a, b] = [stops[at - 1], stops[at]];
    if (b.isWaypoint && a.after.some((link) => link.node === b)) continue; // of a signal that goes this way already
    const start = a === edge.from && !edge.isBack ? outHeight(a, edge) : a.h / 2;
    const end = b === edge.to && !edge.isBack ? inHeight(b, edge) : b.h / 2;
    const weight = a.isWaypoint && b.isWaypoint ? 8 : a.isWaypoint || b.isWaypoint ? 2 : 1;
    a.after.push({ node: b, own: start, its: end, weight });
    b.before.push({ node: a, own: end, its: start, weight });
  }
}

const outHeight = (node, edge) => (node.outs && node.outs.get(edge.step.out)) ?? node.h / 2;
const inHeight = (node, edge) => (node.ins && node.ins.get(edge.step.into)) ?? node.h / 2;

function orderLayers(layers) {
  const number = (layer) => layer.forEach((node, at) => { node.rank = at; });
  layers.forEach(number);
  let best = null, fewest = Infinity;
  for (let sweep = 0; sweep < 28 && fewest > 0; sweep++) {
    const isDown = sweep % 2 === 0;
    for (const layer of isDown ? layers : [...layers].reverse()) {
      for (const node of layer) node.wish = middleRank(node, isDown ? node.before : node.after);
      layer.sort((a, b) => a.wish - b.wish || (sweep % 4 > 1 ? b.rank - a.rank : a.rank - b.rank));
      number(layer);
    }
    const crossings = countCrossings(layers);
    if (crossings < fewest) [best, fewest] = [layers.map((layer) => [...layer]), crossings];
  }
  if (best) best.forEach((layer, at) => { layers[at] = layer; number(layer); });
}

function middleRank(node, links) {
  const wishes = links.map((link) => link.node.rank + link.its / (link.node.h + 1));
  for (const other of node.beside || []) wishes.push(other.rank + 0.6);
  return wishes.length ? wishes.reduce((a, b) => a + b, 0) / wishes.length : node.rank;
}

function countCrossings(layers) {
  let total = 0;
  for (const layer of layers) {
    const ends = layer.flatMap((node) => [...node.after].sort((a, b) => a.own - b.own || endOf(a) - endOf(b)).map(endOf));
    const sorted = [];
    for (const end of ends) {
      let low = 0, high = sorted.length;
      while (low < high) { const middle = (low + high) >> 1; if (sorted[middle] <= end) low = middle + 1; else high = middle; }
      total += sorted.length - low;
      sorted.splice(low, 0, end);
    }
  }
  return total;
}

const endOf = (link) => link.node.rank + link.its / (link.node.h + 1);

function placeHeights(layers) {
  for (const layer of layers) {
    let y = 0;
    for (const node of layer) { node.y = y; y += node.h + gapAfter(node); }
  }
  for (let sweep = 0; sweep < 16; sweep++) {
    const isDown = sweep % 2 === 0;
    for (const layer of isDown ? layers : [...layers].reverse()) {
      placeLayer(layer, (node) => (sweep > 11 ? [...node.before, ...node.after] : isDown ? node.before : node.after));
    }
  }
  const top = Math.min(0, ...layers.flat().map((node) => node.y), Infinity);
  const lowest = Math.min(...layers.flat().map((node) => node.y));
  for (const node of layers.flat()) node.y -= Number.isFinite(lowest) ? lowest : top;
}

function gapAfter(node, next) {
  const isThin = (each) => !each || each.isWaypoint || each.side;
  return isThin(node) && isThin(next) ? LAYOUT.bundle : isThin(node) || isThin(next) ? 14 : LAYOUT.gap;
}

/** Least squares of the wishes of one layer, in its order: neighbours that want to overlap move as one. */
function placeLayer(layer, linksOf) {
  let offset = 0;
  const blocks = [];
  layer.forEach((node, at) => {
    if (at) offset += layer[at - 1].h + gapAfter(layer[at - 1], node);
    node.offset = offset;
    const links = linksOf(node);
    let weight = 0.01, sum = 0.01 * node.y;
    for (const link of links) { weight += link.weight; sum += link.weight * (link.node.y + link.its - link.own); }
    for (const other of node.beside || []) { weight += 2; sum += 2 * (other.y + other.h + 10); }
    blocks.push({ weight, sum: sum - weight * offset, nodes: [node] });
    while (blocks.length > 1) {
      const [a, b] = blocks.slice(-2);
      if (a.sum / a.weight <= b.sum / b.weight) break;
      blocks.splice(-2, 2, { weight: a.weight + b.weight, sum: a.sum + b.sum, nodes: [...a.nodes, ...b.nodes] });
    }
  });
  for (const block of blocks) for (const node of block.nodes) node.y = block.sum / block.weight + node.offset;
}

/** Columns get their place, edges their points. */
function finishLayers(layers, edges, pad) {
  const isLed = edges.some((edge) => edge.isBack);
  const hasSide = (side) => layers.flat().some((node) => node.side === side);
  let x = (isLed ? DETOUR : 0) + (hasSide("left") ? 0 : pad);
  const columns = layers.map((layer, at) => {
    const column = { left: x, right: x + Math.max(0, ...layer.map((node) => node.w)) };
    const falls = layer.flatMap((node) => node.after.map((link) => Math.abs(link.node.y + link.its - node.y - link.own)));
    const steep = Math.min(110, Math.max(0, ...falls) * 0.12 + 1.2 * Math.sqrt(falls.length) * 4);
    x = column.right + (at < layers.length - 1 ? LAYOUT.channel + steep : 0);
    return column;
  });
  const width = x + (isLed ? DETOUR : 0) + (hasSide("right") ? 0 : pad);
  for (const node of layers.flat()) {
    const column = columns[node.layer];
    node.x = node.side === "right" ? width : node.side === "left" ? 0 : (column.left + column.right - node.w) / 2;
  }
  const sides = (side) => new Map(layers.flat().filter((node) => node.side === side).map((node) => [node.signal, node.y + node.h / 2]));
  return {
    places: layers.flat().filter((node) => node.item).map((node) => ({ item: node.item, x: node.x, y: node.y })),
    routes: edges.map((edge) => ({ step: edge.step, points: routePoints(edge, columns), isBack: Boolean(edge.isBack) })),
    left: sides("left"), right: sides("right"), w: width,
    h: Math.max(0, ...layers.flat().map((node) => node.y + node.h)),
  };
}

/** Straight inside a column (`isLine`), curved between columns. */
function routePoints(edge, columns) {
  const points = [];
  const { from, to } = edge;
  const out = columns[from.layer], into = columns[to.layer];
  points.push({ x: from.x + from.w, y: from.y + outHeight(from, edge) });
  if (edge.isBack) {
    const chain = [...edge.chain].reverse();
    chain.forEach((node, at) => {
      const y = node.y + node.h / 2;
      points.push({ x: columns[node.layer].right + (at ? 0 : 4), y, isTurn: !at }, { x: columns[node.layer].left, y, isLine: true });
    });
    points.push({ x: to.x, y: to.y + inHeight(to, edge), isTurn: true });
    return points;
  }
  if (out.right > from.x + from.w + 1) points.push({ x: out.right, y: points[0].y, isLine: true });
  for (const node of edge.chain) {
    const y = node.y + node.h / 2;
    points.push({ x: columns[node.layer].left, y }, { x: columns[node.layer].right, y, isLine: true });
  }
  const end = { x: to.x, y: to.y + inHeight(to, edge) };
  if (into.left < end.x - 1 && !to.side) points.push({ x: into.left, y: end.y });
  points.push({ ...end, isLine: into.left < end.x - 1 && !to.side });
  return points;
}

function collect(group, x, y, result) {
  const left = x + group.dx, top = y + group.dy;
  if (group.key !== "g-1") result.groups.push({ number: +group.key.slice(1), x, y, w: group.w, h: group.h });
  for (const route of group.inside.routes) {
    const stretched = group.w - 2 * group.dx - (group.inside.toRight || group.inside.w);
    const points = route.points.map((p, at) => ({
      ...p, y: p.y + top,
      x: p.x + left + (at === route.points.length - 1 && route.step.to[0] === ">" ? stretched : 0),
    }));
    const isEnd = route.step.to[0] === "b" || (route.step.to[0] === "g" && !group.inside.places.some((p) => p.item.key === route.step.to && p.item.isGroup));
    result.segments.push({ arrows: route.step.arrows, points, isEnd, isBack: route.isBack });
  }
  for (const place of group.inside.places) {
    if (place.item.isGroup) collect(place.item, left + place.x, top + place.y, result);
    else result.items.push({ ...place.item, x: left + place.x, y: top + place.y });
  }
}

/** Points as the `d` of an SVG path. */
function pathOf(points) {
  let path = `M${round(points[0].x)} ${round(points[0].y)}`;
  for (let at = 1; at < points.length; at++) {
    const [a, b] = [points[at - 1], points[at]];
    if (b.isLine) path += ` L${round(b.x)} ${round(b.y)}`;
    else if (b.isTurn) {
      const reach = at === 1 ? Math.max(a.x, b.x) + DETOUR : Math.min(a.x, b.x) - DETOUR;
      path += ` C${round(reach)} ${round(a.y)} ${round(reach)} ${round(b.y)} ${round(b.x)} ${round(b.y)}`;
    } else {
      const reach = (b.x - a.x) / 2;
      path += ` C${round(a.x + reach)} ${round(a.y)} ${round(b.x - reach)} ${round(b.y)} ${round(b.x)} ${round(b.y)}`;
    }
  }
  return path;
}

const round = (value) => Math.round(value * 10) / 10;

if (typeof module !== "undefined") module.exports = { layoutGraph, pathOf };
