// The page of inspect/server.mjs. Everything from the database goes into text nodes and attributes, never into markup.
'use strict';

const LIVE_INTERVAL = 1000, LIVE_POINTS = 120;
const PART_COLORS = { nodes: '#1f6feb', retired: '#d9480f', free: '#c8d1dc', 'maps and lists': '#8250df' };
const SVG = 'http://www.w3.org/2000/svg';
const element = (id) => document.getElementById(id);

let chosen = '';
let plots = {};
let live = [];

function create(name, attributes = {}, text = '') {
	const made = document.createElement(name);
	const { style, ...others } = attributes;
	Object.entries(others).forEach(([key, value]) => made.setAttribute(key, value));
	// A style attribute would need a weaker content policy.
	made.style.cssText = style ?? '';
	made.textContent = text;
	return made;
}

async function get(path, parameters = {}) {
	const response = await fetch(`${path}?${new URLSearchParams(parameters)}`);
	const body = await response.json();
	if (!response.ok) {
		throw new Error(body.error);
	}
	return body;
}

function show(error) {
	element('error').hidden = !error;
	element('error').textContent = error ? error.message : '';
}

const formatBytes = (bytes) => {
	const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
	let unit = 0;
	for (; bytes >= 1024 && unit < units.length - 1; unit++) {
		bytes /= 1024;
	}
	return `${bytes.toFixed(unit === 0 ? 0 : 1)} ${units[unit]}`;
};
const formatCount = (count) => (count ?? 0).toLocaleString('en');
const countOf = (count, one, many) => `${formatCount(count)} ${count === 1 ? one : many}`;

function showFacts(index) {
	const state = element('state');
	element('database').textContent = index.database_name;
	state.textContent = index.state_reason ? `${index.state}: ${index.state_reason}` : index.state;
	state.className = index.state === 'ready' ? '' : 'bad';
	const facts = [
		['table', `${index.schema_name}.${index.table_name}`],
		['vectors', `${formatCount(index.row_count)} x ${index.dimensions} ${index.element_type}, ${index.metric}`],
		['in the delta', formatCount(index.delta_count)],
		['deleted, still in the graph', formatCount(index.tombstone_count)],
		['rows without a vector', formatCount(index.unindexed_count)],
		['R, L_build, L_search, alpha', `${index.R}, ${index.L_build}, ${index.L_search}, ${index.alpha}`],
		['codes, block', `${index.codes}, ${formatBytes(index.block_size_bytes)}`],
		['file', `${formatBytes(index.file_size_bytes ?? 0)}, generation ${index.generation}`],
		['path', index.file_path ?? 'in memory'],
		['built in', `${(index.build_seconds ?? 0).toFixed(1)} s`],
	];
	element('facts').replaceChildren(...facts.flatMap(([name, value]) =>
		[create('dt', {}, name), create('dd', {}, value)]));
}

function showFile(parts) {
	const total = parts.reduce((sum, part) => sum + part.blocks, 0) || 1;
	element('file-bar').replaceChildren(...parts.filter((part) => part.blocks > 0).map((part) => create('div', {
		style: `width:${(100 * part.blocks) / total}%;background:${PART_COLORS[part.part] ?? '#888'}`,
		title: `${part.part}: ${formatCount(part.blocks)} blocks`,
	})));
	const head = create('tr');
	['part', 'blocks', 'size'].forEach((name) => head.append(create('th', {}, name)));
	element('file-parts').replaceChildren(head, ...parts.map((part) => {
		const row = create('tr'), name = create('td');
		name.append(create('span', { class: 'swatch', style: `background:${PART_COLORS[part.part] ?? '#888'}` }),
			document.createTextNode(part.part));
		row.append(name, create('td', {}, formatCount(part.blocks)), create('td', {}, formatBytes(part.bytes)));
		return row;
	}));
}

/** Draws a plot into the element, in place of what was there. */
function draw(id, series, data, axes, scales = { x: { time: false } }) {
	plots[id]?.destroy();
	const target = element(id);
	if (data[0].length === 0) {
		target.textContent = 'nothing was measured';
		plots[id] = undefined;
		return;
	}
	target.textContent = '';
	plots[id] = new uPlot({ width: target.clientWidth, height: 200, series, axes, scales, legend: { live: false } },
		data, target);
}

const axis = (label, more = {}) => ({
	label, labelSize: 20, size: 56, stroke: '#5d6b7c', font: '11px system-ui', labelFont: '12px system-ui', ...more,
});

function showRecall(points) {
	draw('recall', [{ label: 'L' }, { label: 'recall@10', stroke: '#1f6feb', width: 2, points: { size: 6 } },
		{ label: 'blocks visited', stroke: '#d9480f', scale: 'blocks', points: { size: 6 } }],
	[points.map((point) => point.L), points.map((point) => point.recall), points.map((point) => point.blocks)],
	[axis('L', { size: 30 }), axis('recall@10'), axis('blocks', { side: 1, scale: 'blocks', grid: { show: false } })],
	{ x: { time: false, distr: 3, log: 2 } });
}

// Between the marks of an axis of whole numbers; the plot takes the first that leaves room for the numbers.
const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000];

function showHistogram(id, label, bars) {
	const count = bars.reduce((sum, bar) => sum + bar.nodes, 0) || 1;
	const mean = bars.reduce((sum, bar) => sum + bar.value * bar.nodes, 0) / count;
	const [least, most] = [bars[0]?.value ?? 0, bars[bars.length - 1]?.value ?? 0];
	const paths = uPlot.paths.bars({ size: [0.9, 40] });
	draw(id, [{ label }, { label: 'nodes', width: 0, fill: '#1f6feb', paths, points: { show: false } }],
		[bars.map((bar) => bar.value), bars.map((bar) => bar.nodes)],
		[axis(label, { size: 30, incrs: STEPS }), axis('nodes', { size: 60 })],
		{
			x: { time: false, range: [Math.max(0, least - 2), most + 2] },
			y: { range: (plot, min, max) => [0, max * 1.1] },
		});
	element(`${id}-note`).textContent = `${countOf(count, 'node', 'nodes')}: ` + (least === most ? `${least} each`
		: `from ${least} to ${most}, ${mean.toFixed(1)} on average`);
}

async function showLive() {
	if (!chosen || document.hidden) {
		return;
	}
	const stats = await get('/api/stats', { index: chosen });
	live = [...live, { time: Date.now() / 1000, ...stats }].slice(-LIVE_POINTS);
	const rate = (name) => live.map((now, i) => (i === 0 ? 0
		: Math.max(0, now[name] - live[i - 1][name]) / Math.max(0.5, now.time - live[i - 1].time)));
	draw('live', [{}, { label: 'read', stroke: '#d9480f', width: 2, points: { show: false } },
		{ label: 'from the cache', stroke: '#1f6feb', width: 2, points: { show: false } }],
	[live.map((now) => now.time - live[live.length - 1].time), rate('blocks_read'), rate('cache_hits')],
	[axis('seconds ago', { size: 30, values: (plot, values) => values.map((value) => Math.abs(value)) }),
		axis('blocks a second')],
	{ x: { time: false, range: [-LIVE_POINTS, 0] }, y: { range: (plot, min, max) => [0, Math.max(10, max * 1.1)] } });
	element('live-note').textContent = `By this page: ${countOf(stats.queries, 'search', 'searches')}, `
		+ `${countOf(stats.blocks_read, 'block', 'blocks')} read and ${formatCount(stats.cache_hits)} from the cache `
		+ `(${formatBytes(stats.cache_bytes ?? 0)}), ${countOf(stats.fallbacks, 'fallback', 'fallbacks')}`;
}

function svg(name, attributes, text) {
	const made = document.createElementNS(SVG, name);
	Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
	if (text) {
		made.textContent = text;
	}
	return made;
}

/** Marks a row of the table and its dot while the pointer is on one of them. */
function pairUp(rowid, ...elements) {
	for (const each of elements) {
		each.dataset.row = rowid;
		each.addEventListener('pointerenter', () => point(rowid));
		each.addEventListener('pointerleave', () => point(undefined));
	}
}

function point(rowid) {
	document.querySelectorAll('[data-row]').forEach((each) =>
		each.classList.toggle('pointed', each.dataset.row === String(rowid)));
}

function showPath(result) {
	const place = ([x, y]) => [320 + x * 290, 210 - y * 180];
	const byNode = new Map(result.steps.map((step) => [step.node, step]));
	const found = new Set(result.neighbors.map((neighbor) => neighbor.rowid));
	const lines = result.steps.filter((step) => byNode.has(step.from_node)).map((step) => {
		const [[x1, y1], [x2, y2]] = [place(byNode.get(step.from_node).place), place(step.place)];
		return svg('line', { x1, y1, x2, y2 });
	});
	const dots = result.steps.map((step, i) => {
		const [cx, cy] = place(step.place);
		const share = i / Math.max(1, result.steps.length - 1);
		const dot = svg('circle', {
			cx, cy, r: step.from_node === null ? 7 : 5, fill: `hsl(214, ${79 - 6 * share}%, ${81 - 54 * share}%)`,
			class: found.has(step.row_id) ? 'found' : '', 'data-step': step.step,
		});
		dot.append(svg('title', {}, `step ${step.step}, row ${step.row_id} ${step.label}, distance ${step.distance}`));
		pairUp(step.row_id, dot);
		return dot;
	});
	const [x, y] = place(result.query.place);
	element('path').replaceChildren(...lines, ...dots,
		svg('path', { d: `M${x - 8} ${y}H${x + 8}M${x} ${y - 8}V${y + 8}`, stroke: '#1c2430', 'stroke-width': 2.5 }));
	const head = create('tr');
	['row', 'distance', ''].forEach((name) => head.append(create('th', {}, name)));
	element('neighbors').replaceChildren(head, ...result.neighbors.map((neighbor) => {
		const row = create('tr');
		row.append(create('td', {}, neighbor.rowid), create('td', {}, neighbor.distance.toPrecision(4)),
			create('td', {}, neighbor.label));
		pairUp(neighbor.rowid, row);
		return row;
	}));
	element('search-note').textContent = `Nearest to row ${result.query.rowid} ${result.query.label}: `
		+ `${countOf(result.steps.length, 'block', 'blocks')} visited; `
		+ `the query took ${result.milliseconds.toFixed(1)} ms`;
}

async function choose(name) {
	chosen = name;
	live = [];
	const { index, calibration, parts, degrees, inDegrees } = await get('/api/index', { index: name });
	showFacts(index);
	showFile(parts);
	showRecall(calibration);
	showHistogram('degrees', 'edges out of a node', degrees);
	showHistogram('in-degrees', 'edges into a node', inDegrees);
	await showLive();
}

async function start() {
	const indexes = await get('/api/indexes');
	element('index').replaceChildren(...indexes.map((index) => create('option', { value: index.name }, index.name)));
	if (indexes.length === 0) {
		throw new Error('this database has no LM_DISKANN index');
	}
	await choose(indexes[0].name);
	document.body.dataset.ready = 'true';
}

element('index').addEventListener('change', (event) => choose(event.target.value).then(() => show(), show));
element('search').addEventListener('submit', (event) => {
	event.preventDefault();
	const { value: query } = element('query');
	get('/api/search', { index: chosen, query, k: element('k').value, L: element('list-size').value })
		.then((result) => {
			show();
			showPath(result);
			return showLive();
		})
		.then(() => { document.body.dataset.searched = 'true'; }, show);
});
setInterval(() => showLive().catch(show), LIVE_INTERVAL);
start().catch(show);
