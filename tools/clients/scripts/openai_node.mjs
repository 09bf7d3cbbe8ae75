// openai for Node: chat, stream, picture, tools, parsed answers, responses.
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { ASK_PICTURE, KEY, MODEL, URL_, WEATHER, check, inCity, isRedCircle, picture, run, said, step } from "./steps.mjs";

const client = new OpenAI({ apiKey: KEY, baseURL: `${URL_}/v1`, maxRetries: 0 });
const messages = [{ role: "user", content: "What can you do?" }];
const common = { model: MODEL, max_tokens: 200 };
const weather = { type: "function", function: { name: "get_weather", parameters: WEATHER } };

step("chat", async () => said((await client.chat.completions.create({ ...common, messages })).choices[0].message.content));
step("stream helper", async () => said((await client.chat.completions.stream({ ...common, messages }).finalMessage()).content));
step(
  "picture",
  async () => {
    const content = [{ type: "text", text: ASK_PICTURE }, { type: "image_url", image_url: { url: picture() } }];
    const done = await client.chat.completions.create({ ...common, messages: [{ role: "user", content }] });
    isRedCircle(done.choices[0].message.content);
  },
  { media: true },
);
step("tool, forced", async () => {
  const done = await client.chat.completions.create({ ...common, messages, tools: [weather], tool_choice: "required" });
  check(done.choices[0].message.tool_calls?.length, `no call, but ${done.choices[0].finish_reason}`);
  inCity(done.choices[0].message.tool_calls[0].function.arguments);
});
step("parse with zod", async () => {
  const form = zodResponseFormat(z.object({ color: z.enum(["red", "blue"]) }), "color");
  const done = await client.chat.completions.parse({ ...common, messages, response_format: form });
  check(["red", "blue"].includes(done.choices[0].message.parsed.color), "no color");
});
step("runTools", async () => {
  const tool = { ...weather, function: { ...weather.function, parse: JSON.parse, function: async () => "sunny" } };
  const runner = client.chat.completions.runTools({ ...common, messages, tools: [tool] });
  said((await runner.finalChatCompletion()).choices[0].message.content);
});
step("responses", async () => said((await client.responses.create({ model: MODEL, input: "What can you do?" })).output_text));
step("responses: stream", async () => {
  const events = [];
  for await (const event of await client.responses.create({ model: MODEL, input: "hello", stream: true })) events.push(event.type);
  check(events.at(-1) === "response.completed", events.at(-1));
});
await run();
