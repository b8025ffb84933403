export function count(data) {
	const text = data.toString("latin1");
	return {
		lines: text.split("\n").length - 1,
		words: text.split(/[ \t\n\r\f\v]+/).filter((word) => word !== "").length,
		bytes: data.length,
	};
}
