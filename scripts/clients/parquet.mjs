// DuckDB and hyparquet read what the data API gives out as Parquet, and compare it with
// the same answer in JSON.
// usage: node parquet.mjs ANSWER.parquet ANSWER.json
//        node parquet.mjs --files DIRECTORY, of a gateway's store
import { readFileSync } from 'node:fs';
import { DuckDBInstance } from '@duckdb/node-api';
import { parquetReadObjects } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';

function must(ok, what) {
	if (ok) return;
	console.error(`FAILED: ${what}`);
	process.exit(1);
}

// line is a reading in a form that both have: device, milliseconds, variable, value, unit.
const line = (device, time, variable, value, unit) => [device, Number(time), variable, value, unit].join(' ');
const hex = (bytes) => Buffer.from(bytes).toString('hex');
const sorted = (lines) => lines.sort().join('\n');

const duck = await (await DuckDBInstance.create(':memory:')).connect();
async function query(sql) {
	return (await duck.runAndReadAll(sql)).getRowObjects();
}

// read is what DuckDB finds in files, a line each.
const read = async (files) =>
	(await query(`SELECT lower(hex(device)) AS device, epoch_ms(time) AS time, variable, value, unit FROM read_parquet('${files}')`)).map((r) =>
		line(r.device, r.time, r.variable, r.value, r.unit),
	);

async function answer(parquet, json) {
	const want = sorted(JSON.parse(readFileSync(json)).observations.map((o) => line(o.device, Date.parse(o.time), o.variable, o.value, o.unit)));
	const rows = want.split('\n').length;
	must(sorted(await read(parquet)) === want, `DuckDB reads something else in ${parquet} than ${json} says`);
	console.log(`  DuckDB reads the ${rows} readings of the JSON answer in the Parquet one`);
	const bytes = readFileSync(parquet);
	const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
	const own = await parquetReadObjects({ file, compressors, utf8: false });
	const text = (v) => (typeof v === 'string' ? v : Buffer.from(v).toString());
	must(
		sorted(own.map((r) => line(hex(r.device), r.time, text(r.variable), r.value, text(r.unit)))) === want,
		`hyparquet reads something else in ${parquet} than ${json} says`,
	);
	console.log(`  hyparquet reads the same ${rows} readings`);
}

async function files(dir) {
	const [found] = await query(
		`SELECT count(*) AS rows, count(DISTINCT device) AS devices, count(DISTINCT filename) AS files FROM read_parquet('${dir}/segments/obs-*/*/*/*.parquet', filename = true)`,
	);
	must(found.rows > 0n, `there are no readings in ${dir}`);
	console.log(`  DuckDB reads ${found.rows} readings of ${found.devices} devices in the store's ${found.files} files`);
}

const [first, second] = process.argv.slice(2);
await (first === '--files' ? files(second) : answer(first, second)).catch((err) => must(false, err.message));
