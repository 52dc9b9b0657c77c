// Search traffic: words from the products' own names, common words and short tokens ("XL", "2L", "1kg").
// A search that the service refuses is a failure here. A person types and reads between two searches: each client
// waits PAUSE seconds; PAUSE=0 asks as fast as it is answered.
// k6 run [-e VUS=8] [-e PAUSE=1] [-e DURATION=30s] [-e BASE_URL=...] loadtest/search.js

import { sleep } from 'k6';
import { closedLoop, setting } from './lib/options.js';
import { list } from './lib/catalogue.js';
import { pick, sampleCatalogue } from './lib/sample.js';

const pause = setting('PAUSE', 1);

export const options = closedLoop(8);

export function setup() {
  return sampleCatalogue();
}

export default function (catalogue) {
  const [name, search] = pick([
    ['search one word', pick(catalogue.words)],
    ['search two words', `${pick(catalogue.commonWords)} ${pick(catalogue.words)}`],
    ['search common word', pick(catalogue.commonWords)],
    ['search short word', pick(catalogue.shortWords)],
  ]);
  list({ search }, name);
  sleep(pause * (0.5 + Math.random()));
}
