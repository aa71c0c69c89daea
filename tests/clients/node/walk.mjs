// Whole tool rounds with the JavaScript SDKs, on the gateway at $BASE_URL. usage: node walk.mjs CLIENT MODEL...
// Prints one JSON line for each model: {model, text, tools: [what each tool was called with], steps, usage, parts}.
import OpenAI from 'openai';
import Anthropic from '@anthropic-ai/sdk';
import { generateText, streamText, stepCountIs, tool, Output } from 'ai';
import { createOpenAI } from '@ai-sdk/openai';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { z } from 'zod';

const base = process.env.BASE_URL, apiKey = process.env.KEY;
const [client, ...models] = process.argv.slice(2);
let model;
const ask = 'What is the weather in Paris?';
const schema = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false };
const called = [];
const weather = ({ city }) => { called.push(city); return `sunny in ${city}`; };
const print = (value) => console.log(JSON.stringify({ model, tools: called.splice(0), ...value }));

const openai = () => new OpenAI({ baseURL: `${base}/v1`, apiKey, maxRetries: 0 });
const anthropic = () => new Anthropic({ baseURL: base, apiKey, maxRetries: 0 });

const walks = {
  async 'openai-chat'(stream) {
    const runner = openai().chat.completions.runTools({
      model, stream, messages: [{ role: 'user', content: ask }],
      ...(stream ? { stream_options: { include_usage: true } } : {}),
      tools: [{ type: 'function', function: { name: 'get_weather', description: 'The weather', parameters: schema, parse: JSON.parse, function: weather } }],
    });
    const text = await runner.finalContent();
    print({ text, usage: await runner.totalUsage(), steps: runner.messages.filter((m) => m.role === 'assistant').length });
  },
  async 'openai-responses'(stream) {
    const tools = [{ type: 'function', name: 'get_weather', description: 'The weather', parameters: schema, strict: true }];
    const input = [{ role: 'user', content: ask }];
    for (let steps = 1; ; steps++) {
      const body = { model, input, tools, store: false };
      const answer = stream ? await openai().responses.stream(body).finalResponse() : await openai().responses.create(body);
      const calls = answer.output.filter((item) => item.type === 'function_call');
      if (!calls.length || steps > 3) return print({ text: answer.output_text, usage: answer.usage, steps });
      input.push(...answer.output.map(({ parsed_arguments, parsed, ...item }) => item));
      for (const call of calls) input.push({ type: 'function_call_output', call_id: call.call_id, output: weather(JSON.parse(call.arguments)) });
    }
  },
  async anthropic(stream) {
    const tools = [{ name: 'get_weather', description: 'The weather', input_schema: schema }];
    const messages = [{ role: 'user', content: ask }];
    for (let steps = 1; ; steps++) {
      const body = { model, max_tokens: 1024, messages, tools };
      const answer = stream ? await anthropic().messages.stream(body).finalMessage() : await anthropic().messages.create(body);
      const calls = answer.content.filter((block) => block.type === 'tool_use');
      if (!calls.length || steps > 3) {
        const count = await anthropic().messages.countTokens({ model, messages, tools });
        return print({ text: answer.content.map((b) => b.text ?? '').join(''), usage: answer.usage, steps, count: count.input_tokens });
      }
      messages.push({ role: 'assistant', content: answer.content });
      messages.push({ role: 'user', content: calls.map((c) => ({ type: 'tool_result', tool_use_id: c.id, content: weather(c.input) })) });
    }
  },
};

const providers = {
  'ai-openai-chat': () => createOpenAI({ baseURL: `${base}/v1`, apiKey }).chat(model),
  'ai-openai-responses': () => createOpenAI({ baseURL: `${base}/v1`, apiKey }).responses(model),
  'ai-anthropic': () => createAnthropic({ baseURL: `${base}/v1`, apiKey })(model),
  'ai-openai-compatible': () => createOpenAICompatible({ name: 'gateway', baseURL: `${base}/v1`, apiKey, includeUsage: true, supportsStructuredOutputs: true })(model),
};
// By default the SDK names earlier items by their ids and trusts the server to have kept them; here it sends them again.
providers['ai-openai-responses-unkept'] = providers['ai-openai-responses'];
for (const [name, make] of Object.entries(providers)) {
  const providerOptions = name.endsWith('-unkept') ? { openai: { store: false } } : {};
  walks[name] = async (stream) => {
    const tools = { get_weather: tool({ description: 'The weather', inputSchema: z.object({ city: z.string() }), execute: async (input) => weather(input) }) };
    const options = { model: make(), prompt: ask, tools, stopWhen: stepCountIs(3), maxRetries: 0, providerOptions };
    if (!stream) {
      const answer = await generateText(options);
      const object = await generateText({ model: make(), prompt: 'A city', maxRetries: 0, providerOptions, output: Output.object({ schema: z.object({ city: z.string(), celsius: z.number() }) }) });
      return print({ text: answer.text, steps: answer.steps.length, usage: answer.totalUsage, object: object.output });
    }
    const parts = {};
    const answer = streamText({ ...options, onError: ({ error }) => { throw error; } });
    for await (const part of answer.fullStream) {
      if (part.type === 'error') throw part.error;
      parts[part.type] = (parts[part.type] ?? 0) + 1;
    }
    print({ text: await answer.text, steps: (await answer.steps).length, usage: await answer.totalUsage, parts });
  };
}

const streamed = client.endsWith('-stream');
for (model of models) await walks[client.replace(/-stream$/, '')](streamed);
