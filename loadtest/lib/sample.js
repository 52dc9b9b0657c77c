// What the catalogue holds, from a few dozen pages of it: for setup(), so that requests ask for what is there.

import { asCategories, get, list } from './catalogue.js';

const PAGES = 30;
// Tokens shorter than a full-text index's usual minimum: searched for whatever the sample holds.
const SHORT_WORDS = ['XL', '2L', '1kg'];

export function sampleCatalogue() {
  const newest = list({ sort: 'id', order: 'DESC', limit: 1 }, 'setup');
  if (newest === null || newest.count === 0) {
    throw new Error('the catalogue is empty or does not answer: seed it first');
  }
  const lastId = newest.data[0].id;
  const products = [];
  for (let i = 0; i < PAGES; i++) {
    const page = list({ limit: 100, cursor: Math.floor((lastId * i) / PAGES) }, 'setup');
    products.push(...(page ? page.data : []));
  }
  return Object.assign(
    { lastId, ids: products.map((p) => p.id), categories: asCategories(get('/categories', 'setup')) },
    wordsOf(products),
  );
}

// The words of the products' names: all of three letters and more, the twenty most common, and the short ones.
function wordsOf(products) {
  const seen = new Map();
  for (const product of products) {
    for (const word of new Set(product.name.split(/[^\p{L}\p{N}]+/u))) {
      seen.set(word, (seen.get(word) || 0) + 1);
    }
  }
  const byCount = [...seen.keys()].sort((a, b) => seen.get(b) - seen.get(a));
  const words = byCount.filter((word) => /^\p{L}{3,}$/u.test(word));
  const short = byCount.filter((word) => /^(\d+(kg|g|l|ml)|XS|S|M|L|XL)$/i.test(word));
  return { words, commonWords: words.slice(0, 20), shortWords: [...new Set(SHORT_WORDS.concat(short.slice(0, 10)))] };
}

export function pick(values) {
  return values[Math.floor(Math.random() * values.length)];
}

// A price in the currency's units with two decimals, between the two bounds given in cents.
export function priceBetween(low, high) {
  return ((low + Math.floor(Math.random() * (high - low))) / 100).toFixed(2);
}
