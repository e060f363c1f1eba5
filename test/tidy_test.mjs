// Property: the text files of the project keep to its rules on length, words, paths and addresses.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const LINES_MAX = 500;
const COLUMNS_MAX = 120;
const TAB_COLUMNS = 4;

const isCode = (name) => /\.(cpp|hpp|mjs|js|css|html|sh|cmake|test)$/.test(name) ||
	/(^|\/)(CMakeLists\.txt|Makefile|run)$/.test(name);
const isDocument = (name) => name.endsWith('.md');
const isPackageFile = (name) => /(^|\/)(package(-lock)?\.json|\.npmrc)$/.test(name);
// A row of an expected result cannot be wrapped.
const hasLimit = (name) => isCode(name) && !name.endsWith('.test');
// This file names the words it looks for.
const isChecked = (name) => (isCode(name) || isDocument(name)) && name !== 'test/tidy_test.mjs';

const LINE_RULES = [
	{ applies: isChecked, pattern: /\b(TODO|FIXME|XXX|HACK)\b/, message: 'open an issue instead of leaving a note' },
	{ applies: isChecked, pattern: /[ \t]$/, message: 'space at the end of the line' },
	{ applies: isChecked, pattern: /\r/, message: 'carriage return' },
	{
		applies: (name) => isChecked(name) || isPackageFile(name),
		pattern: /(^|[\s"'`(=])\/(work|tmp|home|root)\//,
		message: 'path of one machine',
	},
	{
		applies: isPackageFile,
		pattern: /"resolved"|registry\s*=|registry\./,
		message: 'address of a package registry',
	},
	{
		applies: isChecked,
		pattern: /\b(registry\.(npmjs|yarnpkg)|(deb|snapshot|security)\.debian)\.(org|com)\b/,
		message: 'address of a package registry',
	},
];

function columns(line) {
	return [...line].reduce((width, character) =>
		character === '\t' ? width + TAB_COLUMNS - (width % TAB_COLUMNS) : width + 1, 0);
}

/** Files that git tracks or would track; all files below the root where there is no git. */
function listFiles() {
	try {
		const list = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'],
			{ cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
		return list.split('\0').filter((name) => name !== '' && fs.existsSync(path.join(ROOT, name)));
	} catch {
		const walk = (folder) => fs.readdirSync(path.join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
			const name = path.posix.join(folder, entry.name);
			const isOurs = !['.git', 'build', 'node_modules'].includes(entry.name);
			return !isOurs ? [] : entry.isDirectory() ? walk(name) : [name];
		});
		return walk('');
	}
}

const violations = [];
for (const name of listFiles()) {
	const rules = LINE_RULES.filter((rule) => rule.applies(name));
	if (rules.length === 0) {
		continue;
	}
	const lines = fs.readFileSync(path.join(ROOT, name), 'utf8').split('\n');
	if (isCode(name) && lines.length - 1 > LINES_MAX) {
		violations.push(`${name}: ${lines.length - 1} lines, at most ${LINES_MAX}`);
	}
	lines.forEach((line, at) => {
		const place = `${name}:${at + 1}`;
		if (hasLimit(name) && columns(line) > COLUMNS_MAX) {
			violations.push(`${place}: ${columns(line)} columns, at most ${COLUMNS_MAX}`);
		}
		rules.filter((rule) => rule.pattern.test(line))
			.forEach((rule) => violations.push(`${place}: ${rule.message}`));
	});
}

violations.forEach((violation) => console.log(violation));
console.log(`${violations.length} violations`);
process.exitCode = violations.length > 0 ? 1 : 0;
