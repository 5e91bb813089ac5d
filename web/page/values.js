// Values as the API sends them: how they are read, sorted and written for people.
import { clock, day } from "./chart.js";

// parse reads JSON and keeps whole numbers that a double cannot hold, where the browser tells their digits.
export const parse = (text) => JSON.parse(text, (_, v, context) =>
  typeof v === "number" && !Number.isSafeInteger(v) && /^-?\d+$/.test(context?.source ?? "") ? BigInt(context.source) : v);

export const isTime = (type) => /^(TIMESTAMP|DATE)/.test(type);
export const isNumber = (type) => /^(U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|DECIMAL|DOUBLE|FLOAT)/.test(type) && !type.endsWith("[]");
const formats = new Map();

export function numberText(value, type) {
  if (!formats.has(type)) {
    const scale = /^DECIMAL\(\d+,\s*(\d+)\)/.exec(type)?.[1];
    formats.set(type, new Intl.NumberFormat("en", scale ? { minimumFractionDigits: +scale, maximumFractionDigits: +scale } : { maximumFractionDigits: 4 }));
  }
  return formats.get(type).format(value);
}

export function text(value, type, seconds = true) {
  if (value === null || value === undefined) return "–";
  if (isNumber(type)) return numberText(value, type);
  if (type === "DATE") return value;
  if (isTime(type)) return `${day(value)} ${clock(value, seconds)}`;
  if (typeof value === "object") return JSON.stringify(value, (_, v) => (typeof v === "bigint" ? String(v) : v));
  return String(value);
}

// sorted orders rows by a column, NULL last whichever the direction.
export function sorted(rows, { column, descending }) {
  const direction = descending ? -1 : 1;
  return rows.toSorted((a, b) => {
    const x = a[column], y = b[column];
    if (x === null || y === null) return (x === null) - (y === null);
    return direction * (x < y ? -1 : x > y ? 1 : 0);
  });
}

const whole = new Intl.NumberFormat("en");
export const count = (n) => whole.format(n);
export const plural = (n, noun) => `${count(n)} ${noun}${n === 1 ? "" : "s"}`;
export const duration = (s) => (s < 120 ? `${Math.round(s)} s` : s < 7200 ? `${Math.round(s / 60)} min` : `${Math.round(s / 3600)} h`);
