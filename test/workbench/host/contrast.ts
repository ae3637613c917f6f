// Whether text can be read: its contrast, as the page draws it.
import type { Locator } from 'playwright-core';

/** Of a text to what is behind it, as WCAG 2 counts it: 4.5 is the least for text. */
export function contrastOf(text: Locator): Promise<number> {
  return text.first().evaluate((element: Styled) => {
    const styleOf = (globalThis as unknown as { getComputedStyle: (this: void, of: Styled) => Style })
      .getComputedStyle;
    /** Red, green, blue from 0 to 255, and opacity. */
    const colorOf = (color: string): number[] => {
      const [r = 0, g = 0, b = 0, opacity = 1] = (color.match(/[\d.]+/g) ?? []).map(Number);
      return [r, g, b, color.startsWith('rgb') ? opacity : 0];
    };
    const over = (front: number[], back: number[]): number[] =>
      back.map((channel, i) => front[i]! * front[3]! + channel * (1 - front[3]!));
    const behind = (of: Styled | null): number[] => {
      if (!of) return [255, 255, 255];
      const color = colorOf(styleOf(of).backgroundColor);
      return color[3] === 1 ? color.slice(0, 3) : over(color, behind(of.parentElement));
    };
    const luminance = (channels: number[]): number => {
      const [r, g, b] = channels.map((c) =>
        c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4,
      );
      return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
    };
    const back = behind(element);
    const [light, dark] = [over(colorOf(styleOf(element).color), back), back]
      .map(luminance)
      .sort((a, b) => b - a);
    return (light! + 0.05) / (dark! + 0.05);
  });
}

interface Style {
  readonly color: string;
  readonly backgroundColor: string;
}

/** What an element of the page has of the DOM, whose types are not those of Node. */
interface Styled {
  readonly parentElement: Styled | null;
}
