// Prints what opossum-hystrix streams for a breaker that was called a few times: one `data: {...}` after another.
const CircuitBreaker = require('opossum');
const HystrixStats = require('opossum-hystrix');

const breaker = new CircuitBreaker(
  async (fail) => {
    if (fail) throw new Error('down');
    return 'up';
  },
  { name: 'catalog', group: 'services', rollingCountTimeout: 400, rollingCountBuckets: 4 }
);
breaker.fallback(() => 'instead');
const stream = new HystrixStats([breaker]).getHystrixStream();
setTimeout(() => process.exit(1), 40000); // opossum's own timers keep nobody waiting
let lines = 0;
stream.on('data', (line) => {
  process.stdout.write(line);
  lines += 1;
  if (lines === 3) process.exit(0);
});
(async () => {
  for (const fail of [false, true, false]) await breaker.fire(fail);
})();
