// Hot traffic: many clients ask for the same few lists, so that the caches answer.
// k6 run [-e VUS=64] [-e DURATION=30s] [-e BASE_URL=...] loadtest/hot.js

import { closedLoop } from './lib/options.js';
import { list } from './lib/catalogue.js';
import { pick, sampleCatalogue } from './lib/sample.js';

export const options = closedLoop(64);

export function setup() {
  const { categories } = sampleCatalogue();
  const lists = [
    { limit: 20 },
    { limit: 20, sort: 'price', order: 'ASC' },
    { limit: 20, sort: 'createdAt', order: 'DESC' },
    ...categories.slice(0, 7).map((category) => ({ limit: 20, category })),
  ];
  lists.forEach((parameters) => list(parameters, 'setup'));
  return lists;
}

export default function (lists) {
  list(pick(lists), 'hot list');
}
