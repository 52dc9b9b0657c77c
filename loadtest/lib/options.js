// The settings that every script reads from the environment, and the thresholds that each must meet.

export const baseUrl = (__ENV.BASE_URL || 'http://127.0.0.1:5000').replace(/\/+$/, '');

// A number from the environment.
export function setting(name, fallback) {
  const value = Number(__ENV[name] || fallback);
  if (Number.isNaN(value)) {
    throw new Error(`${name} is not a number: ${__ENV[name]}`);
  }
  return value;
}

// VUS clients, each sending its next request when the last is answered, for DURATION.
// A 429 and a 503 are failures like any other: k6 counts every status but 2xx and 3xx as failed.
// What setup() asks for belongs to no scenario and does not count.
export function closedLoop(vus, thresholds = {}) {
  return {
    vus: setting('VUS', vus),
    duration: __ENV.DURATION || '30s',
    summaryTrendStats: ['avg', 'med', 'p(95)', 'p(99)', 'max'],
    thresholds: Object.assign(
      {
        'http_req_duration{scenario:default}': ['p(95)<200'],
        'http_req_failed{scenario:default}': ['rate<0.01'],
        'http_reqs{scenario:default}': ['count>0'],
        'checks{scenario:default}': ['rate>0.99'],
      },
      thresholds,
    ),
  };
}
