// The demo inside a page, and the map that marks what a chapter builds on.

(function () {
  "use strict";

  /** A button that starts the demo in a frame: it loads 15 MB, so nobody gets it unasked. */
  function offerDemo(box) {
    const note = document.createElement("p");
    if (location.protocol === "file:") {
      note.textContent =
        "The network needs a page that is served, and this one was opened as a file. " +
        "Run “make site-serve” and open the address that it prints.";
      box.replaceChildren(note);
      return;
    }
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Start the network";
    note.textContent = "It loads about 15 MB from this site, nearly all of it the program that runs the network.";
    button.addEventListener("click", () => startDemo(box));
    box.replaceChildren(button, note);
  }

  function startDemo(box) {
    const frame = document.createElement("iframe");
    frame.title = "SqueezeNet in your browser";
    frame.src = box.dataset.demo;
    frame.addEventListener("load", () => {
      const page = frame.contentDocument.documentElement;
      const fit = () => { frame.style.height = `${frame.contentDocument.body.scrollHeight + 4}px`; };
      new frame.contentWindow.ResizeObserver(fit).observe(page.querySelector("body"));
      fit();
    });
    box.replaceChildren(frame);
  }

  /** Marks a chapter of the map and everything that it builds on. */
  function markNeeds(map) {
    const lines = [...map.querySelectorAll("path[data-from]")];
    const boxes = new Map([...map.querySelectorAll("[data-chapter]")].map(
      (box) => [box.dataset.chapter, box]));

    function mark(number) {
      const marked = new Set(number ? [number] : []);
      for (const target of marked) { // grows while it runs
        for (const line of lines) if (line.dataset.to === target) marked.add(line.dataset.from);
      }
      map.classList.toggle("marking", marked.size > 0);
      for (const [name, box] of boxes) box.classList.toggle("marked", marked.has(name));
      for (const line of lines) line.classList.toggle("marked", marked.has(line.dataset.to));
    }

    for (const [name, box] of boxes) {
      for (const event of ["mouseenter", "focus"]) box.addEventListener(event, () => mark(name));
      for (const event of ["mouseleave", "blur"]) box.addEventListener(event, () => mark(""));
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("[data-demo]").forEach(offerDemo);
    document.querySelectorAll(".chapter-map").forEach(markNeeds);
  });
})();
