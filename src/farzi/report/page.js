"use strict";
// The explorer of sequences and the search on the map. Names become text nodes, never HTML.
const byId = (name) => document.getElementById(name);
const make = (name, text, parent) => {
  const element = document.createElement(name);
  if (text !== null) element.textContent = text;
  parent.append(element);
  return element;
};

const data = JSON.parse(byId("sequences-data")?.textContent ?? "null"); // none of a run at work
const which = byId("which");

const fill = (cell, events) => {
  if (events.length === 0) {
    cell.textContent = "–";
    return;
  }
  const list = make("ol", null, cell);
  for (const [name, per_cent] of events) {
    const item = make("li", null, list);
    item.style.setProperty("--p", `${per_cent}%`);
    make("span", data.names[name], item);
    make("span", `${per_cent.toFixed(1)} %`, item);
  }
};

const show = (number) => {
  const table = document.createElement("table");
  make("caption", `Sequence ${number + 1} of ${data.rows.length}`, table);
  const head = make("tr", null, make("thead", null, table));
  const titles = data.same ? ["position", "soft input and label"] : ["position", "soft input", "soft label"];
  for (const title of titles) make("th", title, head).scope = "col";
  const body = make("tbody", null, table);
  data.rows[number].forEach(([input, label], place) => {
    const row = make("tr", null, body);
    make("th", place + 1, row).scope = "row";
    fill(make("td", null, row), input);
    if (!data.same) fill(make("td", null, row), label);
  });
  byId("positions").replaceChildren(table);
  which.value = number;
  byId("before").disabled = number === 0;
  byId("after").disabled = number === data.rows.length - 1;
  const near = data.near[number];
  byId("near").textContent =
    near === undefined ? "" : `${near} of ${data.rows[number].length} positions equal the nearest real window`;
};

if (data) {
  data.rows.forEach((_, number) => (make("option", number + 1, which).value = number));
  which.addEventListener("change", () => show(Number(which.value)));
  byId("before").addEventListener("click", () => show(Math.max(0, Number(which.value) - 1)));
  byId("after").addEventListener("click", () => show(Math.min(data.rows.length - 1, Number(which.value) + 1)));
  show(0);
}

const find = byId("find");
if (find) {
  const names = [...byId("items").options].map((one) => one.value.toLowerCase());
  find.addEventListener("input", () => {
    for (const one of document.querySelectorAll(".map .hit")) one.classList.remove("hit");
    const word = find.value.trim().toLowerCase();
    const hits = word ? names.flatMap((name, place) => (name.includes(word) ? [place] : [])) : [];
    for (const place of hits) {
      const point = document.querySelector(`.map circle[data-i="${place}"]`);
      point.classList.add("hit");
      point.parentNode.append(point);
    }
    byId("found").textContent = word ? `${hits.length} marked on the map` : "";
  });
}
for (const one of document.querySelectorAll(".choice")) one.hidden = false;
