// Cold traffic: every shape of list without a search, at any depth, never the same query twice, so that every
// request reaches the database.
// k6 run [-e VUS=16] [-e DURATION=30s] [-e BASE_URL=...] loadtest/cold.js

import exec from 'k6/execution';
import { Rate } from 'k6/metrics';
import { closedLoop } from './lib/options.js';
import { asPage, get, listPath } from './lib/catalogue.js';
import { pick, priceBetween, sampleCatalogue } from './lib/sample.js';

const hits = new Rate('cache_hits');

export const options = closedLoop(16, { cache_hits: ['rate<0.01'] });

export function setup() {
  return sampleCatalogue();
}

const shapes = ['id', 'price', 'name', 'createdAt'].flatMap((sort) =>
  ['ASC', 'DESC'].flatMap((order) =>
    [false, true].flatMap((byCategory) =>
      [false, true].map((byPrice) => ({ sort, order, byCategory, byPrice, walk: null })),
    ),
  ),
);
export default function (catalogue) {
  const shape = shapes[exec.vu.iterationInInstance % shapes.length];
  shape.walk = shape.walk || start(shape, catalogue);
  const response = get(listPath(shape.walk), `cold ${shape.sort}`);
  hits.add(/hit/.test(response.headers['Cache-Status'] || ''));
  const page = asPage(response);
  shape.walk = page && page.hasMore ? Object.assign({}, shape.walk, { cursor: page.nextCursor }) : null;
}

// Where a walk begins: random filters and, for the default sort, a random depth.
function start({ sort, order, byCategory, byPrice }, { categories, lastId }) {
  // A limit of its own makes a client's walk differ from every other client's walk of the same shape.
  const limit = 20 + ((exec.vu.idInTest - 1) % 81);
  const minPrice = byPrice ? priceBetween(0, 20000) : undefined;
  return {
    sort,
    order,
    limit,
    category: byCategory ? pick(categories) : undefined,
    minPrice,
    maxPrice: byPrice ? (Number(minPrice) + 0.01 + Math.random() * 500).toFixed(2) : undefined,
    cursor: sort === 'id' ? 1 + Math.floor(Math.random() * lastId) : undefined,
  };
}
