// Drives a headless Chromium through its debugging pipe: what the test of the inspection page needs, and no more.
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

/** Path of a browser, or nothing. */
export function findBrowser() {
	return NAMES.find((name) => spawnSync(name, ['--version']).status === 0);
}

export class Browser {
	#next = 1;
	#waiting = new Map();
	#buffer = '';

	constructor(program, profileFolder) {
		this.process = spawn(program, ['--headless', '--no-sandbox', '--disable-gpu', '--remote-debugging-pipe',
			`--user-data-dir=${profileFolder}`, '--window-size=1400,1300', '--hide-scrollbars', 'about:blank'],
		{ stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
		this.process.stdio[4].on('data', (bytes) => this.#read(bytes));
		this.exited = new Promise((resolve) => { this.process.on('exit', resolve); });
	}

	#read(bytes) {
		this.#buffer += bytes.toString('utf8');
		const messages = this.#buffer.split('\0');
		this.#buffer = messages.pop();
		for (const message of messages.map((text) => JSON.parse(text))) {
			const waiting = this.#waiting.get(message.id);
			this.#waiting.delete(message.id);
			if (message.error) {
				waiting?.reject(new Error(message.error.message));
			} else {
				waiting?.resolve(message.result);
			}
		}
	}

	send(method, params = {}, sessionId = this.session) {
		const id = this.#next++;
		this.process.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
		return new Promise((resolve, reject) => { this.#waiting.set(id, { resolve, reject }); });
	}

	async open(url) {
		const { targetId } = await this.send('Target.createTarget', { url: 'about:blank' }, undefined);
		const attached = await this.send('Target.attachToTarget', { targetId, flatten: true }, undefined);
		this.session = attached.sessionId;
		await this.send('Emulation.setDeviceMetricsOverride',
			{ width: 1400, height: 1300, deviceScaleFactor: 1, mobile: false });
		await this.send('Page.navigate', { url });
	}

	/** The value of an expression in the page. */
	async evaluate(expression) {
		const { result, exceptionDetails } = await this.send('Runtime.evaluate',
			{ expression, awaitPromise: true, returnByValue: true });
		if (exceptionDetails) {
			throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
		}
		return result.value;
	}

	/** Waits in the page, frame by frame, until the expression is true. */
	async waitFor(expression) {
		const isReached = await this.evaluate(`new Promise((resolve) => {
			const end = performance.now() + 60000;
			const look = () => (${expression}) ? resolve(true)
				: performance.now() > end ? resolve(false) : setTimeout(look, 20);
			look();
		})`);
		if (!isReached) {
			throw new Error(`the page never came to: ${expression}`);
		}
	}

	async click(selector) {
		const [x, y] = await this.evaluate(`(() => { const box = document.querySelector('${selector}')
			.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; })()`);
		for (const type of ['mousePressed', 'mouseReleased']) {
			await this.send('Input.dispatchMouseEvent', { type, x, y, button: 'left', clickCount: 1 });
		}
	}

	type(text) {
		return this.send('Input.insertText', { text });
	}

	async screenshot(file) {
		const { data } = await this.send('Page.captureScreenshot', { format: 'png', captureBeyondViewport: true });
		fs.writeFileSync(file, Buffer.from(data, 'base64'));
	}

	async close() {
		this.send('Browser.close', {}, undefined).catch(() => {});
		await this.exited;
	}
}
