// What the catalogue holds, from a few dozen pages of it: for setup(), so that requests ask for what is there.

import { asCategories, get, list } from './catalogue.js';

const PAGES = 30;

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
  return {
    lastId,
    ids: products.map((p) => p.id),
    categories: asCategories(get('/categories', 'setup')),
    texts: products.map(wordsOf).filter((words) => words.length > 0),
  };
}

// The words of each product's name and description, of three letters and more.
function wordsOf(product) {
  const words = `${product.name} ${product.description}`.toLowerCase().split(/[\s!-/:-@[-`{-~]+/);
  return [...new Set(words.filter((word) => word.length > 2))];
}

// A whole number from 0 on, below the limit.
export function below(limit) {
  return Math.floor(Math.random() * limit);
}

export function pick(values) {
  return values[below(values.length)];
}

// A price in the currency's units with two decimals, between the two bounds given in cents.
export function priceBetween(low, high) {
  return ((low + below(high - low)) / 100).toFixed(2);
}
