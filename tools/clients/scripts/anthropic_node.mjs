// @anthropic-ai/sdk: messages, stream, picture, tools, counting.
import Anthropic from "@anthropic-ai/sdk";
import { ASK_PICTURE, KEY, MODEL, URL_, WEATHER, check, encoded, inCity, isRedCircle, run, said, step } from "./steps.mjs";

const client = new Anthropic({ apiKey: KEY, baseURL: URL_, maxRetries: 0 });
const messages = [{ role: "user", content: "What can you do?" }];
const common = { model: MODEL, max_tokens: 200 };
const tools = [{ name: "get_weather", description: "Weather.", input_schema: WEATHER }];

step("message", async () => said((await client.messages.create({ ...common, messages })).content[0].text));
step("stream helper", async () => said(await client.messages.stream({ ...common, messages }).finalText()));
step(
  "picture",
  async () => {
    const source = { type: "base64", media_type: "image/png", data: encoded("red_circle.png") };
    const content = [{ type: "image", source }, { type: "text", text: ASK_PICTURE }];
    isRedCircle((await client.messages.create({ ...common, messages: [{ role: "user", content }] })).content[0].text);
  },
  { media: true },
);
step("tool, forced", async () => {
  const done = await client.messages.create({ ...common, messages, tools, tool_choice: { type: "any" } });
  const call = done.content.find((block) => block.type === "tool_use");
  check(call, `no call, but ${done.stop_reason}`);
  inCity(call.input);
});
step("thinking with a budget", async () => {
  await client.messages.create({ ...common, max_tokens: 1100, stop_sequences: ["."], messages, thinking: { type: "enabled", budget_tokens: 1024 } });
});
step("count_tokens", async () => check((await client.messages.countTokens({ model: MODEL, messages })).input_tokens > 1, "none"));
await run();
