// The network: an int8 ONNX file, run by onnxruntime-web in WebAssembly on one thread.

import * as ort from "./ort.wasm.bundle.min.mjs";
import { normalised, resized } from "./picture.js";

const WARM_UP = 5;
const RUNS = 20;

async function bytesOf(name) {
  const response = await fetch(name);
  if (!response.ok) throw new Error(`${name} could not be loaded (${response.status}).`);
  return new Uint8Array(await response.arrayBuffer());
}

/** Load runtime and model; both are fetched here, so their bytes are those that travelled. */
export async function openNetwork() {
  const [runtime, model, card] = await Promise.all([
    bytesOf("ort-wasm-simd-threaded.wasm"),
    bytesOf("model.onnx"),
    fetch("model.json").then((response) => response.json()),
  ]);
  ort.env.wasm.wasmBinary = runtime.buffer;
  ort.env.wasm.numThreads = 1;
  const size = { runtime: runtime.byteLength, model: model.byteLength };
  const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
  return { session, card, size };
}

/** Logits for a square canvas, the image the network saw, the median milliseconds of a run. */
export async function classify({ session, card }, canvas) {
  const seen = resized(canvas, card.input_shape[2]);
  const values = normalised(seen, card.mean, card.std);
  const input = new ort.Tensor("float32", values, [1, ...card.input_shape]);
  const times = [];
  let logits;
  for (let run = 0; run < WARM_UP + RUNS; run++) {
    const start = performance.now();
    const made = await session.run({ [session.inputNames[0]]: input });
    times.push(performance.now() - start);
    logits = Array.from(made[session.outputNames[0]].data);
  }
  const sorted = times.slice(WARM_UP).sort((one, other) => one - other);
  const milliseconds = (sorted[RUNS / 2 - 1] + sorted[RUNS / 2]) / 2;
  return { logits, seen, milliseconds, runs: RUNS };
}

/** Softmax, with each share's class, the largest first. */
export function ranked(logits, classes) {
  const largest = Math.max(...logits);
  const powers = logits.map((logit) => Math.exp(logit - largest));
  const sum = powers.reduce((one, other) => one + other, 0);
  return powers
    .map((power, place) => ({ name: classes[place], share: power / sum }))
    .sort((one, other) => other.share - one.share);
}
