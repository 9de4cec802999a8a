// Colours, canvases, and arrays from the kernel.

// cividis at 0, 1/12, ..., 1; on straight lines between these it is off by 8 of 255 at most
const CIVIDIS = [[0, 34, 78], [0, 49, 112], [42, 63, 109], [67, 78, 108], [87, 93, 109], [106, 108, 113],
  [125, 124, 120], [145, 139, 120], [165, 156, 116], [188, 174, 108], [210, 192, 96], [233, 211, 78], [254, 232, 56]];

function cividis(x) {
  const place = Math.min(Math.max(x, 0), 1) * (CIVIDIS.length - 1);
  const i = Math.min(Math.floor(place), CIVIDIS.length - 2);
  return CIVIDIS[i].map((low, c) => Math.round(low + (place - i) * (CIVIDIS[i + 1][c] - low)));
}

const css = ([r, g, b]) => `rgb(${r}, ${g}, ${b})`;

/** Black or white, whichever is read more easily on a colour (WCAG relative luminance). */
function inkOn(rgb) {
  const [r, g, b] = rgb.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000" : "#fff";
}


/** The sequential scale as a strip, for a legend. */
const colourScale = () => element("span", { class: "cw-scale", role: "img", "aria-label": "from dark blue over grey to yellow",
  style: `background: linear-gradient(to right, ${CIVIDIS.map(css).join(", ")})` });

/** An empty canvas of so many CSS pixels, and its pen. */
function sheet(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.ceil(width * ratio);
  canvas.height = Math.ceil(height * ratio);
  Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  return pen;
}

// ---- arrays from the kernel, which come as a DataView of a larger message -----------------------------

const bytesOf = ({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength);
const floatsOf = (data) => new Float32Array(bytesOf(data).slice().buffer); // copied: it may begin anywhere
