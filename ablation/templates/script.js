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

// An enlarged figure fits the window; its actual size may be larger, and is scrolled.
const picture = document.getElementById("picture");
const size = document.getElementById("size");
function showActualSize(isActual) {
  picture.classList.toggle("actual", isActual);
  size.setAttribute("aria-pressed", String(isActual));
}
size.addEventListener("click", () => showActualSize(size.getAttribute("aria-pressed") === "false"));
for (const button of document.querySelectorAll(".enlarge")) {
  button.addEventListener("click", () => {
    const [shown, image] = [picture.querySelector("img"), button.querySelector("img")];
    shown.src = image.src;
    shown.alt = image.alt;
    picture.classList.toggle("photographs", button.parentElement.classList.contains("photographs"));
    showActualSize(false);
    picture.showModal();
    size.hidden = image.naturalWidth <= shown.clientWidth;
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

// Sections fold. A link to one that is folded opens it, and so does the address of the page.
const sections = [...document.querySelectorAll("section > details")];
function openTarget() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const folded = target && target.closest("details:not([open])");
  if (!folded) return;
  folded.open = true;
  target.scrollIntoView();
}
addEventListener("hashchange", openTarget);
document.querySelector("nav").addEventListener("click", (event) => {
  if (event.target.closest("a")?.hash === location.hash) openTarget(); // the address stays, so nothing else tells
});
openTarget();

const fold = document.getElementById("fold");
fold.hidden = sections.length === 0;
for (const hint of document.querySelectorAll(".scripted")) hint.hidden = false;
fold.addEventListener("click", () => {
  const isFolding = fold.textContent === "Fold all";
  for (const section of sections) section.open = !isFolding;
  fold.textContent = isFolding ? "Unfold all" : "Fold all";
});

// The navigation marks the section that one reads: the last one that begins above a third of the window.
const links = [...document.querySelectorAll("nav a")];
const targets = links.map((link) => document.querySelector(link.hash));
function markCurrent() {
  const isAtEnd = innerHeight + scrollY >= document.documentElement.scrollHeight - 2;
  let current = targets.findLastIndex((target) => target.getBoundingClientRect().top <= innerHeight / 3);
  if (isAtEnd && scrollY > 0) current = targets.length - 1;
  links.forEach((link, number) => {
    if (number !== Math.max(current, 0)) link.removeAttribute("aria-current");
    else if (!link.hasAttribute("aria-current")) {
      link.setAttribute("aria-current", "true");
      const list = link.closest("ul"); // scrolled by itself, for the page should stay where it is
      list.scrollTo({ left: link.offsetLeft - list.offsetLeft - (list.clientWidth - link.offsetWidth) / 2 });
    }
  });
}
let isWaiting = false;
addEventListener("scroll", () => {
  if (isWaiting) return;
  isWaiting = true;
  requestAnimationFrame(() => {
    isWaiting = false;
    markCurrent();
  });
}, { passive: true });
addEventListener("resize", markCurrent);
markCurrent();

// What is folded is printed, too, except the list of all trials where that is long; then it folds again.
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not([open])")].filter(
    (folded) => folded.querySelectorAll("tr").length < 60,
  );
  for (const folded of opened) folded.open = true;
});
addEventListener("afterprint", () => {
  for (const folded of opened) folded.open = false;
});
