"use strict";
// Draws each chart from the JSON beside it. Data are text here: nothing of them is ever run as code.
const DAY = 86400000;

function rows({ days, columns }) {
  const names = Object.keys(columns);
  const count = names.length ? columns[names[0]].length : 0;
  return Array.from({ length: count }, (_, at) => {
    const row = {};
    for (const name of names) {
      const value = columns[name][at];
      row[name] = value !== null && days.includes(name) ? value * DAY : value;
    }
    return row;
  });
}

const tip = document.getElementById("tip");
function hideTip() { tip.hidden = true; }
function showTip(event, entries) {
  tip.replaceChildren(...entries.flatMap(([name, figure]) => {
    const term = document.createElement("dt");
    const said = document.createElement("dd");
    term.textContent = name;
    said.textContent = String(figure).replace(/^-/, "\u2212");
    return [term, said];
  }));
  tip.hidden = false;
  const left = Math.min(event.clientX + 14, document.documentElement.clientWidth - tip.offsetWidth - 8);
  const isLow = event.clientY + 16 + tip.offsetHeight > innerHeight;
  tip.style.left = `${Math.max(8, left)}px`;
  tip.style.top = `${isLow ? event.clientY - tip.offsetHeight - 12 : event.clientY + 16}px`;
}
function tellMark(_, event, __, value) {
  if (value && typeof value === "object") showTip(event, Object.entries(value));
  else hideTip();
}

// A line at the session under the pointer, with its figures.
function follow(host, view, table, fields) {
  const cursor = host.appendChild(document.createElement("div"));
  cursor.className = "cursor";
  cursor.hidden = true;
  const leave = () => { cursor.hidden = true; hideTip(); };
  host.addEventListener("pointerleave", leave);
  host.addEventListener("pointermove", (event) => {
    const from = host.querySelector("svg").getBoundingClientRect().left + view.origin()[0];
    const at = view.scale("x").invert(event.clientX - from).valueOf();
    const row = table.reduce((best, one) => (Math.abs(one.session - at) < Math.abs(best.session - at) ? one : best));
    const day = new Date(row.session).toISOString().slice(0, 10);
    const told = Object.entries(fields).map(([field, name]) => [name, row[field] ?? "\u2013"]);
    cursor.hidden = false;
    cursor.style.left = `${from + view.scale("x")(row.session) - host.getBoundingClientRect().left}px`;
    showTip(event, [["session", day], ...told]);
  });
}

const refuse = { load: () => Promise.reject(new Error("offline")), sanitize: () => Promise.reject(new Error("no links")) };

async function draw(host) {
  const { spec, data } = JSON.parse(host.nextElementSibling.textContent);
  spec.datasets = { ...spec.datasets };
  for (const [name, table] of Object.entries(data)) spec.datasets[name] = rows(table);
  const { view } = await vegaEmbed(host, spec, {
    renderer: "svg", actions: false, ast: true, defaultStyle: false, tooltip: tellMark, loader: refuse,
  });
  host.querySelector("svg").setAttribute("aria-hidden", "true"); // the chart's own label says it in words
  const { hover } = spec.usermeta;
  if (Object.keys(hover).length && spec.datasets.rows.length) follow(host, view, spec.datasets.rows, hover);
  host.classList.add("drawn");
}

// What is on the screen first; the rest when it comes near, and all of it before printing.
const waiting = new Set(document.querySelectorAll(".chart"));
function drawOnce(host) {
  if (!waiting.delete(host)) return Promise.resolve();
  return draw(host).catch((error) => {
    host.textContent = "This chart could not be drawn; its figures are in the table below.";
    console.error(error);
  });
}
const near = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (entry.isIntersecting) {
      near.unobserve(entry.target);
      drawOnce(entry.target);
    }
  }
}, { rootMargin: "250px" });
for (const host of waiting) near.observe(host);
addEventListener("beforeprint", () => { for (const host of [...waiting]) drawOnce(host); });
