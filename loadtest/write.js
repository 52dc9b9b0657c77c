// Write traffic: every client creates, puts, patches and deletes a product of its own, with a list and an item between
// the writes, which have to show each of them at once.
// k6 run -e TOKEN_URL=... [-e AUDIENCE=...] [-e CLIENT_ID=... -e CLIENT_SECRET=...] [-e VUS=16] [-e DURATION=30s]
//   [-e BASE_URL=...] loadtest/write.js

import { check } from 'k6';
import exec from 'k6/execution';
import http from 'k6/http';
import { baseUrl, closedLoop } from './lib/options.js';
import { asProduct, get, list } from './lib/catalogue.js';
import { priceBetween } from './lib/sample.js';

const writes = { 'http_req_duration{kind:write}': ['p(95)<200'], 'http_reqs{kind:write}': ['count>0'] };

export const options = closedLoop(16, writes);

// A token of the sandbox, unless the environment names another issuer's client.
export function setup() {
  const request = {
    grant_type: 'client_credentials',
    client_id: __ENV.CLIENT_ID || 'farmlokal',
    client_secret: __ENV.CLIENT_SECRET || 'sandbox-secret',
    audience: __ENV.AUDIENCE,
    scope: __ENV.SCOPE || 'products:write',
  };
  if (!__ENV.TOKEN_URL) {
    throw new Error('TOKEN_URL is missing: where the issuer gives tokens');
  }
  const response = http.post(__ENV.TOKEN_URL, request, { tags: { name: 'setup' } });
  if (response.status !== 200) {
    throw new Error(`no token: ${response.status} ${response.body}`);
  }
  return response.json('access_token');
}

// What deletes find afterwards is a 404.
const gone = http.expectedStatuses(404);

export default function (token) {
  const category = `k6-${exec.vu.idInTest}`;
  const draft = { name: 'Written by k6', description: 'Load.', category, price: Number(priceBetween(100, 10000)) };

  const created = write('POST', '/products', token, 201, draft);
  if (created === null) {
    return;
  }
  const { id } = created.json();
  const path = `/products/${id}`;
  check(created, { 'created has a Location': (r) => r.headers.Location === path });
  shows(category, id, { price: draft.price });

  const put = write('PUT', path, token, 200, Object.assign({}, draft, { name: 'Put by k6' }));
  shows(category, id, { name: 'Put by k6' });

  const patch = { price: Number(priceBetween(100, 10000)) };
  write('PATCH', path, token, 200, patch, { 'If-Match': put ? put.headers.Etag : '*' });
  shows(category, id, patch);
  // The tag of what was put is not that of what was patched, unless both cost the same.
  if (put && patch.price !== draft.price) {
    const expected = { responseCallback: http.expectedStatuses(412) };
    write('PATCH', path, token, 412, patch, { 'If-Match': put.headers.Etag }, expected);
  }

  write('DELETE', path, token, 204);
  const after = http.get(baseUrl + path, { tags: { name: 'item, deleted' }, responseCallback: gone });
  check(after, { 'deleted is 404': (r) => r.status === 404 });
}

// Sends a write and checks its status. Gives the answer, or null where it has another status.
function write(method, path, token, status, product = null, headers = {}, options = {}) {
  const all = Object.assign({ Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' }, headers);
  const tags = { name: `write ${method}`, kind: 'write' };
  const body = product && JSON.stringify(product);
  const response = http.request(method, baseUrl + path, body, Object.assign({ headers: all, tags }, options));
  const ok = check(response, { 'write has the status expected': (r) => r.status === status });
  return ok ? response : null;
}

// Whether the list of a category with one product, and the product, are as they were written.
function shows(category, id, fields) {
  const is = (product) => Object.entries(fields).every(([name, value]) => product[name] === value);
  const page = list({ category, limit: 1, sort: 'createdAt', order: 'DESC' }, 'list, written');
  check(page, { 'list shows the write': (p) => p !== null && p.count === 1 && p.data[0].id === id && is(p.data[0]) });
  const item = get(`/products/${id}`, 'item, written');
  asProduct(item, id);
  check(item, { 'item shows the write': (r) => r.status === 200 && is(r.json()) });
}
