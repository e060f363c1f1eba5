// Property: every message of an error or warning is one a person can work with. All string literals in throw statements
// and warnings of the sources are listed with --list; each must be a sentence without an exclamation mark, name no C++
// class, not begin with "error", and put a value into double quotes where it puts text.
// usage: node test/messages_test.mjs [--list]
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const SOURCE = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../src');
const STATEMENT = /\b(?:throw \w+(?:Exception|Error)|Reject|ThrowCorruption|ThrowOption|LMD_LOG_WARN)\s*\(([^;]*);/g;
const LITERAL = /"((?:[^"\\]|\\.)*)"/g;
const MESSAGES_MIN = 100;

const rules = [
	[/!/, 'has an exclamation mark'],
	[/^\s*error\b/i, 'begins with "error"'],
	[/\b[A-Z][a-z]+[A-Z][A-Za-z]+::|\bstd::/, 'names a class'],
	[/'%s'/, 'puts a value into single quotes'],
	[/\b(please|sorry|oops|illegal)\b/i, 'does not say what is expected'],
];

function* sources(folder) {
	for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
		const file = path.join(folder, entry.name);
		if (entry.isDirectory()) {
			yield* sources(file);
		} else if (/\.(cpp|hpp)$/.test(entry.name)) {
			yield file;
		}
	}
}

let count = 0;
const problems = [];
for (const file of sources(SOURCE)) {
	for (const [, content] of fs.readFileSync(file, 'utf8').matchAll(STATEMENT)) {
		const message = [...content.matchAll(LITERAL)].map((match) => match[1]).join('').replaceAll('\\"', '"');
		if (message === '') {
			continue;
		}
		count++;
		const place = `src/${path.relative(SOURCE, file)}`;
		if (process.argv.includes('--list')) {
			console.log(`${place}: ${message}`);
		}
		rules.filter(([pattern]) => pattern.test(message)).forEach(([, problem]) =>
			problems.push(`${place}: "${message}" ${problem}`));
	}
}
if (count < MESSAGES_MIN) {
	problems.push(`only ${count} messages were found, at least ${MESSAGES_MIN} were expected`);
}
problems.forEach((problem) => console.log(problem));
console.log(`${count} messages, ${problems.length} problems`);
process.exitCode = problems.length > 0 ? 1 : 0;
