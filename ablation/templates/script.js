"use strict";

// A click on a heading sorts its table by that column; a second one turns the order round.
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    heading.querySelector("button").addEventListener("click", () => {
      const key = (row) => {
        const cell = row.cells[column];
        const value = cell.dataset.value ?? cell.firstChild?.textContent ?? "";
        return { number: Number.parseFloat(value), text: value };
      };
      const rising = heading.getAttribute("aria-sort") === "descending";
      const rows = [...table.tBodies[0].rows].sort((one, other) => {
        const [a, b] = [key(one), key(other)];
        if (Number.isNaN(a.number) !== Number.isNaN(b.number)) return Number.isNaN(a.number) ? 1 : -1;
        const order = Number.isNaN(a.number) ? a.text.localeCompare(b.text) : a.number - b.number;
        return rising ? order : -order;
      });
      table.tBodies[0].append(...rows);
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", rising ? "ascending" : "descending");
    });
  });
}

const picture = document.getElementById("picture");
for (const button of document.querySelectorAll(".enlarge")) {
  button.addEventListener("click", () => {
    const [shown, image] = [picture.querySelector("img"), button.querySelector("img")];
    shown.src = image.src;
    shown.alt = image.alt;
    picture.classList.toggle("photographs", button.parentElement.classList.contains("photographs"));
    picture.showModal();
  });
}

const trials = JSON.parse(document.getElementById("trials-behind").textContent);
const sources = document.getElementById("sources");
document.addEventListener("click", (event) => {
  const place = event.target.closest("[data-trials]");
  if (!place || event.target.closest("a, button") || String(getSelection())) return;
  const numbers = place.dataset.trials.split(" ").flatMap((span) => {
    const [first, last] = span.split("-").map(Number);
    return Array.from({ length: (last ?? first) - first + 1 }, (_, k) => first + k);
  });
  const many = numbers.length === 1 ? "trial" : "trials";
  const what = place.matches("td") ? `${place.firstChild.textContent.trim()}: from` : "From";
  sources.querySelector("p").textContent = `${what} ${numbers.length} ${many}`;
  sources.querySelector("ul").replaceChildren(
    ...numbers.map((number) => {
      const item = document.createElement("li");
      item.textContent = trials[number];
      return item;
    }),
  );
  sources.showModal();
});

// What is folded is printed, too, except the list of all trials where that is long.
addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll("details")) {
    if (folded.querySelectorAll("tr").length < 60) folded.open = true;
  }
});
