import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { canonicalJson, type Json, parseCanonicalJson, parseJsonStrict } from "./canonical-json.ts";

/** RFC 8785 sections 3.2.2 and 3.2.3, and the published test data of its reference implementation. */
const PUBLISHED = {
	arrays: ['[56,{"d":true,"10":null,"1":[]}]', '[56,{"1":[],"10":null,"d":true}]'],
	french: [
		'{"peach":"This sorting order","péché":"is wrong according to French","pêche":"but canonicalization MUST","sin":"ingnore locale"}',
		'{"peach":"This sorting order","péché":"is wrong according to French","pêche":"but canonicalization MUST","sin":"ingnore locale"}',
	],
	structures: [
		'{"1":{"f":{"f":"hi","F":5} ,"\\n":56.0},"10":{ },"":"empty","a":{ },"111":[ { } ],"A":{ }}',
		'{"":"empty","1":{"\\n":56,"f":{"F":5,"f":"hi"}},"10":{},"111":[{}],"A":{},"a":{}}',
	],
	unicode: ['{"Unnormalized Unicode":"A\\u030a"}', '{"Unnormalized Unicode":"A\u030a"}'],
	values: [
		'{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c\\\\\\"\\/","literals":[null,true,false]}',
		'{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
	],
	weird: [
		'{"\\u20ac":"Euro Sign","\\r":"Carriage Return","\\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One","\\ud83d\\ude00":"Emoji: Grinning Face","\\u0080":"Control","\\u00f6":"Latin Small Letter O With Diaeresis","</script>":"Browser Challenge"}',
		'{"\\r":"Carriage Return","1":"One","</script>":"Browser Challenge","\u0080":"Control","ö":"Latin Small Letter O With Diaeresis","€":"Euro Sign","😀":"Emoji: Grinning Face","\ufb33":"Hebrew Letter Dalet With Dagesh"}',
	],
} as const;

/** RFC 8785 appendix B: IEEE 754 bits and their text. */
const NUMBERS = [
	["0000000000000000", "0"],
	["8000000000000000", "0"],
	["0000000000000001", "5e-324"],
	["8000000000000001", "-5e-324"],
	["7fefffffffffffff", "1.7976931348623157e+308"],
	["ffefffffffffffff", "-1.7976931348623157e+308"],
	["4340000000000000", "9007199254740992"],
	["c340000000000000", "-9007199254740992"],
	["4430000000000000", "295147905179352830000"],
	["44b52d02c7e14af5", "9.999999999999997e+22"],
	["44b52d02c7e14af6", "1e+23"],
	["44b52d02c7e14af7", "1.0000000000000001e+23"],
	["444b1ae4d6e2ef4e", "999999999999999700000"],
	["444b1ae4d6e2ef4f", "999999999999999900000"],
	["444b1ae4d6e2ef50", "1e+21"],
	["3eb0c6f7a0b5ed8c", "9.999999999999997e-7"],
	["3eb0c6f7a0b5ed8d", "0.000001"],
	["41b3de4355555553", "333333333.3333332"],
	["41b3de4355555554", "333333333.33333325"],
	["41b3de4355555555", "333333333.3333333"],
	["41b3de4355555556", "333333333.3333334"],
	["41b3de4355555557", "333333333.33333343"],
	["becbf647612f3696", "-0.0000033333333333333333"],
	["43143ff3c1cb0959", "1424953923781206.2"],
] as const;

describe("canonical JSON", () => {
	for (const [name, [input, output]] of Object.entries(PUBLISHED)) {
		it(`writes the published case ${name}`, () => {
			assert.equal(canonicalJson(JSON.parse(input) as Json), output);
		});
	}

	it("writes every number of RFC 8785 appendix B", () => {
		for (const [bits, text] of NUMBERS) {
			assert.equal(canonicalJson(Buffer.from(bits, "hex").readDoubleBE()), text, bits);
		}
	});

	it("refuses what JSON cannot carry", () => {
		for (const bits of ["7fffffffffffffff", "7ff0000000000000", "fff0000000000000"]) {
			assert.throws(() => canonicalJson(Buffer.from(bits, "hex").readDoubleBE()), TypeError);
		}
		assert.throws(() => canonicalJson("\ud800"), TypeError);
		assert.throws(() => canonicalJson({ "\udead": 1 }), TypeError);
		assert.throws(() => canonicalJson([undefined] as unknown as Json), TypeError);
		assert.throws(() => canonicalJson(new Array(1) as unknown as Json), TypeError);
		assert.throws(() => canonicalJson((() => 1) as unknown as Json), TypeError);
		assert.throws(() => canonicalJson(1n as unknown as Json), TypeError);
	});

	it("leaves out undefined members and keeps __proto__ as a name", () => {
		assert.equal(canonicalJson({ b: undefined, a: 1 }), '{"a":1}');
		assert.equal(canonicalJson(JSON.parse('{"a":1,"__proto__":{"b":2}}') as Json), '{"__proto__":{"b":2},"a":1}');
	});

	it("is one text for one value, whatever the order of members", () => {
		fc.assert(
			fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
				const text = canonicalJson(value as Json);
				assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)));
				assert.equal(canonicalJson(reversed(JSON.parse(text) as Json)), text);
				assert.deepEqual(parseCanonicalJson(text), JSON.parse(text));
			}),
			{ numRuns: 300 },
		);
	});
});

describe("strict parsing", () => {
	it("refuses repeated names, however they are spelt and wherever they are", () => {
		for (const text of [
			'{"a":1,"a":2}',
			'{"a":1,"\\u0061":1}',
			'[{"x":{"y":0,"z":[],"y":0}}]',
			'{"a":[1,{"b":1,"b":1}]}',
		]) {
			assert.throws(() => parseJsonStrict(text), SyntaxError, text);
			assert.throws(() => parseCanonicalJson(text), SyntaxError, text);
		}
		const fine = '{"a":{"a":["a","a",{"a":"a"}]},"b":"a, \\"a\\": {"}';
		assert.deepEqual(parseJsonStrict(fine), JSON.parse(fine));
	});

	it("refuses nesting past 64 levels and takes 64", () => {
		assert.doesNotThrow(() => parseJsonStrict("[".repeat(64) + "]".repeat(64)));
		assert.throws(() => parseJsonStrict("[".repeat(65) + "]".repeat(65)), SyntaxError);
		assert.throws(() => parseJsonStrict(`${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}`), SyntaxError);
	});

	it("takes an array longer than a call can have arguments", () => {
		assert.equal((parseJsonStrict(`[${"0,".repeat(300_000)}0]`) as Json[]).length, 300_001);
	});

	it("throws nothing but SyntaxError on canonical text that isn't", () => {
		for (const text of ["1e400", '"\\ud800"', " 1", "1 ", "1.0", "-0", '{"b":1,"a":1}', '"\\u0041"', "\ufeff1", ""]) {
			assert.throws(() => parseCanonicalJson(text), SyntaxError, text);
		}
		fc.assert(
			fc.property(fc.string({ unit: fc.constantFrom(...'{}[]",:\\u01ae. '), maxLength: 24 }), (text) => {
				try {
					assert.equal(canonicalJson(parseCanonicalJson(text)), text);
				} catch (failure) {
					assert.ok(failure instanceof SyntaxError, String(failure));
				}
			}),
			{ numRuns: 2000 },
		);
	});
});

function reversed(value: Json): Json {
	if (value === null || typeof value !== "object") return value;
	if (Array.isArray(value)) return value.map((item: Json) => reversed(item));
	const entries = Object.entries(value).reverse();
	return Object.fromEntries(entries.map(([name, child]) => [name, child === undefined ? undefined : reversed(child)]));
}
