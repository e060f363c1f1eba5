// What the figures of one run come to: a table for the terminal, and a page with the curves.
import fs from 'node:fs';
import path from 'node:path';

const HERE = path.dirname(new URL(import.meta.url).pathname);
const RECALLS = [0.9, 0.95, 0.99];
//! Peers whose vectors are not rounded: their best is what the goals are measured by.
const EXACT_PEERS = ['hnswlib', 'faiss', 'usearch_f32', 'usearch_f16'];
const COLORS = {
	lm_diskann: '#d9480f',
	hnswlib: '#1f6feb',
	faiss: '#1a7f37',
	usearch_f32: '#8250df',
	usearch_f16: '#bf5fc6',
	usearch_i8: '#8a949f',
};

/** The value of `field` where the curve reaches `recall`, between two points on a logarithmic scale; or undefined. */
export function atRecall(points, recall, field) {
	for (let i = 0; i < points.length; i++) {
		if (points[i].recall < recall) {
			continue;
		}
		const [low, high] = [points[i - 1], points[i]];
		if (!low || high.recall === low.recall) {
			return high[field];
		}
		const share = (recall - low.recall) / (high.recall - low.recall);
		return Math.exp(Math.log(low[field]) * (1 - share) + Math.log(high[field]) * share);
	}
	return undefined;
}

const round = (value, digits = 0) => (value === undefined ? '-' : value.toLocaleString('en',
	{ minimumFractionDigits: digits, maximumFractionDigits: digits }));

/** Rows of text: one for each index, then what the goals ask. The best of a column is in `best`. */
function tables(result) {
	const header = ['index', 'vectors built/s', 'bytes/vector', 'peak MiB',
		...RECALLS.map((recall) => `queries/s at ${recall}`)];
	const numbers = result.warm.map(({ name, points }) => {
		const build = result.builds.find((entry) => entry.name === name);
		return [build.vectors_per_cpu_second, build.index_bytes / build.rows, build.peak_rss_bytes / 2 ** 20,
			...RECALLS.map((recall) => atRecall(points, recall, 'queries_per_cpu_second'))];
	});
	const isLessBetter = (column) => column === 1 || column === 2;
	const best = header.slice(1).map((_, column) => {
		const known = numbers.map((row) => row[column]).filter((value) => value !== undefined);
		return isLessBetter(column) ? Math.min(...known) : Math.max(...known);
	});
	const rows = result.warm.map(({ name }, i) => [name, ...numbers[i].map((value) => round(value))]);
	const isBest = numbers.map((row) => [false, ...row.map((value, column) => value === best[column])]);
	return { header, rows, isBest, facts: facts(result) };
}

function facts(result) {
	const ours = result.warm[0].points;
	const found = RECALLS.map((recall) => {
		const own = atRecall(ours, recall, 'queries_per_cpu_second');
		const others = result.warm
			.filter(({ name }) => EXACT_PEERS.includes(name))
			.map(({ points }) => atRecall(points, recall, 'queries_per_cpu_second') ?? 0);
		const blocks = atRecall(result.cold[0].points, recall, 'blocks_read');
		const hops = atRecall(ours, recall, 'hops');
		return `Recall ${recall}: ${round(own / Math.max(...others), 2)} times the speed of the fastest other; ` +
			`${round(hops, 1)} hops in cache, ${round(blocks, 1)} blocks read with a cold one.`;
	});
	for (const [i, { points }] of result.cold.entries()) {
		const speed = atRecall(points, 0.95, 'queries_per_second');
		const limit = result.devices[i].reads_per_second / atRecall(points, 0.95, 'blocks_read');
		const { threads, reads_per_second: reads } = result.devices[i];
		found.push(`Cold cache, ${threads} ${threads === 1 ? 'thread' : 'threads'}: ` +
			`${round(speed)} queries/s at 0.95, ${round((100 * speed) / limit)} % of what the device allows ` +
			`(${round(reads)} single reads/s of ${round(result.block_size)} bytes).`);
	}
	if (result.sql) {
		const { sql } = result;
		found.push(`SQL at recall ${round(sql.recall, 3)} (L ${sql.list_size}): ` +
			`p50 ${round(sql.prepared.p50_ms, 2)} ms prepared, ${round(sql.unprepared.p50_ms, 2)} ms not; ` +
			`SELECT 1 ${round(sql.select_1.p50_ms, 2)} ms, ` +
			`overhead over it and the core ${round(sql.overhead_ms, 2)} ms, ` +
			`exact scan ${round(sql.exact_scan.p50_ms, 1)} ms`);
	}
	if (result.libsql) {
		const { libsql } = result;
		found.push(`libSQL: recall ${round(libsql.recall, 3)}, ${round(libsql.queries_per_second)} q/s, ` +
			`${round(libsql.pages_read_per_query, 1)} pages (${round(libsql.kilobytes_read_per_query)} KiB) a query, ` +
			`${round(libsql.bytes_per_vector)} bytes a vector`);
	}
	return found;
}

export function summarize(result) {
	const { header, rows, facts: found } = tables(result);
	const widths = header.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i].length)));
	const line = (cells) => cells.map((cell, i) => cell.padStart(widths[i])).join('  ');
	return [`\n${result.set}`, line(header), ...rows.map(line), ...found, ''].join('\n');
}

/** x: recall on all lists of points together; one series an index. */
function chart(result) {
	const curves = [
		...result.warm.map(({ name, points }) => ({ name, points, field: 'queries_per_cpu_second' })),
		{ name: 'lm_diskann, cold cache', points: result.cold[0].points, field: 'queries_per_second' },
	];
	const xs = [...new Set(curves.flatMap(({ points }) => points.map((point) => point.recall)))].sort((a, b) => a - b);
	const series = curves.map(({ name, points, field }) => ({
		label: name,
		color: COLORS[name] ?? COLORS.lm_diskann,
		width: name === 'lm_diskann' ? 3 : 1.5,
		dash: field === 'queries_per_second' ? [6, 5] : undefined,
		values: xs.map((x) => points.find((point) => point.recall === x)?.[field] ?? null),
	}));
	return { xs, series };
}

const escape = (text) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;');

/** HTML of one data set. */
function section(result, i) {
	const { header, rows, isBest, facts: found } = tables(result);
	const head = `<tr>${header.map((title) => `<th>${escape(title)}</th>`).join('')}</tr>`;
	const body = rows.map((row, at) => `<tr${row[0] === 'lm_diskann' ? ' class="own"' : ''}>${row.map((cell, column) =>
		`<td>${isBest[at][column] ? `<b>${escape(cell)}</b>` : escape(cell)}</td>`).join('')}</tr>`);
	return `<section><h2>${escape(result.set)}</h2><div class="plot" id="chart${i}"></div>
<table>${head}${body.join('')}</table><p class="note">Bold: the best of the column.</p>
<ul>${found.map((fact) => `<li>${escape(fact)}</li>`).join('')}</ul></section>`;
}

const STYLE = `
body { margin: 0 auto; padding: 1.5rem; max-width: 1060px; font: 15px/1.5 system-ui, sans-serif; color: #1c2430;
	background: #f5f7fa; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.1rem; margin: 0 0 .8rem; }
section { background: #fff; border: 1px solid #dde3ea; border-radius: 8px; padding: 1.2rem; margin-top: 1.2rem; }
table { border-collapse: collapse; width: 100%; margin-top: 1rem; font-variant-numeric: tabular-nums; }
td, th { padding: .35rem .6rem; text-align: right; border-bottom: 1px solid #dde3ea; vertical-align: bottom; }
th { font-weight: normal; color: #5d6b7c; } td:first-child, th:first-child { text-align: left; }
.own { background: #fff1e6; } .note { color: #5d6b7c; font-size: .87rem; margin: .4rem 0; }
.u-legend { font-size: 13px; } .u-legend th { border: 0; color: inherit; vertical-align: middle; }
ul { margin: .6rem 0 0; padding-left: 1.2rem; }`;

/** Runs in the page. Recall is drawn by what is missing to 1, so that 0.9, 0.99 and 0.999 lie equally far apart. */
function drawCharts(charts) {
	const ticks = [0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999];
	const missing = (recall) => -Math.log10(Math.max(1 - recall, 1e-4));
	charts.forEach(({ xs, series }, i) => {
		const target = document.getElementById(`chart${i}`);
		const [low, high] = [xs[0], xs[xs.length - 1]];
		new uPlot({
			width: target.clientWidth, height: 440, legend: { live: false },
			scales: { x: { time: false, distr: 100, fwd: missing, inv: (value) => 1 - 10 ** -value }, y: { distr: 3 } },
			axes: [
				{ label: 'recall@10', size: 34, splits: () => ticks.filter((tick) => tick >= low && tick <= high),
					filter: (plot, values) => values, values: (plot, values) => values.map(String) },
				{ label: 'queries a second (logarithmic)', size: 76,
					values: (plot, values) => values.map((value) => (value ? value.toLocaleString('en') : '')),
					filter: (plot, values) => values.map((value) => (/^[125]0*$/.test(String(value)) ? value : null)) },
			],
			series: [{ label: 'recall@10' }, ...series.map(({ label, color, width, dash }) =>
				({ label, stroke: color, width, dash, spanGaps: true, points: { size: width + 4, fill: color } }))],
		}, [xs, ...series.map(({ values }) => values)], target);
	});
}

export function writeReport(report, target) {
	const library = path.join(HERE, 'node_modules/uplot/dist');
	const charts = JSON.stringify(report.results.map(chart)).replace(/</g, '\\u003c');
	const { cpu, cpus } = report.machine;
	fs.writeFileSync(target, `<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>lm_diskann: benchmark</title>
<style>${fs.readFileSync(path.join(library, 'uPlot.min.css'), 'utf8')}${STYLE}</style>
<h1>lm_diskann: benchmark</h1>
<p>${escape(report.date.slice(0, 16).replace('T', ' '))} UTC, ${escape(cpu)}, ${cpus} processors, best
of ${report.rounds} runs. One thread and the index in memory unless said otherwise; speeds by processor time, those
with a cold cache (dashed) by the clock. Higher and further to the right is better.</p>
${report.results.map(section).join('\n')}
<script>${fs.readFileSync(path.join(library, 'uPlot.iife.min.js'), 'utf8')}</script>
<script>(${drawCharts})(${charts});</script></html>
`);
}
