// ai (the AI SDK) with four of its providers.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { ASK_PICTURE, KEY, MODEL, URL_, check, encoded, isRedCircle, run, said, step } from "./steps.mjs";

const baseURL = `${URL_}/v1`;
const openai = createOpenAI({ baseURL, apiKey: KEY });
const models = {
  "openai-compatible": createOpenAICompatible({ name: "here", baseURL, apiKey: KEY, supportsStructuredOutputs: true })(MODEL),
  "openai chat": openai.chat(MODEL),
  "openai responses": openai.responses(MODEL),
  anthropic: createAnthropic({ baseURL, apiKey: KEY })(MODEL),
};
const settings = { maxOutputTokens: 200, maxRetries: 0 };

for (const [name, model] of Object.entries(models)) {
  step(`${name}: text`, async () => said((await generateText({ model, ...settings, prompt: "What can you do?" })).text));
  step(`${name}: stream`, async () => {
    let text = "";
    for await (const piece of streamText({ model, ...settings, prompt: "What can you do?" }).textStream) text += piece;
    said(text);
  });
  step(
    `${name}: picture`,
    async () => {
      const image = { type: "image", image: Buffer.from(encoded("red_circle.png"), "base64"), mediaType: "image/png" };
      const content = [{ type: "text", text: ASK_PICTURE }, image];
      isRedCircle((await generateText({ model, ...settings, messages: [{ role: "user", content }] })).text);
    },
    { media: true },
  );
  step(`${name}: object`, async () => {
    const output = Output.object({ schema: z.object({ color: z.enum(["red", "blue"]) }) });
    const done = await generateText({ model, ...settings, output, prompt: "Which color?" });
    check(["red", "blue"].includes(done.output.color), JSON.stringify(done.output));
  });
  step(`${name}: tool in two steps`, async () => {
    const weather = tool({ description: "Weather.", inputSchema: z.object({ city: z.enum(["Paris", "Rome"]) }), execute: async () => "sunny" });
    const prepareStep = ({ stepNumber }) => ({ toolChoice: stepNumber === 0 ? "required" : "none" });
    const done = await generateText({ model, ...settings, tools: { weather }, stopWhen: stepCountIs(2), prepareStep, prompt: "Weather?" });
    check(done.steps.length === 2 && done.steps[0].toolCalls.length, `${done.steps.length} steps`);
  });
}
await run();
