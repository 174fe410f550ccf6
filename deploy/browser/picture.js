// From a picture file to the numbers a network takes, step by step as ../raspberry_pi/classify.py
// does it, so that both give the same answer. The canvas could make a picture smaller by itself,
// but every browser does that in its own way.

const PRECISION = 22; // bits after the point of a weight, as in Pillow's resize

/** A file's largest centred square, on white where it is transparent: a canvas. */
export async function squareOf(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" });
  } catch {
    throw new Error(`“${file.name || "what you gave"}” is not a picture that this browser can read.`);
  }
  const side = Math.min(bitmap.width, bitmap.height);
  const left = Math.floor((bitmap.width - side) / 2);
  const top = Math.floor((bitmap.height - side) / 2);
  const canvas = new OffscreenCanvas(side, side);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, side, side);
  context.drawImage(bitmap, left, top, side, side, 0, 0, side, side);
  bitmap.close();
  return canvas;
}

/** Which source pixels make one target pixel, and their whole-number weights (a triangle). */
function taps(from, to) {
  const scale = from / to;
  const reach = Math.max(scale, 1);
  return Array.from({ length: to }, (_, place) => {
    const centre = (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - reach + 0.5));
    const end = Math.min(from, Math.trunc(centre + reach + 0.5));
    const weights = [];
    for (let x = first; x < end; x++) {
      weights.push(Math.max(0, 1 - Math.abs((x + 0.5 - centre) / reach)));
    }
    const sum = weights.reduce((one, other) => one + other, 0);
    return { first, weights: weights.map((w) => Math.trunc((w / sum) * 2 ** PRECISION + 0.5)) };
  });
}

/** Make the rows of a picture shorter and turn rows into columns; twice is a smaller picture. */
function shrinkAndTurn(pixels, width, height, size) {
  const turned = new Uint8ClampedArray(size * height * 4);
  taps(width, size).forEach(({ first, weights }, column) => {
    for (let row = 0; row < height; row++) {
      for (let channel = 0; channel < 4; channel++) {
        let sum = 2 ** (PRECISION - 1);
        let at = (row * width + first) * 4 + channel;
        for (const weight of weights) {
          sum += weight * pixels[at];
          at += 4;
        }
        turned[(column * height + row) * 4 + channel] = Math.floor(sum / 2 ** PRECISION);
      }
    }
  });
  return turned;
}

/** A square canvas at size × size pixels: ImageData. */
export function resized(canvas, size) {
  const side = canvas.width;
  const { data } = canvas.getContext("2d").getImageData(0, 0, side, side);
  if (side === size) return new ImageData(data, size, size);
  const once = shrinkAndTurn(data, side, side, size);
  return new ImageData(shrinkAndTurn(once, side, size, size), size, size);
}

/** Pixels as the network takes them: (value / 255 - mean) / std, channel after channel. */
export function normalised({ data, width, height }, mean, std) {
  const count = width * height;
  const values = new Float32Array(mean.length * count);
  mean.forEach((middle, channel) => {
    for (let pixel = 0; pixel < count; pixel++) {
      values[channel * count + pixel] = (data[4 * pixel + channel] / 255 - middle) / std[channel];
    }
  });
  return values;
}
