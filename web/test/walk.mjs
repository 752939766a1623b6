// Walks every page of the explorer in a real browser and fails on what a reader
// would: an error on the console, a request to another host, a barrier that axe
// finds in either theme, a page wider than a phone, a provider's text that runs.
//
//   URL=http://127.0.0.1:8080 [SHOTS=DIR] [CHROMIUM=/usr/bin/chromium] [ONLY=/map] node walk.mjs
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { payloads, poison } from "./payloads.mjs";

const base = (process.env.URL ?? "").replace(/\/$/, "");
if (base === "") throw new Error("URL is not set: the address of an explorer, such as http://127.0.0.1:8080");
const shots = process.env.SHOTS ?? "";
const only = process.env.ONLY ?? "";
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const problems = [];
const wide = { width: 1440, height: 900 };
const phone = { width: 390, height: 844 };

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader"] });

async function api(path) {
  const response = await fetch(base + path);
  if (!response.ok) return null;
  return response.json();
}

// pages are all routes, those with an id by something that exists.
async function pages() {
  const first = async (path) => (await api(path))?.items?.[0] ?? null;
  const status = await api("/v1/status");
  if (status === null) throw new Error(`${base}/v1/status does not answer`);
  const [device, lease, tx, epoch, reward] = await Promise.all(["/v1/devices", "/v1/leases", "/v1/txs", "/v1/epochs", "/v1/rewards"].map((p) => first(`${p}?limit=1`)));
  return [
    ["overview", "/"],
    ["devices", "/devices"],
    ["device", device && `/devices/${device.id}`],
    ["map", "/map?show=claimed"],
    ["offers", "/offers"],
    ["leases", "/leases"],
    ["lease", lease && `/leases/${lease.id}`],
    ["receipts", "/receipts"],
    ["proofs", "/proofs"],
    ["epochs", "/epochs"],
    ["epoch", epoch && `/epochs/${epoch.number}`],
    ["rewards", "/rewards"],
    ["why", reward && `/rewards/${reward.device}/${reward.epoch}`],
    ["storage", "/storage"],
    ["data", "/data"],
    ["observations", "/observations"],
    ["blocks", "/blocks"],
    ["block", `/blocks/${Math.max(1, status.height - 1)}`],
    ["transactions", "/txs"],
    ["transaction", tx && `/txs/${tx.hash}`],
    ["chain", "/chain"],
    ["account", device && `/accounts/${device.owner}`],
    ["about", "/about"],
    ["search", "/search?q=a"],
    ["nothing", "/no/such/page"],
    ["unknown", `/devices/${"0".repeat(64)}`],
    ["empty", "/receipts?device=" + "0".repeat(64)],
    ["atlas", "/atlas"],
    ["entry", "/atlas/filecoin"],
    ["nothing-compared", "/compare"],
    ["compare", "/compare?id=io-net&id=akash&id=render"],
    ["disagreements", "/disagreements"],
    ["market", "/market"],
    ["sustainability", "/sustainability"],
    ["claims", "/claims"],
    ["choices", "/navigator"],
    ["needs", "/navigator?mode=need"],
    ["own", "/navigator?asset=gpu&gpu=RTX+4090"],
    ["need", "/navigator?mode=need&service=object-storage"],
    ["match", "/match?gb=1"],
    ["placement", "/placement"],
    ["batch", "/placement?for=batch"],
    ["burst", "/placement?for=burst"],
    ["scenarios", "/scenarios"],
  ].filter(([name, path]) => (path ? only === "" || path.startsWith(only) : void console.log(`left out: ${name} (the network has none)`)));
}

async function open(context, expected = () => false) {
  const page = await context.newPage();
  page.setDefaultTimeout(180_000);
  let at = "";
  const note = (what) => problems.push(`${at}: ${what}`);
  page.on("console", (m) => {
    if (m.type() === "error" && !expected(m.text(), at)) note(`console: ${m.text()}`);
  });
  page.on("pageerror", (e) => note(`exception: ${e.message}`));
  page.on("dialog", (d) => (note(`a dialog opened: ${d.message()}`), d.dismiss()));
  page.on("request", (r) => {
    if (new URL(r.url()).origin !== new URL(base).origin) note(`request to ${r.url().slice(0, 80)}`);
  });
  return {
    page,
    note,
    go: async (path) => {
      at = path;
      await page.goto(base + path, { waitUntil: "domcontentloaded" });
      await settled(page).catch(() => note("it never stopped loading"));
    },
  };
}

// settled: the page has its heading, and nothing says that it still loads.
async function settled(page) {
  await page.waitForSelector("main h1");
  await page.waitForFunction(() => ![...document.querySelectorAll("main p")].some((p) => /^(Loading|Working it out|Running it)/.test(p.textContent)));
}

async function barriers(page, rules) {
  await page.evaluate(axe);
  const found = await page.evaluate((r) => globalThis.axe.run(document, { resultTypes: ["violations"], ...(r ? { runOnly: { type: "rule", values: r } } : {}) }), rules);
  return found.violations.map((v) => `axe ${v.id}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 140)).join(" | ")}`);
}

const theme = (page, name) => page.evaluate((t) => (document.documentElement.dataset.theme = t), name);

async function shoot(page, name) {
  if (shots === "") return;
  mkdirSync(shots, { recursive: true });
  await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
}

async function look(tab, name, path) {
  const { page, note } = tab;
  await page.setViewportSize(wide);
  await theme(page, "light").catch(() => {});
  await tab.go(path);
  await theme(page, "light");
  if ((await page.locator("main [aria-label^='Map of']").count()) > 0) await page.waitForSelector("[data-drawn]");
  for (const b of await barriers(page)) note(b);
  await shoot(page, `${name}-1440-light`);
  await theme(page, "dark");
  for (const b of await barriers(page, ["color-contrast"])) note(`dark: ${b}`);
  await shoot(page, `${name}-1440-dark`);
  await page.setViewportSize(phone);
  const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (over > 0) note(`${over} px wider than a phone of 390 px`);
  await shoot(page, `${name}-390-dark`);
  await theme(page, "light");
  await shoot(page, `${name}-390-light`);
}

// weigh: the scripts that the first page needs, as they travel.
async function weigh() {
  const context = await browser.newContext({ viewport: wide });
  const tab = await open(context);
  const sizes = [];
  tab.page.on("requestfinished", (r) => r.url().endsWith(".js") && sizes.push(r.sizes().then((s) => s.responseBodySize, () => 0)));
  await tab.go("/");
  const total = (await Promise.all(sizes)).reduce((a, b) => a + b, 0);
  if (total > 60 * 1024) tab.note(`the first page needs ${total} bytes of script, more than 60 KB`);
  console.log(`first page: ${Math.round(total / 102.4) / 10} KB of script in ${sizes.length} files`);
  await context.close();
}

// map: what is drawn first is a picture; a pointer or the keyboard makes it move.
async function map(context) {
  const tab = await open(context);
  const { page, note } = tab;
  await tab.go("/map?show=claimed");
  await page.waitForSelector("[data-drawn]");
  if ((await page.locator("[data-idle]").count()) > 0) note("the map that moves was loaded before anybody reached for it");
  await page.locator("button[aria-label^='Move about in the map']").focus();
  await page.waitForSelector("[data-idle]");
  await page.waitForFunction(() => document.activeElement?.tagName === "CANVAS").catch(() => note("the focus is lost when the map takes over"));
  for (const b of await barriers(page)) note(b);
  await page.locator("button[aria-label='Zoom in']").click();
  await theme(page, "dark");
  for (const b of await barriers(page, ["color-contrast"])) note(`dark: ${b}`);
  await shoot(page, "map-moving-1440-dark");
  await page.close();
}

// outage: an explorer that stops answering is told once, in words, what was known
// stays, it can be asked again, and the page goes on by itself when it answers.
async function outage() {
  const context = await browser.newContext({ viewport: wide });
  const tab = await open(context, () => true);
  const { page, note } = tab;
  await tab.go("/devices");
  await page.waitForSelector("tbody tr");
  await context.route("**/v1/**", (route) => route.abort());
  await page.locator("nav#pages a", { hasText: "Leases" }).click();
  const notice = page.locator(".notice", { hasText: "has not answered" });
  await notice.waitFor();
  await page.getByText("Not known while the explorer does not answer").first().waitFor();
  for (const b of await barriers(page)) note(`without an answer: ${b}`);
  const asked = page.waitForRequest("**/v1/leases*");
  await notice.getByRole("button", { name: "Ask again" }).click(); // before it can go on by itself
  await asked;
  await context.unroute("**/v1/**");
  await notice.waitFor({ state: "detached" });
  await page.waitForSelector("main .list tbody tr, main .list .empty");
  await context.close();
}

// downloads: every CSV link of a page answers a table, and no cell is a formula.
async function downloads() {
  for (const path of ["devices", "offers", "leases", "receipts", "rewards", "proofs", "epochs", "blocks", "txs", "validators", "products", "kinds", "claims", "atlas"]) {
    const response = await fetch(`${base}/v1/${path}?as=csv`);
    const text = await response.text();
    if (!response.ok || !response.headers.get("content-type")?.startsWith("text/csv")) problems.push(`/v1/${path}?as=csv: ${response.status} ${text.slice(0, 80)}`);
    const formula = text.match(/(^|,|\n)"?([=+@\t]|-(?![0-9.]+"?(,|\n|$)))[^,\n]*/);
    if (formula) problems.push(`/v1/${path}?as=csv: a cell that a spreadsheet would run: ${formula[0].trim()}`);
  }
}

async function walk() {
  const context = await browser.newContext({ viewport: wide, reducedMotion: "reduce" });
  const tab = await open(context, (text, at) => at.includes("0000") && /404/.test(text));
  const ways = await pages();
  const half = Math.ceil(ways.length / 2); // two tabs side by side
  const second = await open(context, (text, at) => at.includes("0000") && /404/.test(text));
  await Promise.all([
    ways.slice(0, half).reduce((before, [name, path]) => before.then(() => look(tab, name, path)), Promise.resolve()),
    ways.slice(half).reduce((before, [name, path]) => before.then(() => look(second, name, path)), Promise.resolve()),
  ]);
  if (only === "" || "/map".startsWith(only)) await map(context);
  await context.close();
}

// order: Tab goes through the page as it is read, always to something visible.
async function order({ page, note }) {
  await page.evaluate(() => document.activeElement?.blur());
  const stops = [];
  for (let i = 0; i < 60; i++) {
    await page.keyboard.press("Tab");
    const at = await page.evaluate(() => {
      const e = document.activeElement;
      if (!e || e === document.body) return null;
      const all = [...document.querySelectorAll("a, button, input, select, summary, [tabindex]")];
      const r = e.getBoundingClientRect();
      return { index: all.indexOf(e), seen: r.width > 0 && r.height > 0, name: (e.getAttribute("aria-label") ?? e.textContent ?? "").trim().slice(0, 30), outline: getComputedStyle(e).outlineStyle };
    });
    if (at === null) break;
    stops.push(at);
  }
  if (stops.length < 20) note(`only ${stops.length} stops of Tab on a page of many links`);
  for (const [i, s] of stops.entries()) {
    if (i > 0 && s.index <= (stops[i - 1]?.index ?? -1)) note(`Tab goes back in the page to ${s.name}`);
    if (!s.seen) note(`Tab stops at something that cannot be seen: ${s.name}`);
    if (s.outline === "none") note(`the focus cannot be seen on ${s.name}`);
  }
}

// keyboard: the way in, the search, the theme, a page, without a mouse.
async function keyboard() {
  const context = await browser.newContext({ viewport: wide });
  const tab = await open(context);
  const { page, note } = tab;
  await tab.go("/");
  await page.keyboard.press("Tab");
  if ((await page.evaluate(() => document.activeElement?.textContent)) !== "Skip to content") note("the first stop of Tab is not the way to the content");
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  if (outline === "none") note("the focus cannot be seen");
  await page.keyboard.press("Enter");
  if ((await page.evaluate(() => document.activeElement?.id)) !== "main") note("the skip link does not go to the content");
  await page.keyboard.press("/");
  await page.keyboard.type("filecoin");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/(search|atlas)/);
  await settled(page);
  const devices = page.locator("nav a", { hasText: "Network" }).first();
  await devices.focus();
  await page.keyboard.press("Enter");
  await page.waitForURL(`${base}/`);
  await page.locator("button[aria-label^='Change between']").focus();
  const before = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await page.keyboard.press("Enter");
  if ((await page.evaluate(() => getComputedStyle(document.body).backgroundColor)) === before) note("the theme does not change by keyboard");
  await tab.go("/devices");
  await order(tab);
  await page.setViewportSize(phone);
  const menu = page.locator("button[aria-controls=pages]");
  await menu.focus();
  await page.keyboard.press("Enter");
  await page.locator("nav#pages a").first().waitFor({ state: "visible" });
  for (const b of await barriers(page)) note(`menu of a phone: ${b}`);
  await page.keyboard.press("Escape");
  await page.locator("nav#pages a").first().waitFor({ state: "hidden" });
  if (!(await menu.evaluate((e) => e === document.activeElement))) note("Escape closes the menu and loses the focus");
  await context.close();
}

// hostile: every text that others give is replaced by one that tries to run.
async function hostile() {
  const context = await browser.newContext({ viewport: wide });
  await context.route("**/v1/**", async (route) => {
    if (route.request().url().includes("/v1/events")) return route.continue();
    const response = await route.fetch();
    const text = await response.text();
    let body = text;
    try {
      body = JSON.stringify(poison(JSON.parse(text)));
    } catch {
      // not JSON: as it is
    }
    await route.fulfill({ response, body });
  });
  const tab = await open(context);
  const ways = (await pages()).filter(([name]) => ["devices", "device", "offers", "lease", "transaction", "why", "storage", "data", "observations", "epoch", "chain", "overview", "map", "search", "entry", "disagreements", "own", "placement"].includes(name));
  let seen = 0;
  for (const [, path] of ways) {
    await tab.go(path);
    const found = await tab.page.evaluate((texts) => {
      const bad = [];
      if (globalThis.pwned) bad.push("a payload ran");
      for (const e of document.querySelectorAll("#app *")) {
        if ([...e.attributes].some((a) => a.name.startsWith("on"))) bad.push(`an event attribute on ${e.tagName}`);
        if (/^(script|iframe|object|embed|style)$/i.test(e.tagName) || e.id === "pwn") bad.push(`an element ${e.tagName} from a text`);
        for (const name of ["href", "src", "action"]) if (/^\s*(javascript|data|vbscript):/i.test(e.getAttribute(name) ?? "")) bad.push(`${name} ${e.getAttribute(name)}`);
        const link = e.tagName === "A" ? e.getAttribute("href") : null;
        if (link !== null && /^(\/\/|\\)/.test(link)) bad.push(`a link away: ${link}`);
      }
      const shown = document.body.textContent ?? "";
      return { bad, shown: texts.filter((t) => shown.includes(t)).length };
    }, payloads);
    for (const b of found.bad) tab.note(b);
    seen += found.shown;
  }
  if (ways.length > 0 && seen === 0) tab.note("no payload was shown at all: the test tests nothing");
  console.log(`payloads shown as text: ${seen}`);
  await context.unrouteAll({ behavior: "ignoreErrors" }); // answers on the way
  await context.close();
}

const start = Date.now();
try {
  await walk();
  if (only === "") {
    await weigh();
    await keyboard();
    await hostile();
    await outage();
    await downloads();
  }
} finally {
  await browser.close();
}
console.log(`walked in ${Math.round((Date.now() - start) / 1000)} s, ${problems.length} problems`);
for (const p of problems) console.error(p);
process.exitCode = problems.length === 0 ? 0 : 1;
