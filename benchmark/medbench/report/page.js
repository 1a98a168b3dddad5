// Sorts and filters tables that are marked for it, of reports and of sites. Without it they are whole, as written.
"use strict";
for (const table of document.querySelectorAll("table[data-sortable]")) {
  const body = table.tBodies[0], rows = [...body.rows], heads = [...table.tHead.rows[0].cells];
  const tools = document.createElement("div"), label = document.createElement("label");
  const input = document.createElement("input"), reset = document.createElement("button");
  const count = document.createElement("output");
  tools.className = "tools";
  input.type = "search";
  input.placeholder = "a method, a verdict";
  label.append("Show rows with ", input);
  reset.type = "button";
  reset.textContent = "Reset";
  count.setAttribute("aria-live", "polite");
  tools.append(label, reset, count);
  (table.closest(".wide, .scroll") ?? table).before(tools);
  table.classList.add("sorts");

  const show = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += row.hidden ? 0 : 1;
    }
    const all = `${rows.length} ${rows.length === 1 ? "row" : "rows"}`;
    count.textContent = shown === rows.length ? all : `${shown} of ${all}`;
  };
  const sort = (column, direction) => {
    heads.forEach((head, at) => {
      if (at === column) head.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    });
    table.classList.toggle("flat", column >= 0);
    const key = (row) => row.cells[column].dataset.order;
    const sorted = column < 0 ? rows : [...rows].sort((a, b) => {
      const [one, other] = [key(a), key(b)];
      if (one === undefined || other === undefined) return (one === undefined) - (other === undefined);
      const numbers = [Number(one), Number(other)];
      const both = numbers.every((n) => !Number.isNaN(n));
      return direction * (both ? numbers[0] - numbers[1] : one < other ? -1 : one > other ? 1 : 0);
    });
    body.append(...sorted);
  };
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const numeric = rows.some((row) => row.cells[column].dataset.number !== undefined);
      const now = head.getAttribute("aria-sort");
      sort(column, now ? (now === "ascending" ? -1 : 1) : numeric ? -1 : 1);
    });
  });
  reset.addEventListener("click", () => { input.value = ""; sort(-1, 1); show(); });
  input.addEventListener("input", show);
  show();
}
for (const wide of document.querySelectorAll(".wide")) {
  const hint = document.createElement("p");
  hint.className = "hint";
  hint.textContent = "More columns at the right: scroll sideways.";
  wide.after(hint);
  const look = () => { hint.hidden = !wide.querySelector("table") || wide.scrollWidth <= wide.clientWidth + 1; };
  addEventListener("resize", look);
  wide.closest("details")?.addEventListener("toggle", look);
  look();
}
