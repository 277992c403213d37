// The review page: one listbox of pictures, decisions by key, each sent at once. Text is only ever set as text.
"use strict";

const by = id => document.getElementById(id);
const grid = by("grid");
const state = { pictures: [], labels: [], blind: false, flags: {}, at: 0, flaggedOnly: false };
let queue = Promise.resolve();

function element(name, classes, text) {
  const made = document.createElement(name);
  if (classes) made.className = classes;
  if (text !== undefined) made.textContent = text;
  return made;
}

function number(value) {
  return Number.isInteger(value) ? String(value) : value.toFixed(value < 1 ? 3 : 1);
}

const words = {
  same_bytes: "same file as", same_pixels: "same pixels as", near_duplicate: "nearly the same as",
};

function sentence(hint, own) {
  const across = hint.name.endsWith("_across");
  const twin = words[hint.name.replace("_across", "")];
  if (twin) {
    const which = hint.other && hint.other !== own ? `No. ${hint.other}` : hint.detail || "another file";
    return `${twin} ${which}${across ? ", which has another label" : ""}${hint.settled ? " (rejected)" : ""}`;
  }
  if (hint.name === "no_face") return "no face was found";
  if (hint.name === "unreadable") return `unreadable: ${hint.detail}`;
  return `${hint.name}: ${number(hint.value)}, limit ${number(hint.limit)}`;
}

const isFlagged = one => one.hints.some(hint => !hint.settled);
const shown = one => !state.flaggedOnly || isFlagged(one);

function verdict(one) {
  if (one.verdict === "rejected") return `rejected: ${one.reason}`;
  return one.verdict === "accepted" ? "accepted" : "";
}

function fill(card, one) {
  const image = card.querySelector("img");
  card.className = `card ${one.verdict}`;
  const kept = image ? [image] : [];
  if (!image) {
    const made = element("img");
    made.loading = "lazy";
    made.width = made.height = 256;
    made.alt = "";
    made.addEventListener("error", () => explain(made));
    made.src = `image/${one.key}.png`;
    kept.push(made);
  }
  const name = element("p", "name", one.character || (one.files[0] || "").split("/").pop() || "no name");
  name.prepend(element("span", "no", `${one.number} `));
  kept.push(name);
  if (one.series) kept.push(element("p", "series", one.series));
  const facts = element("p", "facts");
  if (one.folder) facts.append(element("span", "label", one.label ? `${one.folder} → ${one.label}` : one.folder));
  if (one.role && one.role !== (one.label || one.folder)) facts.append(element("span", "role", one.role));
  if (one.files.length > 1) facts.append(element("span", "role", `${one.files.length} files`));
  if (facts.childNodes.length) kept.push(facts);
  if (one.hints.length) {
    const list = element("p", "hints");
    for (const hint of one.hints) {
      const line = element("span", hint.settled ? "hint settled" : "hint", sentence(hint, one.number));
      line.title = state.flags[hint.name] || "";
      list.append(line, " ");
    }
    kept.push(list);
  }
  if (verdict(one)) kept.push(element("p", "verdict", verdict(one)));
  card.replaceChildren(...kept);
}

function draw() {
  grid.replaceChildren(...state.pictures.map((one, i) => {
    const card = element("li");
    card.id = `p${i}`;
    card.setAttribute("role", "option");
    card.setAttribute("aria-selected", "false");
    card.addEventListener("click", () => { go(i); grid.focus({ preventScroll: true }); });
    fill(card, one);
    return card;
  }));
  filter();
}

function filter() {
  let n = 0;
  state.pictures.forEach((one, i) => {
    grid.children[i].hidden = !shown(one);
    n += shown(one);
  });
  by("empty").hidden = n > 0 || !state.flaggedOnly;
  document.querySelector("[data-key=f]").setAttribute("aria-pressed", String(state.flaggedOnly));
  if (n && !shown(state.pictures[state.at])) go(next(state.at, 1) ?? next(state.at, -1));
  else go(state.at);
}

function next(from, step, wanted = shown) {
  for (let i = from + step; i >= 0 && i < state.pictures.length; i += step) {
    if (shown(state.pictures[i]) && wanted(state.pictures[i])) return i;
  }
  return null;
}

function go(i) {
  if (i === null || !state.pictures[i]) return;
  grid.children[state.at]?.setAttribute("aria-selected", "false");
  state.at = i;
  const card = grid.children[i];
  card.setAttribute("aria-selected", "true");
  grid.setAttribute("aria-activedescendant", card.id);
  card.scrollIntoView({ block: "nearest" });
}

function goRow(step) {
  const here = grid.children[state.at];
  const middle = here.offsetLeft + here.offsetWidth / 2;
  let best = null, line = null;
  for (let i = next(state.at, step); i !== null; i = next(i, step)) {
    const card = grid.children[i];
    if (card.offsetTop === here.offsetTop) continue;
    line ??= card.offsetTop;
    if (card.offsetTop !== line) break;
    const far = Math.abs(card.offsetLeft + card.offsetWidth / 2 - middle);
    if (best === null || far < best.far) best = { i, far };
  }
  if (best) go(best.i);
}

function progress() {
  const count = test => state.pictures.filter(test).length;
  const decided = count(one => one.verdict);
  by("progress").textContent = `${decided} of ${state.pictures.length} decided, ` +
    `${count(one => one.verdict === "rejected")} rejected, ${count(isFlagged)} flagged`;
}

function say(text, wrong = false) {
  by("said").textContent = text;
  by("said").className = wrong ? "wrong" : "";
}

async function send(route, body) {
  const answer = await fetch(route, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  });
  if (answer.ok) return answer.json();
  throw new Error(await complaint(answer));
}

async function complaint(answer) {
  const text = await answer.text();
  try { return JSON.parse(text).error; } catch { return text; /* a plain line */ }
}

// Say in a picture's place why it is not there.
async function explain(image) {
  try {
    const answer = await fetch(image.src);
    if (!answer.ok) image.alt = await complaint(answer);
  } catch { /* the command has ended, as the next decision will tell */ }
}

// One after another, so that undo takes back what was decided last.
function post(route, body, then, failed = "not saved") {
  queue = queue.then(() => send(route, body)).then(then)
    .catch(error => say(`${failed}: ${error.message}`, true));
  return queue;
}

function settle(one) {
  const i = one.number - 1;
  const before = state.pictures[i];
  state.pictures[i] = one;
  fill(grid.children[i], one);
  if ((before.verdict === "rejected") !== (one.verdict === "rejected")) {
    state.pictures.forEach((other, k) => {
      const touched = other.hints.filter(hint => hint.other === one.number);
      touched.forEach(hint => { hint.settled = one.verdict === "rejected"; });
      if (touched.length) fill(grid.children[k], other);
    });
  }
  progress();
}

function decide(action, label = "") {
  const one = state.pictures[state.at];
  if (!one || !shown(one)) return;
  const reason = action === "reject" ? by("reason").value : "";
  const ahead = next(state.at, 1);
  if (action !== "clear") go(ahead);
  post("decide", { key: one.key, action, label, reason }, answer => {
    settle(answer.picture);
    const made = answer.picture;
    const as = action === "relabel" ? `labelled ${label}` : verdict(made) || "no decision";
    say(`No. ${made.number} ${made.character}: ${as}`);
  });
}

function undo() {
  post("undo", {}, answer => {
    if (!answer.picture) return say("nothing to undo in this session");
    settle(answer.picture);
    if (shown(answer.picture)) go(answer.picture.number - 1);
    say(`No. ${answer.picture.number}: taken back`);
  }, "not taken back");
}

function relabel(i) {
  if (state.blind) return say("labels are hidden: relabel in a review without --blind", true);
  if (state.labels[i] !== undefined) decide("relabel", state.labels[i]);
}

function twin() {
  const other = state.pictures[state.at]?.hints.find(hint => hint.other && hint.other - 1 !== state.at)?.other;
  if (!other) return say("it is like no other picture");
  if (!shown(state.pictures[other - 1])) { state.flaggedOnly = false; filter(); }
  go(other - 1);
}

function toggle(key, on) {
  document.querySelector(`[data-key=${key}]`).setAttribute("aria-pressed", String(on));
}

const keys = {
  a: () => decide("accept"), x: () => decide("reject"), 0: () => decide("clear"), u: undo, d: twin,
  f: () => { state.flaggedOnly = !state.flaggedOnly; filter(); },
  n: () => {
    const open = one => !one.verdict;
    const i = next(state.at, 1, open) ?? next(-1, 1, open);
    if (i === null) say("every picture that is shown is decided");
    else go(i);
  },
  z: () => { toggle("z", document.body.classList.toggle("large")); go(state.at); },
  r: () => by("reason").focus(),
  j: () => go(next(state.at, 1)), k: () => go(next(state.at, -1)),
  ArrowRight: () => go(next(state.at, 1)), ArrowLeft: () => go(next(state.at, -1)),
  ArrowDown: () => goRow(1), ArrowUp: () => goRow(-1),
  Home: () => go(next(-1, 1)), End: () => go(next(state.pictures.length, -1)),
};
for (let i = 1; i <= 9; i += 1) keys[i] = () => relabel(i - 1);

document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
  if (event.target === by("reason")) {
    if (event.key === "Enter" || event.key === "Escape") { event.preventDefault(); grid.focus(); }
    return;
  }
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const call = Object.hasOwn(keys, key) ? keys[key] : null;
  if (!call || !state.pictures.length) return;
  event.preventDefault();
  call();
});

by("bar").addEventListener("click", event => {
  const button = event.target.closest("[data-key]");
  if (button && state.pictures.length) keys[button.dataset.key]();
});

async function start() {
  const answer = await fetch("pictures.json");
  if (!answer.ok) throw new Error(await complaint(answer));
  Object.assign(state, await answer.json());
  by("blind").hidden = !state.blind;
  by("labels").replaceChildren(...state.labels.slice(0, 9).map((label, i) => {
    const button = element("button", "", `${label} `);
    button.type = "button";
    button.dataset.key = String(i + 1);
    button.append(element("kbd", "", String(i + 1)));
    return button;
  }));
  draw();
  progress();
  grid.focus();
  document.body.dataset.ready = "yes";
}

start().catch(error => say(`cannot show the pictures: ${error.message}`, true));
