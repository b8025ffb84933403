import assert from "node:assert/strict";

export interface Sample {
	readonly name: string;
	readonly labels: Readonly<Record<string, string>>;
	readonly value: number;
}

export interface Family {
	readonly type: string;
	readonly samples: readonly Sample[];
}

const NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*";
const SAMPLE = new RegExp(`^(${NAME})(?:\\{(.*)\\})? (NaN|[+-]Inf|[+-]?[0-9.]+(?:e[+-]?[0-9]+)?)(?: [0-9]+)?$`);
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\["\\n])*)"(?:,|$)/y;

/** Metrics by family, judged as `promtool check metrics` judges them: help and type before samples, no sample twice, whole histograms. */
export function readExposition(text: string): ReadonlyMap<string, Family> {
	assert.ok(text.endsWith("\n"), "the last line ends");
	const helped = new Set<string>();
	const families = new Map<string, { type: string; samples: Sample[] }>();
	const seen = new Set<string>();
	for (const line of text.split("\n").filter((each) => each !== "")) {
		const [, kind, name = "", rest = ""] = new RegExp(`^# (HELP|TYPE) (${NAME}) (.+)$`).exec(line) ?? [];
		if (kind === "HELP") {
			assert.ok(!helped.has(name), `${name} has one help`);
			helped.add(name);
		} else if (kind === "TYPE") {
			assert.match(rest, /^(counter|gauge|histogram|summary|untyped)$/, line);
			assert.ok(!families.has(name), `${name} has one type`);
			families.set(name, { type: rest, samples: [] });
		} else {
			const sample = sampleOf(line);
			const key = JSON.stringify([sample.name, Object.entries(sample.labels).sort()]);
			assert.ok(!seen.has(key), `twice: ${line}`);
			seen.add(key);
			familyOf(families, sample.name).samples.push(sample);
		}
	}
	for (const [name, family] of families) {
		assert.ok(helped.has(name), `${name} has help`);
		if (family.type === "counter") for (const { value } of family.samples) assert.ok(value >= 0, name);
		if (family.type === "histogram") mustBeWhole(name, family);
	}
	return families;
}

function sampleOf(line: string): Sample {
	const [, name, inside = "", value] = SAMPLE.exec(line) ?? assert.fail(`no sample: ${line}`);
	const labels: Record<string, string> = {};
	LABEL.lastIndex = 0;
	while (LABEL.lastIndex < inside.length) {
		const [, label = "", text = ""] = LABEL.exec(inside) ?? assert.fail(`no labels: ${line}`);
		assert.ok(!(label in labels), `one label twice: ${line}`);
		labels[label] = text;
	}
	return { name: name ?? "", labels, value: Number(value?.replace("Inf", "Infinity")) };
}

function familyOf<Of>(families: ReadonlyMap<string, Of & { type: string }>, name: string): Of & { type: string } {
	const own = families.get(name);
	if (own !== undefined) return own;
	const histogram = families.get(name.replace(/_(bucket|sum|count)$/, ""));
	return histogram?.type === "histogram" || histogram?.type === "summary" ? histogram : assert.fail(`${name}: no type`);
}

/** Of each set of labels: buckets that only grow, up to infinity, which is the count; and a sum. */
function mustBeWhole(name: string, { samples }: Family): void {
	const without = ({ labels: { le: _, ...labels } }: Sample) => JSON.stringify(Object.entries(labels).sort());
	for (const [labels, group] of Map.groupBy(samples, without)) {
		const buckets = group.filter((sample) => sample.name === `${name}_bucket`);
		const counts = buckets
			.map(({ labels: { le = "" }, value }) => [Number(le.replace("Inf", "Infinity")), value] as const)
			.sort(([a], [b]) => a - b);
		const [last] = counts.slice(-1);
		assert.equal(last?.[0], Number.POSITIVE_INFINITY, `${name} ${labels}: +Inf`);
		assert.deepEqual(
			counts.map(([, value]) => value),
			counts.map(([, value]) => value).toSorted((a, b) => a - b),
		);
		assert.equal(group.find((sample) => sample.name === `${name}_count`)?.value, last?.[1], `${name} ${labels}: count`);
		assert.ok(
			group.some((sample) => sample.name === `${name}_sum`),
			`${name} ${labels}: sum`,
		);
	}
}
