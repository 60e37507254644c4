// Copies the few files a browser needs out of node_modules into vendor/, which git ignores.
// It runs by itself after `npm ci`; a missing source file stops the installation.
import { copyFileSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const modules = join(here, "..", "..", "node_modules");
const wanted = {
  "htmx.js": "htmx.org/dist/htmx.min.js",
  "sortable.js": "sortablejs/Sortable.min.js",
};

mkdirSync(join(here, "vendor"), { recursive: true });
for (const [name, source] of Object.entries(wanted)) {
  copyFileSync(join(modules, source), join(here, "vendor", name));
}
