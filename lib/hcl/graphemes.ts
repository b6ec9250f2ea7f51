// Made when first needed: it costs as much as the rest of this room together.
let segmenter: Intl.Segmenter | undefined;

/** The grapheme clusters of a text: what a reader takes for its characters. */
export function graphemes(text: string): string[] {
  // "\r\n" is one cluster; every other pair of ASCII characters is two.
  if (/^[\0-\x0c\x0e-\x7f]*$/.test(text)) return text.split('');
  segmenter ??= new Intl.Segmenter('en');
  return Array.from(segmenter.segment(text), ({ segment }) => segment);
}
