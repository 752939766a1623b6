// Requests as clients of the OGC SensorThings API 1.1 make them (FROST's for one),
// against the read part that a running network has: the requirements of the classes
// that its root document names. The OGC's own test suite is a program on its web site.
// usage: node things.mjs ROOT TOKEN, as http://127.0.0.1:8086/v1.1
const [root, token] = process.argv.slice(2);

function must(ok, what) {
	if (ok) return;
	console.error(`FAILED: SensorThings: ${what}`);
	process.exit(1);
}

async function get(url, status = 200) {
	const response = await fetch(url, { headers: { Authorization: `Bearer ${token}` } });
	const text = await response.text();
	must(response.status === status, `GET ${url}: ${response.status}, want ${status}: ${text.slice(0, 300)}`);
	return text === '' ? undefined : JSON.parse(text);
}

// at builds a URL with options as a client escapes them.
const at = (path, options = {}) => `${root}/${path}?${new URLSearchParams(options)}`;

// Properties and links that the standard wants of each entity (OGC 18-088, section 8).
const entities = {
	Things: [['name', 'description'], ['Locations', 'HistoricalLocations', 'Datastreams']],
	Locations: [['name', 'description', 'encodingType', 'location'], ['Things', 'HistoricalLocations']],
	HistoricalLocations: [['time'], ['Thing', 'Locations']],
	Datastreams: [['name', 'description', 'unitOfMeasurement', 'observationType'], ['Thing', 'Sensor', 'ObservedProperty', 'Observations']],
	Sensors: [['name', 'description', 'encodingType', 'metadata'], ['Datastreams']],
	ObservedProperties: [['name', 'definition', 'description'], ['Datastreams']],
	Observations: [['phenomenonTime', 'result', 'resultTime'], ['Datastream', 'FeatureOfInterest']],
	FeaturesOfInterest: [['name', 'description', 'encodingType', 'feature'], ['Observations']],
};

async function model() {
	const { value, serverSettings } = await get(root);
	for (const [name, [properties, links]] of Object.entries(entities)) {
		const set = value.find((v) => v.name === name);
		must(set, `the root document does not list ${name}`);
		const [one] = (await get(`${set.url}?$top=1`)).value;
		must(one, `${name} is empty`);
		for (const p of properties) must(one[p] !== undefined, `an entity of ${name} has no ${p}`);
		const self = await get(one['@iot.selfLink']);
		must(self['@iot.id'] === one['@iot.id'], `${one['@iot.selfLink']} is of ${self['@iot.id']}, want ${one['@iot.id']}`);
		for (const l of links) {
			const link = self[`${l}@iot.navigationLink`];
			must(link, `an entity of ${name} has no link to its ${l}`);
			const there = await get(link);
			must((there.value?.[0] ?? there)['@iot.selfLink'], `${link} leads to no entity`);
		}
	}
	console.log(`  ${Object.keys(entities).length} entity sets: mandatory properties, self links, navigation links; ${serverSettings.conformance.length} classes named`);
}

async function paths(stream) {
	const self = `Datastreams(${stream['@iot.id']})`;
	must((await get(`${root}/${self}/name`)).name === stream.name, `${self}/name is not its name`);
	const raw = await fetch(`${root}/${self}/name/$value`);
	must((await raw.text()) === stream.name, `${self}/name/$value is not its name`);
	const refs = (await get(`${root}/${self}/Thing/Datastreams/$ref`)).value;
	must(refs.some((r) => r['@iot.selfLink'] === stream['@iot.selfLink']), `${self}/Thing/Datastreams/$ref does not have it`);
	await get(`${root}/Datastreams(999999999)`, 404);
	await get(`${root}/Nothing`, 404);
	await get(at('Datastreams', { $filter: 'name eq' }), 400);
	const written = await fetch(`${root}/Things`, { method: 'POST', body: '{}' });
	must(written.status === 405, `a write is answered with ${written.status}, want 405: there is none`);
	console.log('  resource paths: property, $value, $ref, associations; 404, 400 and 405 where they belong');
}

async function options(stream) {
	const path = `Datastreams(${stream['@iot.id']})/Observations`;
	const first = await get(at(path, { $count: 'true', $top: '7', $orderby: 'phenomenonTime asc' }));
	const times = [];
	let page = first;
	for (let n = 0; n < 1000; n++) {
		times.push(...page.value.map((o) => o.phenomenonTime));
		if (!page['@iot.nextLink']) break;
		page = await get(page['@iot.nextLink']);
	}
	must(times.length === first['@iot.count'], `@iot.nextLink leads through ${times.length} of ${first['@iot.count']} observations`);
	must(times.every((t, i) => i === 0 || times[i - 1] < t), 'they are not in the order of their times, or one came twice');
	const middle = times[Math.floor(times.length / 2)];
	const later = await get(at(path, { $filter: `phenomenonTime ge ${middle} and result gt -1000`, $count: 'true', $top: '1' }));
	must(later['@iot.count'] === times.length - Math.floor(times.length / 2), `$filter by time finds ${later['@iot.count']}`);
	const skipped = await get(at(path, { $skip: '3', $top: '1', $orderby: 'phenomenonTime asc' }));
	must(skipped.value[0].phenomenonTime === times[3], '$skip=3 is not the fourth');
	const chosen = (await get(at(path, { $select: 'result,phenomenonTime', $top: '1' }))).value[0];
	must(Object.keys(chosen).sort().join() === 'phenomenonTime,result', `$select leaves ${Object.keys(chosen)}`);
	const [array] = (await get(at(path, { $resultFormat: 'dataArray', $top: '5' }))).value;
	must(array.dataArray.length === 5 && array.components.includes('result'), 'dataArray has no five results');
	const found = await get(at('Datastreams', { $filter: "ObservedProperty/name eq 'temperature'", $expand: 'Thing/Locations,Observations($top=1;$orderby=phenomenonTime desc)', $top: '2' }));
	for (const d of found.value) {
		must(d.Thing.Locations[0].location.type === 'Point', '$expand=Thing/Locations brings no point');
		must(d.Observations.length === 1, '$expand=Observations($top=1) does not bring one');
	}
	const newest = (await get(at('Observations', { $orderby: 'phenomenonTime desc', $top: '200', $select: 'phenomenonTime' }))).value.map((o) => o.phenomenonTime);
	must(newest.every((t, i) => i === 0 || newest[i - 1] >= t), '$orderby=phenomenonTime desc is not the order of all datastreams together');
	const largest = (await get(at(path, { $orderby: 'result desc', $top: '10' }))).value.map((o) => o.result);
	must(largest.every((v, i) => i === 0 || largest[i - 1] >= v), '$orderby=result desc is not the order of results');
	for (const $filter of ["Datastreams/ObservedProperty/name eq 'temperature'", "st_within(Locations/location,geography'POLYGON((115 39,118 39,118 41,115 41,115 39))')"])
		must((await get(at('Things', { $filter, $count: 'true', $top: '1' })))['@iot.count'] >= 12, `$filter=${$filter} does not find the stations of Beijing`);
	must((await get(at(path, { $filter: "phenomenonTime gt now() sub duration'P1D'", $count: 'true', $top: '1' })))['@iot.count'] < times.length, '$filter with now() finds more than a day');
	console.log(`  query options: $count, $top, $skip, $orderby, $filter, $select, $expand with options in it, dataArray; ${times.length} observations by following @iot.nextLink`);
}

try {
	await model();
	const [stream] = (await get(at('Datastreams', { $filter: "ObservedProperty/name eq 'temperature' and properties/rows gt 20", $top: '1' }))).value;
	must(stream, 'no datastream has more than 20 temperatures: start the network with --demo weather');
	await paths(stream);
	await options(stream);
} catch (err) {
	must(false, `${err.message} ${err.cause?.message ?? ''}`);
}
