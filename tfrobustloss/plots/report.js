"use strict";
(function () {
  const collator = new Intl.Collator(undefined, { numeric: true });

  function makeSortable(table) {
    const headers = Array.from(table.querySelectorAll("thead th"));
    const body = table.tBodies[0];
    headers.forEach((header, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      header.append(button);
      button.addEventListener("click", () => {
        const down = header.getAttribute("aria-sort") === "ascending";
        headers.forEach((each) => each.removeAttribute("aria-sort"));
        header.setAttribute("aria-sort", down ? "descending" : "ascending");
        const cell = (row) => row.children[column].textContent;
        const compare = (a, b) =>
          (down ? -1 : 1) * collator.compare(cell(a), cell(b));
        body.append(...Array.from(body.rows).sort(compare));
      });
    });
  }

  document.querySelectorAll("table.sortable").forEach(makeSortable);

  const list = document.getElementById("findings");
  if (!list) return;
  const items = Array.from(list.children);
  const control = (name) => document.getElementById(name);
  const inside = (item, name) => item.querySelector("." + name).textContent;
  const texts = items.map((item) => item.textContent.toLowerCase());
  const headers = Array.from(document.querySelectorAll("#suspects thead th"));

  function filter() {
    const words = control("text").value.toLowerCase();
    const given = control("given").value;
    const likelier = control("likelier").value;
    const least = Number(control("least").value) / 100;
    let count = 0;
    items.forEach((item, index) => {
      const fits =
        (given === "" || item.dataset.given === given) &&
        (likelier === "" || item.dataset.likelier === likelier) &&
        Number(item.dataset.sure) >= least &&
        texts[index].includes(words);
      item.hidden = !fits;
      if (fits) count += 1;
    });
    control("count").textContent = count + " of " + items.length + " shown";
  }

  function reorder(compare) {
    list.append(...Array.from(list.children).sort(compare));
  }

  function sortBy(key) {
    const surest = (a, b) => b.dataset.sure - a.dataset.sure;
    headers.forEach((header) => header.removeAttribute("aria-sort"));
    if (key === "sure") reorder(surest);
    else if (key === "unsure") reorder((a, b) => surest(b, a));
    else
      reorder(
        (a, b) => collator.compare(inside(a, key), inside(b, key)) || surest(a, b)
      );
  }

  document.querySelectorAll("#pairs tbody tr").forEach((row) => {
    const [given, likelier] = [row.dataset.noisy, row.dataset.clean];
    const listed = (item) =>
      item.dataset.given === given && item.dataset.likelier === likelier;
    if (!items.some(listed)) return;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Show";
    button.setAttribute("aria-label", "Show the labels of this pair");
    button.addEventListener("click", () => {
      control("given").value = given;
      control("likelier").value = likelier;
      filter();
      control("suspects").scrollIntoView();
    });
    row.lastElementChild.append(button);
  });

  ["text", "given", "likelier", "least"].forEach((name) =>
    control(name).addEventListener("input", filter)
  );
  control("sort").addEventListener("input", () => sortBy(control("sort").value));
  control("controls").addEventListener("reset", () =>
    setTimeout(() => {
      sortBy("sure");
      filter();
    })
  );
  control("controls").addEventListener("submit", (event) => event.preventDefault());
  control("controls").hidden = false;
  filter();
})();
