// Search in sorted lists. Knows nothing of what is in them.

/**
 * Where something begins in a list that is sorted by it: the first index whose element is not below it, `count` when all
 * are.
 * @param count elements of the list
 */
export function lowerBound(count: number, isBelow: (index: number) => boolean): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isBelow(middle)) low = middle + 1;
    else high = middle;
  }
  return low;
}
