"use strict";
// A page from disk may not read other files, nor the pixels of their pictures: a browser takes each
// for another site. A script may be loaded, so what is needed per picture comes as one, on demand.

const byId = (id) => document.getElementById(id);
const cards = [...document.querySelectorAll(".card")];
const classNames = JSON.parse(byId("class-names").textContent);
const files = document.body.dataset.files;
const frame = byId("frame");

/* ---------- the grid ---------- */

let listed = cards;

function search() {
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const has = (card) => words.every((word) => card.dataset.name.toLowerCase().includes(word));
  listed = cards.filter(has);
  const kept = new Set(listed);
  for (const card of cards) card.hidden = !kept.has(card);
  byId("count").textContent =
    listed.length === cards.length ? `${cards.length}` : `${listed.length} of ${cards.length}`;
  byId("none").hidden = listed.length > 0;
}

byId("search").addEventListener("input", search);
search(); // a browser may have kept what was typed before

for (const button of document.querySelectorAll("[data-face]")) {
  if (button.tagName === "BUTTON") button.addEventListener("click", () => {
    byId("grid").dataset.face = button.dataset.face;
    press(button);
  });
}

function press(button) {
  for (const other of button.parentElement.children) {
    other.setAttribute("aria-pressed", other === button);
  }
}

/** Return the picture above or below in the grid, or the next one. */
function moveFocus(key) {
  const at = listed.indexOf(document.activeElement);
  if (at < 0) return false;
  const columns = getComputedStyle(byId("grid")).gridTemplateColumns.split(" ").length;
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[key];
  const to = key === "Home" ? 0 : key === "End" ? listed.length - 1 : at + step;
  listed[to]?.focus();
  return true;
}

/* ---------- light and dark ---------- */

function toggleTheme() {
  const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  try { localStorage.setItem("dpt-theme", theme); } catch { /* kept for this visit alone */ }
}

for (const button of document.querySelectorAll(".theme")) {
  button.addEventListener("click", toggleTheme);
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (event) => {
  if (!storedTheme()) document.documentElement.dataset.theme = event.matches ? "dark" : "light";
});

/* ---------- what is loaded per picture ---------- */

const kept = new Map(); // key to a promise of what the picture's script says
const KEPT = 12;
const waiting = new Map();

window.dptPicture = (key, about) => waiting.get(key)?.(about);

function load(key) {
  let about = kept.get(key);
  if (!about) {
    about = new Promise((resolve, reject) => {
      const script = document.createElement("script");
      waiting.set(key, resolve);
      script.onload = () => script.remove();
      script.onerror = () => {
        script.remove();
        kept.delete(key);
        reject(new Error(`${files}/${key}.js is missing: run dpt gallery on this folder again`));
      };
      script.src = `${files}/${key}.js`;
      document.head.append(script);
    });
  }
  kept.delete(key); // the last one used goes last
  kept.set(key, about);
  for (const old of [...kept.keys()].slice(0, -KEPT)) {
    kept.delete(old);
    waiting.delete(old);
  }
  return about;
}

/** Undo `packed` of dpt_cli/gallery/values.py: whole numbers, row by row. */
async function unpacked(layer) {
  const [width, height] = layer.size;
  const packed = Uint8Array.from(atob(layer.data), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const count = width * height;
  const numbers = layer.task === "depth" ? new Uint16Array(count) : bytes;
  if (layer.task === "depth") {
    for (let i = 0; i < count; i++) numbers[i] = (bytes[i] << 8) | bytes[count + i];
  }
  for (let row = 0; row < count; row += width) {
    for (let i = row + 1; i < row + width; i++) numbers[i] += numbers[i - 1];
  }
  return numbers;
}

/* ---------- one picture ---------- */

const shown = { card: null, about: null, layer: null, numbers: null, tab: 0, split: 0.5 };
const hiddenClasses = new Set();
let turn = 0; // which picture was asked for last

async function show(card) {
  const mine = ++turn;
  shown.card = card;
  shown.layer = shown.numbers = null;
  byId("viewer-name").textContent = card.dataset.name;
  byId("position").textContent = `${listed.indexOf(card) + 1} of ${listed.length}`;
  byId("previous").disabled = !neighbour(-1);
  byId("next").disabled = !neighbour(1);
  byId("message").textContent = "";
  frame.dataset.busy = "";
  if (!byId("viewer").open) byId("viewer").showModal();
  try {
    const about = await load(card.dataset.key);
    if (mine !== turn) return;
    shown.about = about;
    makeTabs();
    await showLayer(Math.min(shown.tab, about.layers.length - 1));
    for (const step of [1, -1]) {
      const near = neighbour(step);
      if (near) load(near.dataset.key).catch(() => {});
    }
  } catch (error) {
    if (mine === turn) byId("message").textContent = error.message;
  }
}

function makeTabs() {
  const layers = shown.about.layers;
  const word = (layer) => (layer.task === "depth" ? "Depth" : "Classes");
  byId("tabs").replaceChildren(...(layers.length < 2 ? [] : layers).map((layer, index) => {
    const isAlone = layers.filter((other) => other.task === layer.task).length === 1;
    const button = element("button", isAlone ? word(layer) : `${word(layer)}, ${layer.weights}`);
    button.type = "button";
    button.addEventListener("click", () => { shown.tab = index; showLayer(index); });
    return button;
  }));
}

async function showLayer(index) {
  const mine = turn;
  const { card, about } = shown;
  const layer = about.layers[index];
  const numbers = layer.data ? await unpacked(layer) : null;
  if (mine !== turn) return;
  Object.assign(shown, { layer, numbers });
  const tab = byId("tabs").children[index];
  if (tab) press(tab);

  const photograph = byId("photograph");
  const isAlone = !about.photograph_size || layer.is_framed === false;
  frame.toggleAttribute("data-alone", isAlone);
  frame.toggleAttribute("data-unframed", layer.is_framed === false);
  byId("views").hidden = isAlone;
  if (about.photograph_size) photograph.src = `${files}/${card.dataset.key}.jpg`;
  else photograph.removeAttribute("src");
  const picture = byId("picture");
  picture.hidden = !layer.picture;
  if (layer.picture) picture.src = layer.picture;
  else picture.removeAttribute("src");
  byId("map").hidden = !numbers;
  await Promise.all([photograph, picture].filter((it) => it.hasAttribute("src"))
    .map((it) => it.decode().catch(() => {})));
  if (mine !== turn) return;

  const [width, height] = layer.is_framed === false
    ? [picture.naturalWidth, picture.naturalHeight]
    : about.photograph_size || layer.map_size || [picture.naturalWidth, picture.naturalHeight];
  frame.style.setProperty("--ratio", width / height || 1.5);
  delete frame.dataset.busy;
  byId("scale").hidden = !(numbers && layer.task === "depth" && layer.range);
  byId("classes").hidden = !(numbers && layer.task === "segment");
  if (numbers) {
    if (layer.task === "depth") drawScale(layer);
    else listClasses(layer);
    draw();
  }
  byId("facts").replaceChildren(
    ...layer.facts.flatMap(([name, value]) => [element("dt", name), element("dd", value)]),
    ...(about.photograph_size
      ? [element("dt", "Photograph"), element("dd", about.photograph_size.join(" × ") + " px")]
      : [element("dt", "Photograph"), element("dd", "gone, or changed since")]),
  );
  byId("files").replaceChildren(...layer.files.map(([kind, url]) => {
    const link = element("a", decoded(url).replace(/^\.\//, ""));
    link.href = url;
    const line = element("li", "");
    line.append(link, ` (${kind})`);
    return line;
  }));
  read(null);
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

/** Return a URL as text; one whose name is no UTF-8 stays as it is. */
function decoded(url) {
  try { return decodeURIComponent(url); } catch { return url; }
}

function bytesOf(hex) {
  return Uint8Array.from(hex.match(/../g), (pair) => parseInt(pair, 16));
}

function colorOf(index) {
  return bytesOf((classNames[index]?.[1] || "#000000").slice(1));
}

function draw() {
  const { layer, numbers } = shown;
  const canvas = byId("map");
  [canvas.width, canvas.height] = layer.size;
  const pixels = new ImageData(...layer.size);
  const target = new Uint32Array(pixels.data.buffer);
  const table = new Uint32Array(layer.task === "depth" ? 65536 : 256);
  const entry = new Uint8ClampedArray(4);
  const asNumber = new Uint32Array(entry.buffer);
  const set = (index, color, alpha) => {
    entry.set(color);
    entry[3] = alpha;
    table[index] = asNumber[0];
  };
  if (layer.task === "depth") {
    const palette = bytesOf(layer.palette);
    set(0, [0, 0, 0], 255);
    for (let step = 1; step < 65536; step++) {
      const place = Math.round((nearness(step) * 255));
      set(step, palette.subarray(3 * place, 3 * place + 3), 255);
    }
  } else {
    // Without the photograph there is nothing to shine through.
    const alpha = frame.hasAttribute("data-alone") ? 255 : Math.round(byId("opacity").value * 2.55);
    for (let index = 0; index < classNames.length; index++) {
      if (!hiddenClasses.has(index)) set(index, colorOf(index), alpha);
    }
  }
  for (let i = 0; i < numbers.length; i++) target[i] = table[numbers[i]];
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  canvas.style.imageRendering = layer.task === "depth" ? "auto" : "pixelated";
}

/** Return how near a step lies, 0 to 1: where its colour is in the palette. */
function nearness(step) {
  const [low, high] = shown.layer.range || [0, 0];
  if (!(high > low)) return 0;
  const place = (step - 1) / 65534;
  return shown.layer.unit === "m" ? 1 - place : place;
}

function drawScale(layer) {
  const palette = bytesOf(layer.palette);
  const pixels = new ImageData(256, 1);
  for (let i = 0; i < 256; i++) {
    // From the least value to the greatest, as the numbers below it.
    const place = layer.unit === "m" ? 255 - i : i;
    pixels.data.set(palette.subarray(3 * place, 3 * place + 3), 4 * i);
    pixels.data[4 * i + 3] = 255;
  }
  byId("ramp").getContext("2d").putImageData(pixels, 0, 0);
  const [low, high] = layer.range;
  const isMetric = layer.unit === "m";
  byId("least").textContent = `${depthText(low)}\n${isMetric ? "near" : "far"}`;
  byId("greatest").textContent = `${depthText(high)}\n${isMetric ? "far" : "near"}`;
}

function listClasses(layer) {
  byId("class-list").replaceChildren(...layer.shares.map(([index, share]) => {
    const label = document.createElement("label");
    const box = document.createElement("input");
    const swatch = document.createElement("i");
    box.type = "checkbox";
    box.checked = !hiddenClasses.has(index);
    box.addEventListener("change", () => {
      hiddenClasses[box.checked ? "delete" : "add"](index);
      draw();
    });
    swatch.style.background = classNames[index]?.[1] || "#000";
    label.dataset.index = index;
    label.append(box, swatch, element("span", nameOf(index)), element("small", percent(share)));
    const line = document.createElement("li");
    line.append(label);
    return line;
  }));
}

function setClasses(areShown) {
  for (const [index] of shown.layer.shares) hiddenClasses[areShown ? "delete" : "add"](index);
  listClasses(shown.layer);
  draw();
}

byId("all").addEventListener("click", () => setClasses(true));
byId("no").addEventListener("click", () => setClasses(false));
byId("opacity").addEventListener("input", draw);

/* ---------- values under the pointer ---------- */

const nameOf = (index) => classNames[index]?.[0] || "no class";
const percent = (share) => (share < 0.001 ? "< 0.1 %" : `${(100 * share).toFixed(1)} %`);

function depthText(value) {
  if (shown.layer.unit === "m") return `${value.toFixed(value < 10 ? 3 : 2)} m`;
  return String(Number(value.toPrecision(5)));
}

/** Show the value at a point, as shares of width and height; null where there is none. */
function read(point) {
  const { layer, numbers, about } = shown;
  const mark = byId("mark");
  mark.hidden = true;
  document.querySelector("#class-list .under")?.classList.remove("under");
  byId("value").classList.toggle("shown", Boolean(point && numbers));
  byId("where").textContent = "";
  if (!numbers) {
    byId("readout").textContent = "no values";
    byId("where").textContent = layer?.task === "depth"
      ? "No file of this map holds them; --format png16 does."
      : "No file of this map holds them; --format labels does.";
    return;
  }
  if (!point) {
    byId("readout").textContent = "–";
    return;
  }
  const [width, height] = layer.size;
  const column = Math.min(width - 1, Math.floor(point.x * width));
  const row = Math.min(height - 1, Math.floor(point.y * height));
  const number = numbers[row * width + column];
  let text, detail = "";
  if (layer.task === "segment") {
    text = nameOf(number);
    document.querySelector(`#class-list [data-index="${number}"]`)?.classList.add("under");
  } else if (number === 0) {
    text = "unknown";
  } else {
    const [low, high] = layer.range;
    const place = (number - 1) / 65534;
    text = depthText(low + place * (high - low));
    if (layer.unit !== "m") detail = "(relative)";
    mark.hidden = false;
    mark.style.left = `${100 * place}%`;
  }
  byId("readout").textContent = detail ? `${text} ${detail}` : text;
  byId("value").textContent = detail ? `${text} ${detail}` : text;
  const [fullWidth, fullHeight] = about.photograph_size || layer.map_size;
  const x = Math.floor(point.x * fullWidth), y = Math.floor(point.y * fullHeight);
  byId("where").textContent = `at x ${x}, y ${y}`;
}

function pointOf(event) {
  const box = frame.getBoundingClientRect();
  const x = (event.clientX - box.left) / box.width, y = (event.clientY - box.top) / box.height;
  return x >= 0 && x < 1 && y >= 0 && y < 1 ? { x, y, box } : null;
}

frame.addEventListener("pointermove", (event) => {
  const point = pointOf(event);
  if (isDragging) {
    const box = frame.getBoundingClientRect();
    setSplit((event.clientX - box.left) / box.width);
  }
  read(point);
  if (!point) return;
  const chip = byId("value");
  const left = point.x * point.box.width, top = point.y * point.box.height;
  const isRight = left + chip.offsetWidth + 24 > point.box.width;
  const isLow = top + chip.offsetHeight + 24 > point.box.height;
  const x = isRight ? left - chip.offsetWidth - 12 : left + 14;
  const y = isLow ? top - chip.offsetHeight - 12 : top + 14;
  chip.style.translate = `${Math.max(0, x)}px ${Math.max(0, y)}px`;
});
frame.addEventListener("pointerleave", () => { if (!isDragging) read(null); });

/* ---------- before and after ---------- */

let isDragging = false;

function setSplit(split) {
  shown.split = Math.min(1, Math.max(0, split));
  frame.style.setProperty("--split", shown.split);
  byId("slider").setAttribute("aria-valuenow", Math.round(100 * shown.split));
  for (const button of byId("views").children) {
    button.setAttribute("aria-pressed", Number(button.dataset.split) === shown.split);
  }
}

frame.addEventListener("pointerdown", (event) => {
  if (event.button !== 0 || frame.hasAttribute("data-alone")) return;
  isDragging = true;
  frame.setPointerCapture(event.pointerId);
  setSplit((event.clientX - frame.getBoundingClientRect().left) / frame.clientWidth);
  read(pointOf(event));
  event.preventDefault();
});
for (const name of ["pointerup", "pointercancel"]) {
  frame.addEventListener(name, () => { isDragging = false; });
}
for (const button of byId("views").children) {
  button.addEventListener("click", () => setSplit(Number(button.dataset.split)));
}
setSplit(0.5);

/* ---------- from picture to picture ---------- */

function neighbour(step) {
  return listed[listed.indexOf(shown.card) + step];
}

function go(card) {
  if (card) location.replace(`#${encodeURIComponent(card.dataset.name)}`);
}

/** Show the picture that the address names: going back and links work as on any page. */
function follow() {
  let name = "";
  try { name = decodeURIComponent(location.hash.slice(1)); } catch { /* no name of ours */ }
  const card = name && cards.find((it) => it.dataset.name === name);
  if (card) {
    if (!listed.includes(card)) {
      byId("search").value = "";
      search();
    }
    if (shown.card !== card || !byId("viewer").open) show(card);
  } else if (byId("viewer").open) {
    byId("viewer").close();
  }
}

byId("viewer").addEventListener("close", () => {
  turn++;
  if (location.hash) history.replaceState(null, "", location.pathname + location.search);
  shown.card?.scrollIntoView({ block: "nearest" });
  shown.card?.focus();
});
byId("close").addEventListener("click", () => byId("viewer").close());
byId("previous").addEventListener("click", () => go(neighbour(-1)));
byId("next").addEventListener("click", () => go(neighbour(1)));
addEventListener("hashchange", follow);

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const isOpen = byId("viewer").open;
  const at = document.activeElement;
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (at === byId("search")) {
    if (event.key === "Enter" && listed.length) go(listed[0]);
    else if (event.key === "Escape") at.blur();
    return;
  }
  if (at?.type === "range" && step) return;
  if (isOpen && at === byId("slider") && step) setSplit(shown.split + step * 0.02);
  else if (isOpen && step) go(neighbour(step));
  else if (isOpen && event.key === "Home") go(listed[0]);
  else if (isOpen && event.key === "End") go(listed.at(-1));
  else if (isOpen && "123".includes(event.key)) {
    if (!byId("views").hidden) setSplit([1, 0.5, 0]["123".indexOf(event.key)]);
  }
  else if (event.key === "t") toggleTheme();
  else if (!isOpen && event.key === "/") byId("search").focus();
  else if (isOpen || !/^(Arrow(Left|Right|Up|Down)|Home|End)$/.test(event.key)
    || !moveFocus(event.key)) return;
  event.preventDefault();
});

follow();
