// Requests to the catalogue, and what each answer has to look like.

import http from 'k6/http';
import { check } from 'k6';
import { baseUrl } from './options.js';

// `/products` with the given parameters, the undefined and null ones left out.
export function listPath(parameters) {
  const query = Object.entries(parameters)
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  return query.length ? `/products?${query.join('&')}` : '/products';
}

// Every request carries a name: without one, k6 keeps a time series for each distinct URL.
export function get(path, name, headers = {}) {
  return http.get(baseUrl + path, { headers, tags: { name } });
}

// Fetches a list and checks it. Gives the page, or null when the answer is not one.
export function list(parameters, name) {
  const page = asPage(get(listPath(parameters), name));
  return page && page.count <= (parameters.limit || 20) ? page : null;
}

// Checks a list's status and body.
export function asPage(response) {
  let page = null;
  const ok = check(response, {
    'list is 200': (r) => r.status === 200,
    'list is a page of products': (r) => {
      page = parsed(r);
      return page !== null && isPage(page);
    },
  });
  return ok ? page : null;
}

// Checks a single product's status and body.
export function asProduct(response, id) {
  check(response, {
    'item is 200': (r) => r.status === 200,
    'item is the product asked for': (r) => {
      const product = parsed(r);
      return product !== null && isProduct(product) && product.id === id;
    },
  });
}

// Checks the list of categories. Gives it, or an empty one.
export function asCategories(response) {
  let categories = [];
  check(response, {
    'categories are 200': (r) => r.status === 200,
    'categories are names': (r) => {
      categories = categoryNames(parsed(r));
      return categories.length > 0;
    },
  });
  return categories;
}

function categoryNames(body) {
  const names = body && Array.isArray(body.data) ? body.data : [];
  return names.every((name) => typeof name === 'string') ? names : [];
}

function parsed(response) {
  try {
    return response.json();
  } catch (_) {
    return null;
  }
}

function isPage(page) {
  return (
    Array.isArray(page.data) &&
    page.count === page.data.length &&
    typeof page.hasMore === 'boolean' &&
    (page.hasMore ? typeof page.nextCursor === 'string' : page.nextCursor === null) &&
    page.data.every(isProduct)
  );
}

function isProduct(product) {
  return (
    Number.isInteger(product.id) &&
    typeof product.name === 'string' &&
    typeof product.description === 'string' &&
    typeof product.category === 'string' &&
    typeof product.price === 'number' &&
    /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(product.createdAt) &&
    typeof product.updatedAt === 'string'
  );
}
