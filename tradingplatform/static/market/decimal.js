// Money as whole numbers of 10^-8 (BigInt): a float would round what the exchange counts.
// Floats are for drawing only.

export const ATOMS = 100_000_000n;
const DECIMALS = 8;
const AMOUNT = /^(0|[1-9]\d{0,10})(\.\d{1,8})?$/;

// Returns null for what the API would refuse: signs, exponents, more than 8 decimals.
export function toAtoms(text) {
  const trimmed = String(text ?? "").trim();
  if (!AMOUNT.test(trimmed)) return null;
  const [whole, fraction = ""] = trimmed.split(".");
  return BigInt(whole) * ATOMS + BigInt(fraction.padEnd(DECIMALS, "0"));
}

// Cuts off what lies beyond the decimals: a quantity shown is never above the real one.
export function toText(atoms, decimals = DECIMALS) {
  const digits = atoms.toString().padStart(DECIMALS + 1, "0");
  const fraction = digits.slice(-DECIMALS).slice(0, decimals);
  return digits.slice(0, -DECIMALS) + (fraction ? `.${fraction}` : "");
}

export const floorTo = (atoms, step) => (step > 0n ? atoms - (atoms % step) : atoms);
// Both round down.
export const times = (one, two) => (one * two) / ATOMS;
export const over = (one, two) => (two > 0n ? (one * ATOMS) / two : 0n);

// 1234567.80 -> 1,234,567.80
export function grouped(text) {
  if (text === null || text === undefined) return "–";
  const [whole, fraction] = String(text).split(".");
  const shown = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return fraction === undefined ? shown : `${shown}.${fraction}`;
}

// 0.50000000 -> 0.5
export function trimmed(text) {
  return String(text).includes(".") ? String(text).replace(/\.?0+$/, "") : String(text);
}

// 96300.03340512 -> 96,300.03 and 0.01230000 -> 0.0123: as much of a balance as fits, cut off.
export function fitting(text) {
  const whole = String(text).split(".")[0];
  return grouped(trimmed(toText(toAtoms(text) ?? 0n, whole.length > 3 ? 2 : DECIMALS)));
}

// 996810.7669 -> 996.8K: for figures that only give an impression.
export function compact(text) {
  if (text === null || text === undefined) return "–";
  return new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 2 }).format(Number(text));
}
