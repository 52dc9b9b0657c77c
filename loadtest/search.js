// Search traffic: one to three words of a product, drawn as often as products have them; a tenth misspelt by one letter, a
// tenth cut short; always with the total.
// A search that the service refuses is a failure here. PAUSE is how long, on average, a client reads between two searches, in seconds.
// k6 run [-e VUS=8] [-e PAUSE=0] [-e DURATION=30s] [-e BASE_URL=...] loadtest/search.js

import { check, sleep } from 'k6';
import { closedLoop, setting } from './lib/options.js';
import { list } from './lib/catalogue.js';
import { below, pick, sampleCatalogue } from './lib/sample.js';

const pause = setting('PAUSE', 0);

export const options = closedLoop(8);

export function setup() {
  return sampleCatalogue();
}

export default function ({ texts }) {
  const words = someOf(pick(texts), 1 + below(3));
  const kind = ['misspelt', 'cut short'][below(10)] || 'as written';
  if (kind === 'misspelt') {
    const longest = words.reduce((at, word, i) => (word.length > words[at].length ? i : at), 0);
    words[longest] = misspelt(words[longest]);
  } else if (kind === 'cut short') {
    words.push(words.pop().slice(0, 3 + below(3)));
  }
  const page = list({ search: words.join(' '), total: true }, `search ${kind}`);
  check(page, {
    'search has a total': (p) => p !== null && p.total >= p.count,
    'search says how it was read': (p) => p !== null && typeof p.corrections.level === 'string',
    'search finds what is written': (p) => kind !== 'as written' || (p !== null && p.count > 0),
  });
  sleep(pause * (0.5 + Math.random()));
}

function someOf(words, count) {
  const left = words.slice();
  return Array.from({ length: Math.min(count, left.length) }, () => left.splice(below(left.length), 1)[0]);
}

// Another letter in a place, or one letter less.
function misspelt(word) {
  const at = below(word.length);
  const letter = Math.random() < 0.5 ? '' : word[at] === 'q' ? 'x' : 'q';
  return word.slice(0, at) + letter + word.slice(at + 1);
}
