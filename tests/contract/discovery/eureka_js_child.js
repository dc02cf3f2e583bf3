// A program that uses eureka-js-client. argv: JSON of {registries, app, port}. Commands on standard input, answers in JSON.
const {Eureka} = require(process.env.CLIENTS + '/eureka-js-client');
const {registries, app, port} = JSON.parse(process.argv[2]);
const quiet = {warn() {}, info() {}, debug() {}, error() {}, level() {}};
const client = new Eureka({
  logger: quiet,
  instance: {
    app, instanceId: `127.0.0.1:${app}:${port}`, hostName: '127.0.0.1', ipAddr: '127.0.0.1', vipAddress: app,
    port: {$: port, '@enabled': 'true'},
    dataCenterInfo: {'@class': 'com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo', name: 'MyOwn'},
    leaseInfo: {renewalIntervalInSecs: 1, durationInSecs: 2},
  },
  shouldUseDelta: true,
  eureka: {
    serviceUrls: {default: registries}, availabilityZones: {home: ['default']}, ec2Region: 'home',
    heartbeatInterval: 500, registryFetchInterval: 300, maxRetries: 3, requestRetryDelay: 50, filterUpInstances: false,
  },
});
const say = (answer) => process.stdout.write(JSON.stringify(answer) + '\n');
client.start((error) => say(error ? String(error) : 'started'));
require('readline').createInterface({input: process.stdin}).on('line', (line) => {
  const [command, name] = line.split(' ');
  if (command === 'app') say(client.getInstancesByAppId(name).map((one) => [one.instanceId, one.status]));
  if (command === 'vip') say(client.getInstancesByVipAddress(name).map((one) => one.port.$));
  if (command === 'stop') client.stop((error) => say(error ? String(error) : 'stopped'));
}).on('close', () => process.exit(0));
