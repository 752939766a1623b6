// MQTT.js against the broker of a network, in MQTT 3.1.1 and 5; publish.py does the
// same with paho. Prints what it did, ends with 1 when something is not as it should be.
// usage: node publish.mjs PLAN.json: host, port, device, token, other (a device of
// somebody else), foreign (a batch of it), data (a buyer's token), and batches, for
// each version a file and the temperature in it
import { readFileSync } from 'node:fs';
import mqtt from 'mqtt';

const plan = JSON.parse(readFileSync(process.argv[2]));
const own = `v1/obs/${plan.device}`;
const patience = 60_000;

function must(ok, what) {
	if (ok) return;
	console.error(`FAILED: MQTT.js: ${what}`);
	process.exit(1);
}

function within(promise, what) {
	let timer;
	const late = new Promise((_, no) => (timer = setTimeout(() => no(new Error(`${what}: nothing within a minute`)), patience)));
	return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

const connect = (version, username, password) =>
	mqtt.connectAsync({ host: plan.host, port: plan.port, protocolVersion: version, username, password, reconnectPeriod: 0, clean: true });

// message waits for the first message that a check accepts.
const message = (client, check) =>
	new Promise((yes) => client.on('message', (topic, payload) => check(topic, payload) && yes(payload.toString())));

// refused is true when the broker says no to a subscription.
async function refused(client, filter) {
	try {
		const granted = await client.subscribeAsync(filter, { qos: 1 });
		return granted.every((g) => g.qos >= 128);
	} catch {
		return true;
	}
}

async function run(version, batch) {
	const name = version === 5 ? '5' : '3.1.1';
	const stranger = await connect(version, plan.device, 'wrong').catch((err) => err);
	must(stranger instanceof Error, `MQTT ${name}: a wrong password is let in`);

	const buyer = await connect(version, 'data', plan.data);
	await buyer.subscribeAsync('v1.1/#', { qos: 0 });
	const device = await connect(version, plan.device, plan.token);
	await device.subscribeAsync(`${own}/error`, { qos: 0 });
	must(await refused(device, `v1/obs/${plan.other}/error`), `MQTT ${name}: a device may read another's topic`);
	must(await refused(device, 'v1.1/#'), `MQTT ${name}: a device may read what buyers pay for`);
	must(await refused(buyer, 'v1/obs/#'), `MQTT ${name}: a buyer may read the topics of devices`);

	const got = message(buyer, (_, p) => JSON.parse(p).result === batch.temperature);
	await within(device.publishAsync(own, readFileSync(batch.file), { qos: 1 }), 'PUBACK of a batch');
	await within(got, 'the reading at the buyer');

	const reason = message(device, (topic) => topic === `${own}/error`);
	const said = await within(device.publishAsync(own, 'no batch', { qos: 1 }).catch((err) => err), 'the answer to a bad message');
	must(version !== 5 || said.code >= 128, `MQTT 5: a message that is no batch is answered with ${said.code ?? 'success'}`);
	const text = await within(reason, 'the reason on the error topic');
	must(text.includes('malformed'), `MQTT ${name}: the reason of a refusal is "${text}"`);

	// Version 3.1.1 has no word for a refusal: the broker hangs up.
	const hung = new Promise((yes) => device.on('close', () => yes(new Error('closed'))));
	const other = await within(Promise.race([device.publishAsync(`v1/obs/${plan.other}`, readFileSync(plan.foreign), { qos: 1 }).catch((err) => err), hung]), "the answer to another's topic");
	must(other instanceof Error, `MQTT ${name}: a device may publish to another's topic`);
	device.end(true);
	buyer.end(true);
	console.log(`  MQTT.js, MQTT ${name}: a batch acknowledged and its reading (${batch.temperature}) delivered; told why "no batch" is refused; kept out of another's topics`);
}

try {
	await run(4, plan.batches[0]);
	await run(5, plan.batches[1]);
} catch (err) {
	must(false, err.message);
}
