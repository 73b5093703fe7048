"use strict";

// The bars show one column of the table, which stays on the page: without JavaScript, it is all there is.
const slider = document.getElementById("seeds");
const sizes = slider.dataset.sizes.split(" ");
const rows = [...document.querySelectorAll("#shares tbody tr")];
const bars = [...document.querySelectorAll("#bars .bar")];

function show() {
  const place = Number(slider.value);
  const words = `${sizes[place]} ${sizes[place] === "1" ? "seed" : "seeds"}`;
  document.getElementById("chosen").textContent = words;
  slider.setAttribute("aria-valuetext", words);
  rows.forEach((row, k) => {
    [...row.cells].forEach((cell, column) => cell.classList.toggle("on", column === place + 1));
    const cell = row.cells[place + 1];
    bars[k].querySelector(".fill").style.width = `${100 * Number(cell.dataset.value ?? 0)}%`;
    bars[k].querySelector("b").textContent = cell.firstChild.textContent;
  });
}

slider.addEventListener("input", show);
document.getElementById("slider").hidden = false;
document.querySelector("#few details").open = false;
show();
addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll("details")) folded.open = true;
});
