// The real programs that `npm run bench` saves units of.
export { buildSqlite } from './sqlite';
export { buildRedis, reply } from './redis_server';
export { buildPowerDns, configurePowerDns, isPowerDnsBuilt } from './pdns_server';
export { answerOf, freePort, LineClient } from './real_program';
