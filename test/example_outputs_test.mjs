// Property: the examples print what examples/README.md says. The commands of its console blocks run in their order, and
// each line of output is compared; "..." stands for anything. A command that ends with "&" runs until the end.
// usage: node test/example_outputs_test.mjs BUILD_FOLDER WORK_FOLDER
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const [build, work] = process.argv.slice(2).map((folder) => path.resolve(folder));
const services = [];
const problems = [];

/** Commands and their lines, in the order of the document. */
function readTranscripts() {
	const text = fs.readFileSync(path.join(ROOT, 'examples/README.md'), 'utf8');
	return [...text.matchAll(/^```console\n(.*?)^```$/gms)].flatMap(([, block]) => block.split(/^\$ /m).slice(1)
		.map((part) => {
			const [command, ...lines] = part.trimEnd().split('\n');
			return { command, lines };
		}));
}

function freePort() {
	return new Promise((resolve) => {
		const server = net.createServer().listen(0, '127.0.0.1', () => {
			const { port } = server.address();
			server.close(() => resolve(port));
		});
	});
}

/** The output of `command` once it ended, or once it printed `lineCount` lines when it goes on. */
function run(command, lineCount) {
	const isService = command.endsWith('&');
	const child = spawn('sh', ['-c', isService ? `exec ${command.slice(0, -1)}` : command],
		{ cwd: ROOT, stdio: ['ignore', 'pipe', isService ? 'inherit' : 'ignore'] });
	if (isService) {
		services.push(child);
	}
	return new Promise((resolve) => {
		let output = '';
		child.stdout.setEncoding('utf8').on('data', (text) => {
			output += text;
			if (isService && output.split('\n').length > lineCount) {
				resolve(output);
			}
		});
		child.on('close', (status) => resolve(output + (status === 0 ? '' : `(ended with status ${status})`)));
	});
}

function matches(line, expected) {
	const escaped = expected.split('...').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
	return new RegExp(`^${escaped.join('.*')}$`).test(line);
}

fs.rmSync(work, { recursive: true, force: true });
fs.mkdirSync(work, { recursive: true });
const port = await freePort();
const here = (text) => text.replaceAll('build/release', build).replaceAll('8080', port)
	.replace('notes.duckdb', path.join(work, 'notes.duckdb'))
	.replace(/^(node \S+(search|service)\.mjs)/, `$1 --extension ${build}/lm_diskann.duckdb_extension`);
const transcripts = readTranscripts();
let lineCount = 0;
for (const { command, lines } of transcripts) {
	const output = (await run(here(command), lines.length)).trimEnd().split('\n');
	lineCount += lines.length;
	for (let i = 0; i < Math.max(output.length, lines.length); i++) {
		if (lines[i] === undefined || output[i] === undefined || !matches(output[i], here(lines[i]))) {
			const [expected, found] = [lines[i], output[i]].map((line) => line ?? 'nothing more');
			problems.push(`${command}\n  line ${i + 1}: expected ${expected}\n  found ${found}`);
		}
	}
}
services.forEach((child) => child.kill());
fs.rmSync(work, { recursive: true, force: true });
if (transcripts.length < 9) {
	problems.push(`only ${transcripts.length} commands in examples/README.md`);
}
problems.forEach((problem) => console.error(problem));
console.log(`${transcripts.length} commands, ${lineCount} lines of output`);
process.exit(problems.length > 0 ? 1 : 0);
