// Checks an answer with proofs by what docs/sensing.md says of their bytes: no
// code of ours, only Node's. Each reading is in a batch, the batch is signed by the
// device's key, it is a leaf of a segment, and the segment is listed under the root of
// the evidence of an epoch, which a verifier scored.
// usage: node proof.mjs ANSWER.json VERIFIER_URL
import { createHash, createPublicKey, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { stdout } from 'node:process';

const [file, verifier] = process.argv.slice(2);

function must(ok, what) {
	if (ok) return;
	console.error(`FAILED: proof: ${what}`);
	process.exit(1);
}

const sha = (...parts) => createHash('sha256').update(Buffer.concat(parts)).digest();
const u64 = (n) => { const b = Buffer.alloc(8); b.writeBigUInt64BE(BigInt(n)); return b; };
const u32 = (n) => { const b = Buffer.alloc(4); b.writeUInt32BE(n); return b; };

// cbor reads one item of RFC 8949; maps become Maps.
function cbor(b) {
	let at = 0;
	const item = () => {
		const first = b[at++];
		const major = first >> 5;
		let n = first & 31;
		if (major === 7 && n === 25) { // half precision
			const h = b.readUInt16BE(at); at += 2;
			const e = (h >> 10) & 31, m = h & 1023;
			const v = e === 0 ? m * 2 ** -24 : e === 31 ? (m ? NaN : Infinity) : (1 + m / 1024) * 2 ** (e - 15);
			return h & 0x8000 ? -v : v;
		}
		if (major === 7 && n === 26) return b.readFloatBE((at += 4) - 4);
		if (major === 7 && n === 27) return b.readDoubleBE((at += 8) - 8);
		if (major === 7) return { 20: false, 21: true, 22: null }[n];
		if (n === 24) n = b[at++];
		else if (n === 25) n = b.readUInt16BE((at += 2) - 2);
		else if (n === 26) n = b.readUInt32BE((at += 4) - 4);
		else if (n === 27) n = Number(b.readBigUInt64BE((at += 8) - 8));
		else must(n < 24, 'CBOR of no known length');
		switch (major) {
			case 0: return n;
			case 1: return -1 - n;
			case 2: return b.subarray(at, (at += n));
			case 3: return b.subarray(at, (at += n)).toString();
			case 4: return Array.from({ length: n }, item);
			case 5: return new Map(Array.from({ length: n }, () => [item(), item()]));
		}
		return item(); // behind a tag
	};
	return item();
}

// head begins a CBOR byte string or text of n bytes.
function head(major, n) {
	if (n < 24) return Buffer.from([(major << 5) | n]);
	if (n < 256) return Buffer.from([(major << 5) | 24, n]);
	if (n < 65536) return Buffer.from([(major << 5) | 25, n >> 8, n & 255]);
	return Buffer.concat([Buffer.from([(major << 5) | 26]), u32(n)]);
}

// signed is the Sig_structure of RFC 9052, 4.4.
function signed(protectedHeader, chain, payload) {
	const bytes = (b) => Buffer.concat([head(2, b.length), b]);
	return Buffer.concat([Buffer.from([0x84]), head(3, 10), Buffer.from('Signature1'), bytes(protectedHeader), bytes(Buffer.from(`grange/observations/v1\0${chain}`)), bytes(payload)]);
}

// rootOf follows a path (index u64, size u64, siblings) of RFC 6962 up from a leaf.
function rootOf(leaf, path) {
	let index = path.readBigUInt64BE(0), last = path.readBigUInt64BE(8) - 1n;
	let hash = sha(Buffer.from([0]), leaf), at = 16;
	for (; last > 0n; index >>= 1n, last >>= 1n) {
		if ((index & 1n) === 0n && index === last) continue; // it has no sibling here
		const sibling = path.subarray(at, (at += 32));
		hash = index & 1n ? sha(Buffer.from([1]), sibling, hash) : sha(Buffer.from([1]), hash, sibling);
	}
	must(at === path.length, 'a path is longer than its tree is high');
	return hash.toString('hex');
}

// open checks a proof and returns the readings of its batch, as "name unit ms value".
function open(hash, p) {
	const [key, batch, path, listed] = ['key', 'batch', 'path', 'listed'].map((k) => Buffer.from(p[k], 'base64'));
	must(p.key_type === 1, `key type ${p.key_type} is not Ed25519, which is all that this reads`);
	const device = sha(Buffer.from([p.key_type]), key).toString('hex');
	const [header, open, payload, signature] = cbor(batch);
	const says = cbor(header);
	must((says.get(4) ?? open.get(4)).toString('hex') === device, `batch ${hash} names another device than ${device}`);
	const text = signed(header, p.chain_id, payload);
	must(sha(text).toString('hex') === hash, `batch ${hash} has another hash`);
	const der = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), key]);
	must(verify(null, text, createPublicKey({ key: der, format: 'der', type: 'spki' }), signature), `the signature of batch ${hash} is wrong`);
	const s = p.segment;
	const row = Buffer.concat([u32(p.key_type), u32(key.length), key, batch]);
	must(rootOf(row, path) === s.root && path.readBigUInt64BE(8) === BigInt(s.rows), `batch ${hash} is not in segment ${s.root}`);
	const leaf = Buffer.concat([Buffer.from(s.root + s.sha256, 'hex'), u64(s.bytes), u64(s.rows), u64(`0x${s.parent}`), u32(Date.parse(s.day) / 86_400_000), Buffer.from('sensing-batches')]);
	must(rootOf(leaf, listed) === p.inputs_root, `segment ${s.root} is not under ${p.inputs_root}`);
	const readings = new Set();
	let base = new Map();
	for (const r of cbor(payload)) { // SenML, RFC 8428
		base = new Map([...base, ...[...r].filter(([label]) => label < 0)]);
		const ms = Math.round(((base.get(-3) ?? 0) + (r.get(6) ?? 0)) * 1000);
		readings.add(`${base.get(-2) ?? ''}${r.get(0) ?? ''} ${r.get(1) ?? base.get(-4)} ${ms} ${(base.get(-5) ?? 0) + r.get(2)}`);
	}
	return { device, readings };
}

const answer = JSON.parse(readFileSync(file, 'utf8'));
const opened = new Map(Object.entries(answer.proofs).filter(([, p]) => !p.pending).map(([hash, p]) => [hash, open(hash, p)]));
let proven = 0;
for (const o of answer.observations) {
	const b = opened.get(o.batch);
	if (!b) continue; // signed, not published yet
	must(b.device === o.device, `a reading of ${o.device} is shown by a batch of ${b.device}`);
	must(b.readings.has(`${o.variable} ${o.unit} ${Date.parse(o.time)} ${o.value}`), `batch ${o.batch} has no ${o.variable} = ${o.value} at ${o.time}`);
	proven++;
}
must(proven > 0, 'no reading is published yet');
const roots = new Map(Object.values(answer.proofs).filter((p) => !p.pending).map((p) => [p.epoch, p.inputs_root]));
for (const [epoch, root] of roots) {
	const response = await fetch(`${verifier}/v1/epochs/sensing/${epoch}`);
	must(response.ok, `the verifier does not tell of epoch ${epoch}: ${response.status}`);
	must((await response.text()).includes(root), `the verifier scored other evidence in epoch ${epoch} than ${root}`);
}
stdout.write(`  a program of its own proves ${proven} of ${answer.observations.length} readings: signed, in a segment, scored in ${roots.size} epochs\n`);
