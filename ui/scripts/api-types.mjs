// Writes src/api/generated/{service}.d.ts from the OpenAPI documents in openapi/{service}.json,
// which `kinema openapi --out ui/openapi` makes. A document that has not changed is not generated again.
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { join, parse } from "node:path";
import openapiTS, { astToString } from "openapi-typescript";

const root = fileURLToPath(new URL("..", import.meta.url));
const from = join(root, "openapi");
const to = join(root, "src", "api", "generated");

const documents = (await readdir(from).catch(() => [])).filter((name) => name.endsWith(".json"));
if (documents.length === 0) {
  console.error(`No OpenAPI document in ${from}: run "kinema openapi --out ui/openapi" first.`);
  process.exit(1);
}

const modified = async (path) => (await stat(path).catch(() => ({ mtimeMs: 0 }))).mtimeMs;

await mkdir(to, { recursive: true });
for (const name of documents.sort()) {
  const source = join(from, name);
  const target = join(to, `${parse(name).name}.d.ts`);
  if ((await modified(target)) > (await modified(source))) continue;
  const types = astToString(await openapiTS(pathToFileURL(source)));
  const before = await readFile(target, "utf8").catch(() => "");
  if (types !== before) await writeFile(target, types);
  console.log(`${name}: types written`);
}
