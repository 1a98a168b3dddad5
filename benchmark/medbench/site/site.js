// Searches and filters the first page, copies what is marked for it, and says where a table goes on. Every page is whole without it.
"use strict";
const FACETS = [["modality", "Images of"], ["dimensions", "Dimensions"], ["classifier", "Classifier"], ["verdict", "Verdict"], ["tier", "Check"]];
const place = document.getElementById("filters");
const results = [...document.querySelectorAll(".grid .result")];
if (place && results.length) {
  const bar = document.createElement("div"), search = document.createElement("input"), label = document.createElement("label");
  const reset = document.createElement("button"), count = document.createElement("output"), chosen = new Map();
  bar.className = "tools";
  bar.setAttribute("role", "search");
  bar.setAttribute("aria-label", "Results");
  search.type = "search";
  search.placeholder = "a method, a data set, an author";
  search.id = "filter-text";
  label.htmlFor = search.id;
  label.textContent = "Search";
  const field = document.createElement("span");
  field.append(label, " ", search);
  bar.append(field);
  for (const [name, title] of FACETS) {
    const values = [...new Set(results.map((r) => r.dataset[name]))].sort();
    if (!values.length) continue;
    const select = document.createElement("select"), of = document.createElement("label");
    for (const value of ["", ...values]) {
      const option = document.createElement("option");
      option.value = value;
      option.textContent = value || "any";
      select.append(option);
    }
    select.id = `filter-${name}`;
    of.htmlFor = select.id;
    of.textContent = title;
    const pair = document.createElement("span");
    pair.append(of, " ", select);
    bar.append(pair);
    chosen.set(name, select);
    select.addEventListener("change", () => show());
  }
  reset.type = "button";
  reset.textContent = "Reset";
  count.setAttribute("aria-live", "polite");
  bar.append(reset, count);
  place.append(bar);

  const fits = (e) => [...chosen].every(([name, select]) => !select.value || e.dataset[name] === select.value);
  const show = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const holds = (text) => words.every((word) => text.toLowerCase().includes(word));
    const table = document.querySelector(".grid"), heads = [...table.tHead.rows[0].cells];
    const isFiltered = words.length > 0 || [...chosen.values()].some((select) => select.value);
    const used = new Set();
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      let any = false;
      [...row.cells].forEach((cell, at) => {
        for (const result of cell.querySelectorAll(".result")) {
          const text = `${row.cells[0].textContent} ${heads[at].textContent} ${result.textContent}`;
          result.hidden = !fits(result) || !holds(text);
          if (result.hidden) continue;
          any = true;
          shown += 1;
          used.add(at);
        }
        for (const other of cell.querySelectorAll(".more, .none")) other.hidden = isFiltered;
      });
      row.hidden = isFiltered && !any;
    }
    for (const row of table.rows) [...row.cells].forEach((cell, at) => { if (at) cell.hidden = isFiltered && !used.has(at); });
    for (const mark of document.querySelectorAll(".plot .mark")) {
      mark.classList.toggle("off", !fits(mark) || !holds(mark.textContent));
    }
    for (const row of document.querySelectorAll(".entries tbody tr")) {
      const facets = [...row.querySelectorAll(".facets")];
      row.hidden = isFiltered && !((facets.some(fits) || ![...chosen.values()].some((s) => s.value)) && holds(row.textContent));
    }
    const all = `${results.length} ${results.length === 1 ? "result" : "results"}`;
    count.textContent = shown === results.length ? all : `${shown} of ${all}`;
  };
  search.addEventListener("input", show);
  reset.addEventListener("click", () => { search.value = ""; for (const select of chosen.values()) select.value = ""; show(); });
  show();
}

for (const block of document.querySelectorAll("pre[data-copy]")) {
  const button = document.createElement("button"), text = block.textContent;
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.setAttribute("aria-label", `Copy: ${block.getAttribute("aria-label")}`);
  button.addEventListener("click", async () => {
    try {
      // A browser that asks the user first, or is busy, may not answer: then the text is selected.
      await Promise.race([navigator.clipboard.writeText(text), new Promise((_, refuse) => setTimeout(refuse, 1000))]);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(block);
      button.textContent = "Selected: copy it with the keyboard";
    }
  });
  block.before(button);
}

for (const region of document.querySelectorAll(".scroll")) {
  const hint = document.createElement("small");
  hint.className = "hint";
  hint.textContent = "More columns to the right: scroll the table sideways.";
  region.before(hint);
  new ResizeObserver(() => { hint.hidden = region.scrollWidth <= region.clientWidth + 1; }).observe(region);
}
