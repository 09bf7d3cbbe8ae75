// @langchain/openai: chat and responses.
import { HumanMessage, ToolMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatOpenAI } from "@langchain/openai";
import { z } from "zod";
import { ASK_PICTURE, KEY, MODEL, URL_, check, inCity, isRedCircle, picture, run, said, step } from "./steps.mjs";

const schema = z.object({ color: z.enum(["red", "blue"]) });
const weather = tool(async () => "sunny", { name: "get_weather", description: "Weather.", schema: z.object({ city: z.enum(["Paris", "Rome"]) }) });

for (const [prefix, useResponsesApi] of [["chat: ", false], ["responses: ", true]]) {
  const model = new ChatOpenAI({ model: MODEL, apiKey: KEY, configuration: { baseURL: `${URL_}/v1` }, maxTokens: 200, maxRetries: 0, useResponsesApi });
  step(`${prefix}invoke`, async () => said((await model.invoke("What can you do?")).text));
  step(`${prefix}stream`, async () => {
    let text = "";
    for await (const chunk of await model.stream("What can you do?")) text += chunk.text;
    said(text);
  });
  step(
    `${prefix}picture`,
    async () => {
      const content = [{ type: "text", text: ASK_PICTURE }, { type: "image_url", image_url: { url: picture() } }];
      isRedCircle((await model.invoke([new HumanMessage({ content })])).text);
    },
    { media: true },
  );
  step(`${prefix}bindTools and the result`, async () => {
    const asked = new HumanMessage("What can you do?");
    const answer = await model.bindTools([weather], { tool_choice: "required" }).invoke([asked]);
    check(answer.tool_calls?.length, "no call");
    inCity(answer.tool_calls[0].args);
    await model.bindTools([weather]).invoke([asked, answer, new ToolMessage({ content: "sunny", tool_call_id: answer.tool_calls[0].id })]);
  });
  for (const method of ["jsonSchema", "functionCalling"]) {
    step(`${prefix}withStructuredOutput(${method})`, async () => {
      const found = await model.withStructuredOutput(schema, { method, name: "color" }).invoke("Which color?");
      check(["red", "blue"].includes(found?.color), JSON.stringify(found));
    });
  }
}
await run();
