#!/usr/bin/env node
// Counts lines, words and bytes of files, or of standard input, and prints JSON.
import { readFileSync } from "node:fs";
import { count } from "./count.mjs";

const paths = process.argv.slice(2);
const counts = {};
for (const path of paths.length === 0 ? ["-"] : paths) counts[path] = count(readFileSync(path === "-" ? 0 : path));
console.log(JSON.stringify(counts));
