// Keeps the page fresh without losing the reader's place.
(function () {
  "use strict";
  async function refresh() {
    const mark = document.getElementById("live");
    try {
      const answer = await fetch("/", { cache: "no-store" });
      const next = new DOMParser().parseFromString(await answer.text(), "text/html");
      document.querySelector("main").replaceWith(next.querySelector("main"));
    } catch (e) {
      if (mark) mark.textContent = "the node does not answer";
    }
  }
  setInterval(function () { if (!document.hidden) refresh(); }, 3000);
})();
