// What the scripts beside it share; the same as steps.py says for Python.
import { readFileSync } from "node:fs";

export const URL_ = process.env.MISTRALRS_URL;
export const MEDIA = process.env.MISTRALRS_MEDIA || "";
const SECONDS = Number(process.env.MISTRALRS_STEP_SECONDS || "60");
export const KEY = "EMPTY";
export const MODEL = "default";
export const ASK_PICTURE = "What is in this picture?";
export const WEATHER = {
  type: "object",
  properties: { city: { type: "string", enum: ["Paris", "Rome"] } },
  required: ["city"],
};
const steps = [];

export const encoded = (name) => readFileSync(`${MEDIA}/${name}`).toString("base64");
export const picture = () => `data:image/png;base64,${encoded("red_circle.png")}`;
export const step = (name, work, { media = false } = {}) => {
  if (MEDIA || !media) steps.push([name, work]);
};
export const check = (right, told) => {
  if (!right) throw new Error(String(told).slice(0, 120));
};
export const said = (text) => check(typeof text === "string" && text.trim(), `answered ${JSON.stringify(text)}`);
export const isRedCircle = (text) => check(/red/i.test(text) && /circle/i.test(text), `answered ${text}`);
export const inCity = (args) => {
  const found = typeof args === "string" ? JSON.parse(args) : args;
  check(["Paris", "Rome"].includes(found?.city), `called with ${JSON.stringify(found)}`);
};

export async function run() {
  for (const [name, work] of steps) {
    const begun = Date.now();
    let problem = "";
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not done after ${SECONDS} s`)), SECONDS * 1000);
    });
    try {
      await Promise.race([work(), late]);
    } catch (error) {
      problem = `${error.name}: ${error.message}`.split("\n")[0].slice(0, 160);
    }
    clearTimeout(timer);
    console.log(JSON.stringify({ step: name, problem, seconds: (Date.now() - begun) / 1000 }));
  }
  process.exit(0);
}
