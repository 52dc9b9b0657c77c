// Deep traffic: every client walks one sort and direction from its first page for the whole run, as far as it gets,
// and checks that each page continues the one before it.
// k6 run [-e VUS=16] [-e LIMIT=100] [-e DURATION=30s] [-e BASE_URL=...] loadtest/deep.js

import { check } from 'k6';
import exec from 'k6/execution';
import { Counter } from 'k6/metrics';
import { closedLoop, setting } from './lib/options.js';
import { list } from './lib/catalogue.js';

const rows = new Counter('rows_walked');
const sorts = ['id', 'price', 'name', 'createdAt'];
const limit = setting('LIMIT', 100);

export const options = closedLoop(16);

let cursor;
let last = null;

export default function () {
  const client = exec.vu.idInTest - 1;
  const sort = sorts[client % 4];
  const order = client % 8 < 4 ? 'ASC' : 'DESC';
  const page = list({ sort, order, limit, cursor }, `deep ${sort}`);
  if (page === null) {
    return;
  }
  check(page, { 'page continues the walk': (p) => continues(p.data, sort, order) });
  rows.add(page.count);
  cursor = page.hasMore ? page.nextCursor : undefined;
  last = page.hasMore ? page.data[page.count - 1] : null;
}

// Whether the products follow each other, and the last of the page before, in the order asked for.
// Names sort by the database's collation: for them only a repeated product shows here.
function continues(products, sort, order) {
  const walked = last === null ? products : [last, ...products];
  return walked.every((product, i) => i === 0 || follows(walked[i - 1], product, sort, order));
}

function follows(before, after, sort, order) {
  if (sort === 'name') {
    return before.id !== after.id;
  }
  const [low, high] = order === 'ASC' ? [before, after] : [after, before];
  return low[sort] < high[sort] || (low[sort] === high[sort] && low.id < high.id);
}
