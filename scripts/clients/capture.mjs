// A gateway that only keeps: what is posted to /NAME/v1/observations becomes
// DIR/NAME-1.cose and so on. So a station program makes signed batches for others to
// send.
// usage: node capture.mjs DIR, prints its port
import { renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';

const [dir] = process.argv.slice(2);
const count = {};
const server = createServer(async (request, response) => {
	const name = request.url.split('/')[1];
	const parts = [];
	for await (const part of request) parts.push(part);
	count[name] = (count[name] ?? 0) + 1;
	const file = `${dir}/${name}-${count[name]}`;
	writeFileSync(`${file}.new`, Buffer.concat(parts));
	renameSync(`${file}.new`, `${file}.cose`);
	response.writeHead(201, { 'Content-Type': 'application/json' }).end('{}');
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
