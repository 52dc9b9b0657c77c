// Mixed traffic, as a shop would send it: mostly first pages, then pages further in, single products, categories,
// conditional requests and now and then a search.
// k6 run [-e VUS=32] [-e PAUSE=0] [-e DURATION=30s] [-e BASE_URL=...] loadtest/mixed.js

import { check, sleep } from 'k6';
import { closedLoop, setting } from './lib/options.js';
import { asCategories, asProduct, get, list } from './lib/catalogue.js';
import { pick, priceBetween, sampleCatalogue } from './lib/sample.js';

const pause = setting('PAUSE', 0);

export const options = closedLoop(32);

export function setup() {
  return sampleCatalogue();
}

// The share of each kind of request, in percent.
const kinds = [
  [40, firstPage],
  [15, nextPage],
  [10, priceRange],
  [20, item],
  [5, categories],
  [9, unchanged],
  [1, search],
];

export default function (catalogue) {
  let ticket = Math.random() * 100;
  const [, send] = kinds.find(([share]) => (ticket -= share) < 0) || kinds[0];
  send(catalogue);
  sleep(pause);
}

function firstPage({ categories }) {
  list({ limit: 20, category: pick([undefined, ...categories]) }, 'first page');
}

function nextPage({ categories }) {
  const query = { limit: 20, sort: pick(['price', 'name', 'createdAt']), category: pick(categories) };
  const page = list(query, 'next page');
  if (page && page.hasMore) {
    list(Object.assign(query, { cursor: page.nextCursor }), 'next page');
  }
}

function priceRange({ categories }) {
  const minPrice = priceBetween(100, 5000);
  list({ minPrice, maxPrice: (Number(minPrice) + 50).toFixed(2), category: pick(categories) }, 'price range');
}

function item({ ids }) {
  const id = pick(ids);
  asProduct(get(`/products/${id}`, 'item'), id);
}

function categories() {
  asCategories(get('/categories', 'categories'));
}

// A list that the client already has: a conditional request, answered without a body.
const etags = {};
function unchanged({ categories }) {
  const path = `/products?limit=20&category=${encodeURIComponent(pick(categories))}`;
  const known = etags[path];
  const response = get(path, 'conditional', known ? { 'If-None-Match': known } : {});
  check(response, {
    'conditional is 304 without a body, or a newer 200': (r) =>
      r.status === 304 ? known !== undefined && !r.body : r.status === 200,
    'conditional carries its ETag': (r) => Boolean(r.headers.Etag),
  });
  etags[path] = response.headers.Etag;
}

function search({ texts }) {
  list({ search: pick(pick(texts)) }, 'search');
}
