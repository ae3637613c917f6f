// Bars as SVG, for docs/performance/. On a ground of their own, so that they can be read in a dark and in a light theme.

const LABELS = 270;
const PLOT = 520;
const RIGHT = 80;
const BAR = 15;
const GAP = 14;
const TOP = 66;
const COLORS = ['#1a7f37', '#54aeff', '#9a6700'];
const INK = '#1f2328';
const FAINT = '#59636e';

const escaped = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

/**
 * Groups of bars from left to right.
 * @param {object} chart
 * @param {string} chart.title
 * @param {string[]} chart.series names of the bars of each group
 * @param {{ label: string, values: (number | undefined)[], limits?: (number | undefined)[] }[]} chart.groups a limit is
 * marked across its bar
 * @param {number[]} chart.ticks the last is the right end; longer bars are cut there
 * @param {number} [chart.line] a line across all groups
 * @param {(value: number) => string} chart.show
 * @param {boolean} [chart.isLogarithmic] from the first tick on
 */
export function barChart({ title, series, groups, ticks, line, show, isLogarithmic = false }) {
  const high = ticks.at(-1);
  const scale = isLogarithmic
    ? (value) => Math.log(value / ticks[0]) / Math.log(high / ticks[0])
    : (value) => value / high;
  const x = (value) => LABELS + Math.min(1, Math.max(0, scale(value))) * PLOT;
  const groupHeight = series.length * BAR + GAP;
  const bottom = TOP + groups.length * groupHeight;
  const width = LABELS + PLOT + RIGHT;
  const text = (left, y, content, { anchor = 'start', color = INK, size = 12, weight = 'normal' } = {}) =>
    `<text x="${left.toFixed(1)}" y="${y}" text-anchor="${anchor}" fill="${color}" font-size="${size}" font-weight="${weight}">${escaped(content)}</text>`;
  const rule = (at, from, to, color, more = '') =>
    `<line x1="${x(at).toFixed(1)}" y1="${from}" x2="${x(at).toFixed(1)}" y2="${to}" stroke="${color}" ${more}/>`;
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${bottom + 30}" width="${width}" height="${bottom + 30}" font-family="system-ui, sans-serif" role="img" aria-label="${escaped(title)}">`,
    `<rect width="100%" height="100%" rx="6" fill="#ffffff" stroke="#d1d9e0"/>`,
    text(16, 26, title, { size: 14, weight: '600' }),
  ];
  let left = LABELS;
  for (const [index, name] of series.entries()) {
    parts.push(
      `<rect x="${left}" y="39" width="11" height="11" fill="${COLORS[index]}"/>`,
      text(left + 16, 49, name),
    );
    left += 36 + name.length * 7;
  }
  for (const tick of ticks) {
    parts.push(rule(tick, TOP - 6, bottom, '#d1d9e0'));
    parts.push(text(x(tick), bottom + 17, show(tick), { anchor: 'middle', color: FAINT, size: 11 }));
  }
  for (const [index, { label, values, limits = [] }] of groups.entries()) {
    const top = TOP + index * groupHeight;
    parts.push(text(LABELS - 10, top + (series.length * BAR) / 2 + 4, label, { anchor: 'end' }));
    for (const [place, value] of values.entries()) {
      if (value === undefined) continue;
      const y = top + place * BAR;
      parts.push(
        `<rect x="${LABELS}" y="${y + 1}" width="${(x(value) - LABELS).toFixed(1)}" height="${BAR - 2}" fill="${COLORS[place]}"/>`,
      );
      const limit = limits[place];
      // Not where the mark of the limit is.
      const isAtLimit = limit !== undefined && x(limit) >= x(value) && x(limit) < x(value) + 40;
      parts.push(text((isAtLimit ? x(limit) : x(value)) + 5, y + 12, show(value), { size: 11 }));
      if (limit !== undefined) parts.push(rule(limit, y - 1, y + BAR + 1, '#cf222e', 'stroke-width="2"'));
    }
  }
  if (line !== undefined) parts.push(rule(line, TOP - 6, bottom, INK, 'stroke-dasharray="4 3"'));
  return `${[...parts, '</svg>'].join('\n')}\n`;
}
