// The page: takes a picture by drop, paste or file picker, and shows what the network says.

import { classify, openNetwork, ranked } from "./network.js";
import { squareOf } from "./picture.js";

const SHOWN = 5;
const part = (id) => document.getElementById(id);
const kilobytes = (bytes) => `${Math.round(bytes / 1e3).toLocaleString("en")} kB`;
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

function say(text) {
  part("status").textContent = text;
  part("problem").hidden = true;
}

function complain(error) {
  part("status").textContent = "";
  part("problem").textContent = error.message;
  part("problem").hidden = false;
  part("result").hidden = true;
}

function row({ name, share }) {
  const item = document.createElement("li");
  const [label, track, bar, number] = ["span", "div", "div", "span"].map((tag) =>
    document.createElement(tag),
  );
  label.textContent = name;
  track.className = "track";
  track.setAttribute("aria-hidden", "true");
  bar.className = "bar";
  bar.style.width = `${100 * share}%`;
  track.append(bar);
  number.className = "share";
  number.textContent = `${(100 * share).toFixed(1)} %`;
  item.append(label, track, number);
  return item;
}

function paint(square, seen) {
  const given = part("given");
  const context = given.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(square, 0, 0, given.width, given.height);
  const small = part("seen");
  small.width = seen.width;
  small.height = seen.height;
  small.getContext("2d").putImageData(seen, 0, 0);
  part("pixels").textContent = `${seen.width} × ${seen.height} pixels`;
}

function show(network, square, { logits, seen, milliseconds, runs }) {
  const shares = ranked(logits, network.card.classes);
  paint(square, seen);
  part("answer").textContent = `${shares[0].name}, ${(100 * shares[0].share).toFixed(1)} %`;
  part("shares").replaceChildren(...shares.slice(0, SHOWN).map(row));
  part("time").textContent = `${milliseconds.toFixed(1)} ms (median of ${runs}, one thread)`;
  part("network-bytes").textContent = `${kilobytes(network.size.model)}, 8 bits a weight`;
  part("runtime-bytes").textContent = `${megabytes(network.size.runtime)} of WebAssembly`;
  part("result").hidden = false;
}

/** The first file among what was dropped or pasted. */
function fileOf(transfer) {
  const file = transfer?.files?.[0];
  if (!file) throw new Error("That holds no file. Save the picture first, then give the file.");
  return file;
}

async function answer(network, file) {
  try {
    say("Looking …");
    const square = await squareOf(file);
    show(network, square, await classify(network, square));
    say(file.name ? `This is what it says about ${file.name}.` : "This is what it says.");
  } catch (error) {
    complain(error);
  }
}

function listen(network) {
  const drop = part("drop");
  const input = part("file");
  let turn = Promise.resolve(); // one picture after another: a session runs one at a time
  const ask = (take) => {
    try {
      const file = take(); // at once: what was dropped is gone after the event
      turn = turn.then(() => answer(network, file));
    } catch (error) {
      complain(error);
    }
  };
  input.disabled = false;
  input.addEventListener("change", () => {
    if (input.files.length) ask(() => input.files[0]);
    input.value = ""; // so that the same file can be chosen again
  });
  // The whole window takes a drop: beside the box, the browser would open the file itself.
  window.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  window.addEventListener("dragleave", () => drop.classList.remove("over"));
  window.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    ask(() => fileOf(event.dataTransfer));
  });
  window.addEventListener("paste", (event) => ask(() => fileOf(event.clipboardData)));
}

async function start() {
  try {
    const network = await openNetwork();
    part("model-size").textContent = kilobytes(network.size.model);
    part("classes").textContent = network.card.classes.join(", ");
    listen(network);
    say("Ready.");
  } catch (error) {
    complain(new Error(`The network could not be loaded: ${error.message}`));
  }
}

start();
