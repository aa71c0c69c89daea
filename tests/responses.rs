//! `OpenAI`'s Responses, from socket to socket: passed on to who speaks it, translated to who does not.
use crate::support::{Gateway, Upstream, two_formats};
use http::Method;
use serde_json::{Value, json};
use tierway::services::{dialect::Dialect, translate::grammar};

const PATH: &str = "/v1/responses";
const NATIVE: &str = "[providers.r]\nkind = \"openai\"\nbase_url = \"{url}\"\napi_key = \"sk-up-responses\"\n[cascade]\nenabled = false\n";

async fn gateway(up: &Upstream) -> Gateway {
    let extra = NATIVE.replace("{url}", &up.url());
    Gateway::start(&two_formats(up, &extra)).await
}

#[tokio::test]
async fn who_speaks_it_gets_the_very_bytes() {
    const ODD: &str = r#"{ "input": [{"type":"additional_tools","id":"at_1","tools":[ ]}, {"role":"user","content":"h\u0069"}], "model" : "r:text-x", "x": 1.00,
      "tools":[{"type":"web_search"},{"type":"namespace","name":"n","tools":[]}], "include":["reasoning.encrypted_content"] }"#;
    let up = Upstream::start().await;
    let gw = gateway(&up).await;
    let headers = [("session-id", "s"), ("authorization", "Bearer mine")];
    let res = gw.call(Method::POST, PATH, &headers, ODD).await;
    assert_eq!(res.status, 200, "{}", res.text());
    let seen = up.last();
    assert_eq!(seen.raw, ODD.replace("\"r:text-x\"", "\"text-x\""));
    assert_eq!(
        (seen.path.as_str(), &seen.headers["session-id"]),
        (PATH, &"s".parse().unwrap())
    );
    assert_eq!(seen.headers["authorization"], "Bearer sk-up-responses");
    assert!(res.text().contains(r#""odd":1.5"#) && !res.headers.contains_key("x-tierway-dropped"));

    let streamed = gw
        .post(
            PATH,
            &json!({"model": "r:text-x", "input": "hi", "stream": true}),
        )
        .await;
    grammar::check(Dialect::Responses, &streamed.bytes).unwrap();
    assert_eq!(streamed.header("content-type"), "text/event-stream");
    // Its provider keeps it; we do not.
    let res = gw
        .call(Method::GET, "/v1/responses/resp_native", &[], "")
        .await;
    assert_eq!(res.status, 404);
}

#[tokio::test]
async fn who_does_not_is_asked_in_its_own_dialect() {
    let up = Upstream::start().await;
    let gw = gateway(&up).await;
    for (provider, path) in [("a", "/v1/messages"), ("o", "/v1/chat/completions")] {
        for stream in [false, true] {
            let ask = json!({"model": format!("{provider}:tool-x"), "input": "hi", "stream": stream, "max_output_tokens": 50,
                "tools": [{"type": "custom", "name": "bash"}, {"type": "web_search"}]});
            let res = gw.post(PATH, &ask).await;
            assert_eq!(res.status, 200, "{}", res.text());
            assert_eq!(up.last().path, path);
            assert_eq!(res.header("x-tierway-dropped"), "web_search");
            let whole = if stream {
                grammar::check(Dialect::Responses, &res.bytes).unwrap();
                res.events().pop().unwrap()["response"].clone()
            } else {
                res.json()
            };
            assert_eq!(whole["status"], "completed");
            assert_eq!(whole["output"][1]["type"], "custom_tool_call", "{whole}");
            assert!(
                whole["output"][1]["input"]
                    .as_str()
                    .unwrap()
                    .contains("echo")
            );
            assert_eq!(whole["usage"]["output_tokens"], 7);
        }
    }
}

#[tokio::test]
async fn a_conversation_goes_on_from_its_answer() {
    let up = Upstream::start().await;
    let gw = gateway(&up).await;
    for stream in [false, true] {
        let ask = json!({"model": "a:text-x", "input": "first", "stream": stream});
        let res = gw.post(PATH, &ask).await;
        let first: Value = if stream {
            res.events().pop().unwrap()["response"].clone()
        } else {
            res.json()
        };
        let id = first["id"].as_str().unwrap();
        let next = json!({"model": "o:text-x", "input": "second", "previous_response_id": id});
        assert_eq!(gw.post(PATH, &next).await.status, 200);
        let said: Vec<Value> = up.last().body["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|m| m["content"].clone())
            .collect();
        assert_eq!(said, ["first", "Paris is the capital of France.", "second"]);
        let path = format!("{PATH}/{id}");
        assert_eq!(gw.call(Method::GET, &path, &[], "").await.json(), first);
        let items = gw
            .call(Method::GET, &format!("{path}/input_items"), &[], "")
            .await;
        assert_eq!(items.json()["data"][0]["content"][0]["text"], "first");
        assert_eq!(
            gw.call(Method::POST, &format!("{path}/cancel"), &[], "")
                .await
                .json(),
            first
        );
        assert_eq!(
            gw.call(Method::DELETE, &path, &[], "").await.json()["deleted"],
            true
        );
        let gone = gw.post(PATH, &next).await;
        assert_eq!(
            (gone.status.as_u16(), &gone.json()["error"]["code"]),
            (404, &json!("previous_response_not_found"))
        );
    }
    let unstored = gw
        .post(
            PATH,
            &json!({"model": "a:text-x", "input": "x", "store": false}),
        )
        .await;
    let path = format!("{PATH}/{}", unstored.json()["id"].as_str().unwrap());
    assert_eq!(gw.call(Method::GET, &path, &[], "").await.status, 404);
}

#[tokio::test]
async fn earlier_items_are_known_by_their_ids() {
    let up = Upstream::start().await;
    let gw = gateway(&up).await;
    let tools = json!([{"type": "function", "name": "bash"}]);
    for stream in [false, true] {
        let ask = json!({"model": "a:tool-x", "input": "first", "stream": stream, "tools": tools});
        let res = gw.post(PATH, &ask).await;
        let first: Value = if stream {
            res.events().pop().unwrap()["response"].clone()
        } else {
            res.json()
        };
        let mut input = vec![json!({"role": "user", "content": "first"})];
        for item in first["output"].as_array().unwrap() {
            input.push(json!({"type": "item_reference", "id": item["id"]}));
        }
        let call = &first["output"][1];
        input.push(
            json!({"type": "function_call_output", "call_id": call["call_id"], "output": "done"}),
        );
        let next = json!({"model": "o:text-x", "input": input, "tools": tools});
        let res = gw.post(PATH, &next).await;
        assert_eq!(res.status, 200, "{}", res.text());
        let seen = &up.last().body["messages"];
        let made = &seen[1]["tool_calls"][0];
        assert_eq!(made["function"]["name"], call["name"], "{seen}");
        assert_eq!(made["function"]["arguments"], call["arguments"]);
        assert_eq!(
            (&made["id"], &seen[2]["content"]),
            (&seen[2]["tool_call_id"], &json!("done"))
        );
    }
    let unknown = json!({"model": "a:text-x", "input": [{"type": "item_reference", "id": "fc_x"}, {"role": "user", "content": "hi"}]});
    let gone = gw.post(PATH, &unknown).await;
    assert_eq!(gone.status, 404);
    let error = &gone.json()["error"];
    let message = error["message"].as_str().unwrap();
    assert!(
        message.starts_with("Item with id 'fc_x' not found."),
        "{error}"
    );
    assert_eq!(
        (&error["param"], &error["type"]),
        (&json!("input"), &json!("invalid_request_error"))
    );
    // Who speaks it may know it.
    let raw = unknown.to_string().replace("a:text-x", "r:text-x");
    assert_eq!(
        gw.call(Method::POST, PATH, &[], raw.clone()).await.status,
        200
    );
    assert_eq!(up.last().raw, raw.replace("r:text-x", "text-x"));
}

#[tokio::test]
async fn errors_are_told_in_its_own_shape() {
    let up = Upstream::start().await;
    let gw = gateway(&up).await;
    let refused = gw
        .post(
            PATH,
            &json!({"model": "a:x", "input": "hi", "tools": [{"type": "computer"}]}),
        )
        .await;
    assert_eq!(
        (refused.status.as_u16(), &refused.json()["error"]["param"]),
        (400, &json!("tools"))
    );
    let limited = gw
        .post(PATH, &json!({"model": "a:e429", "input": "hi"}))
        .await;
    assert_eq!(
        (limited.status.as_u16(), &limited.json()["error"]["type"]),
        (429, &json!("rate_limit_error"))
    );
    // An error within a stream is its last event, numbered as is due.
    for (model, last) in [
        ("a:midfail", "response.failed"),
        ("a:cutoff", "error"),
        ("o:cutoff", "error"),
    ] {
        let broken = gw
            .post(
                PATH,
                &json!({"model": model, "input": "hi", "stream": true}),
            )
            .await;
        grammar::check(Dialect::Responses, &broken.bytes).unwrap();
        let events = broken.events();
        assert_eq!(events.last().unwrap()["type"], last, "{model}");
        let numbers: Vec<u64> = events
            .iter()
            .map(|e| e["sequence_number"].as_u64().unwrap())
            .collect();
        assert_eq!(
            numbers,
            (0..events.len() as u64).collect::<Vec<_>>(),
            "{model}"
        );
    }
    let counted = gw
        .post(
            "/v1/responses/input_tokens",
            &json!({"model": "a:text-x", "input": "hello there"}),
        )
        .await;
    assert_eq!(counted.json()["object"], "response.input_tokens");
    assert!(counted.json()["input_tokens"].as_u64().unwrap() > 0);
}
