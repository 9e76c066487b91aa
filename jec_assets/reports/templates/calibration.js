"use strict";
// Sorting and saving tables, keeping the first columns in sight, opening what is folded before printing.
// Cells bring their parts as data-value, -uncertainty, -low, -high and -note; columns their data-kind.

const SUFFIXES = { value: "", uncertainty: " uncertainty", low: " from", high: " to", note: " note" };
const NOTHING = "–";

const cellsOf = (row) => Array.from(row.cells);
const rowsOf = (table) => Array.from(table.tBodies[0].rows);
const headersOf = (table) => cellsOf(table.tHead.rows[0]);
const textOf = (cell) => cell.textContent.replaceAll("\u00a0", " ").trim();

// What a cell is sorted by: text, or a pair of numbers, or null for what always comes last.
function sortKey(cell, kind) {
  if (kind === "text") return textOf(cell) === NOTHING ? null : textOf(cell);
  const { value, low, high } = cell.dataset;
  const first = value ?? low ?? (high === undefined ? undefined : "-Infinity");
  return first === undefined ? null : [Number(first), Number(high ?? value ?? "Infinity")];
}

function compare(one, other) {
  if (typeof one === "string") return one.localeCompare(other, "en", { numeric: true });
  return one[0] - other[0] || (one[1] === other[1] ? 0 : one[1] - other[1]);
}

function sortRows(table, original, place, kind, direction) {
  const sign = direction === "descending" ? -1 : 1;
  const keyed = original.map((row) => ({ row, key: sortKey(row.cells[place], kind) }));
  const present = keyed.filter(({ key }) => key !== null);
  const absent = keyed.filter(({ key }) => key === null);
  present.sort((one, other) => sign * compare(one.key, other.key));
  const sorted = direction === "none" ? keyed : [...present, ...absent];
  table.tBodies[0].replaceChildren(...sorted.map(({ row }) => row));
  markRepeated(table);
}

// A name that stands in the row above as well is quiet; where the first name changes, a line begins a group.
function markRepeated(table) {
  const labels = Number(table.dataset.labels);
  let above = null;
  for (const row of rowsOf(table)) {
    let same = above !== null;
    for (const [place, cell] of cellsOf(row).slice(0, labels).entries()) {
      same = same && place < labels - 1 && textOf(cell) === textOf(above.cells[place]);
      cell.classList.toggle("repeated", same);
      if (place === 0) row.classList.toggle("begins", labels > 1 && !same);
    }
    above = row;
  }
}

function makeSortable(table) {
  const original = rowsOf(table);
  for (const [place, header] of headersOf(table).entries()) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    header.ariaSort = "none";
    button.addEventListener("click", () => {
      const next = { none: "ascending", ascending: "descending", descending: "none" }[header.ariaSort];
      for (const each of headersOf(table)) each.ariaSort = "none";
      header.ariaSort = next;
      sortRows(table, original, place, header.dataset.kind, next);
    });
  }
}

// Columns as they are saved: a value and its uncertainty, or an interval's ends, in columns of their own.
function savedColumns(table) {
  const rows = rowsOf(table);
  return headersOf(table).flatMap((header, place) => {
    const cells = rows.map((row) => row.cells[place]);
    const title = textOf(header);
    if (header.dataset.kind === "text") {
      return [{ title, values: cells.map((cell) => (textOf(cell) === NOTHING ? null : textOf(cell))) }];
    }
    return Object.entries(SUFFIXES)
      .filter(([part]) => cells.some((cell) => part in cell.dataset))
      .map(([part, suffix]) => ({
        title: title + suffix,
        numeric: part !== "note",
        values: cells.map((cell) => cell.dataset[part] ?? null),
      }));
  });
}

function asCsv(table) {
  const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const columns = savedColumns(table);
  const lines = rowsOf(table).map((_, row) => columns.map(({ values }) => values[row] ?? ""));
  return [columns.map(({ title }) => title), ...lines].map((line) => line.map(quoted).join(",") + "\r\n").join("");
}

function asJson(table, title, notes) {
  const columns = savedColumns(table);
  const entry = ({ values, numeric }, row) => (numeric && values[row] !== null ? Number(values[row]) : values[row]);
  const rows = rowsOf(table).map((_, row) =>
    Object.fromEntries(columns.map((column) => [column.title, entry(column, row)])),
  );
  return JSON.stringify({ title, notes, rows }, null, 1) + "\n";
}

function save(name, type, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function addTools(block) {
  const table = block.querySelector("table");
  const title = document.getElementById(table.getAttribute("aria-labelledby")).textContent;
  const notes = Array.from(block.querySelectorAll(".remark"), (note) => note.textContent);
  const section = block.closest("section").id;
  const name = `${section}-${title.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "")}`;
  const tools = document.createElement("div");
  tools.className = "tools";
  for (const [label, write] of [
    ["CSV", () => save(`${name}.csv`, "text/csv", asCsv(table))],
    ["JSON", () => save(`${name}.json`, "application/json", asJson(table, title, notes))],
  ]) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    button.setAttribute("aria-label", `Save “${title}” as ${label}`);
    button.addEventListener("click", write);
    tools.append(button);
  }
  block.append(tools);
}

// As many of the naming columns stay in sight as leave room for a column of numbers.
function fixColumns(table) {
  const box = table.parentElement.clientWidth;
  const widths = headersOf(table).slice(0, Number(table.dataset.labels)).map((header) => header.offsetWidth);
  let fixed = 0;
  let left = 0;
  while (fixed < Math.min(3, widths.length) && left + widths[fixed] <= 0.7 * box) left += widths[fixed++];
  table.dataset.fixed = String(fixed);
  table.style.setProperty("--second", `${widths[0]}px`);
  table.style.setProperty("--third", `${widths[0] + (widths[1] ?? 0)}px`);
}

// A table that goes on to the right fades there.
function hintAtMore(box) {
  box.toggleAttribute("data-more", box.scrollLeft + box.clientWidth < box.scrollWidth - 1);
}

const tables = Array.from(document.querySelectorAll(".table table"));
tables.forEach(makeSortable);
tables.forEach(markRepeated);
document.querySelectorAll(".table").forEach(addTools);
const sizes = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    fixColumns(target.firstElementChild);
    hintAtMore(target);
  }
});
for (const { parentElement: box } of tables) {
  sizes.observe(box);
  box.addEventListener("scroll", () => hintAtMore(box), { passive: true });
}

const folded = new Set();
addEventListener("beforeprint", () => {
  for (const each of document.querySelectorAll("details:not([open])")) {
    folded.add(each);
    each.open = true;
  }
});
addEventListener("afterprint", () => {
  folded.forEach((each) => (each.open = false));
  folded.clear();
});

// The section that is being read is marked in the contents.
const links = new Map(Array.from(document.querySelectorAll("nav a"), (link) => [link.hash.slice(1), link]));
const inSight = new Set();
const reading = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) inSight[isIntersecting ? "add" : "delete"](target.id);
    const current = Array.from(links.keys()).find((id) => inSight.has(id));
    for (const [id, link] of links) link.ariaCurrent = id === current ? "true" : null;
  },
  { rootMargin: "-15% 0px -60% 0px" },
);
document.querySelectorAll("section").forEach((section) => reading.observe(section));
