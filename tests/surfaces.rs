//! The smaller surfaces: embeddings, legacy completions, single models, counts, signs of life.
use crate::support::{Gateway, Upstream, two_formats};
use http::Method;
use serde_json::json;
use tokio::net::TcpListener;

#[tokio::test]
async fn embeddings_go_to_the_model_that_is_named_or_to_the_default() {
    let up = Upstream::start().await;
    let extra =
        "[models]\n\"text-embedding-3-*\" = \"o:mapped\"\n[embeddings]\ndefault = \"o:nomic\"\n";
    let gw = Gateway::start(&two_formats(&up, extra)).await;
    for (asked, answered) in [
        ("o:bge-m3", "bge-m3"),
        ("text-embedding-3-small", "mapped"),
        // A tier serves nobody here: vectors of two models cannot be compared.
        ("auto", "nomic"),
        ("tierway/complex", "nomic"),
        ("gpt-5", "nomic"),
        ("ada", "nomic"),
        // Served under its own name, because a tier is bound to it.
        ("text-small", "text-small"),
    ] {
        let res = gw
            .post(
                "/v1/embeddings",
                &json!({"model": asked, "input": ["a", "b"]}),
            )
            .await;
        assert_eq!(res.status, 200, "{asked}: {}", res.text());
        assert_eq!(res.header("x-tierway-model"), answered, "{asked}");
        assert_eq!(res.header("x-tierway-tier"), "direct");
        assert_eq!(up.last().body["model"], answered);
        assert_eq!(res.json()["data"].as_array().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn embeddings_without_a_model_for_them_are_refused_in_openais_words() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&two_formats(&up, "")).await;
    for (body, status, code, words) in [
        (
            json!({"model": "auto", "input": "a"}),
            404,
            "model_not_found",
            "embeddings.default",
        ),
        (
            json!({"model": "a:x", "input": "a"}),
            501,
            "not_supported",
            "has no embeddings",
        ),
        (json!({"model": "o:x"}), 400, "", "input: field required"),
    ] {
        let res = gw.post("/v1/embeddings", &body).await;
        let error = &res.json()["error"];
        assert_eq!(res.status.as_u16(), status, "{error}");
        assert_eq!(error["code"].as_str().unwrap_or_default(), code);
        assert!(
            error["message"].as_str().unwrap().contains(words),
            "{error}"
        );
        assert_eq!(error["type"], "invalid_request_error");
    }
    assert!(up.seen().is_empty());
    let got = gw.call(Method::GET, "/v1/embeddings", &[], "").await;
    assert_eq!((got.status.as_u16(), got.header("allow")), (405, "POST"));
}

#[tokio::test]
async fn legacy_completions_pass_whole_and_streamed() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&two_formats(&up, "")).await;
    for stream in [false, true] {
        let ask = json!({"model": "o:text-x", "prompt": "Once", "stream": stream, "suffix": "end"});
        let res = gw.post("/v1/completions", &ask).await;
        assert_eq!(res.status, 200);
        assert!(res.text().contains("text_completion"), "{}", res.text());
        assert_eq!(up.last().body["suffix"], "end");
        if stream {
            assert_eq!(res.events().last().unwrap(), "[DONE]");
        }
    }
    let res = gw
        .post(
            "/v1/completions",
            &json!({"model": "a:text-x", "prompt": "Once"}),
        )
        .await;
    assert_eq!(res.status, 501);
}

#[tokio::test]
async fn single_models_are_found_by_any_spelling_of_their_path() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&two_formats(&up, "")).await;
    for (path, id) in [
        ("/v1/models/a:text-big", "a:text-big"),
        ("/v1/models/a%3Atext-big", "a:text-big"),
        ("/v1/models/tierway/complex", "tierway/complex"),
        ("/v1/models/tierway%2Fcomplex", "tierway/complex"),
        (
            "/v1/models/o:hf.co/org/model:Q4_K_M",
            "o:hf.co/org/model:Q4_K_M",
        ),
    ] {
        let res = gw.call(Method::GET, path, &[], "").await;
        assert_eq!(res.status, 200, "{path}");
        assert_eq!(res.json()["id"], id, "{path}");
    }
}

// Case 9: what Claude Code takes for "count it yourself".
#[tokio::test]
async fn counting_can_be_left_to_those_who_can() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&two_formats(&up, "[count_tokens]\nestimate = false\n")).await;
    let ask =
        |model: &str| json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
    let counted = gw.post("/v1/messages/count_tokens", &ask("a:text-x")).await;
    assert_eq!(counted.json()["input_tokens"], 42);
    let refused = gw.post("/v1/messages/count_tokens", &ask("o:text-x")).await;
    assert_eq!(refused.status, 501);
    assert_eq!(refused.json()["error"]["type"], "not_supported");
}

// Case 17: signs of life, and their end.
#[tokio::test]
async fn a_silent_stream_shows_signs_of_life_until_its_provider_is_given_up() {
    let up = Upstream::start().await;
    let extra = "[server]\nkeep_alive = \"100ms\"\n";
    let toml = two_formats(&up, extra);
    let slow =
        "[providers.a.timeouts]\nidle = \"450ms\"\n[providers.o.timeouts]\nidle = \"450ms\"\n";
    let gw = Gateway::start(&format!("{toml}{slow}")).await;
    let ask = |model: &str| json!({"model": model, "max_tokens": 9, "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    let res = gw.messages(&ask("a:hang-x")).await;
    let kinds: Vec<_> = res
        .events()
        .iter()
        .map(|e| e["type"].as_str().unwrap().to_owned())
        .collect();
    assert!(
        kinds.iter().filter(|k| *k == "ping").count() >= 3,
        "{kinds:?}"
    );
    assert_eq!(
        (kinds[0].as_str(), kinds.last().unwrap().as_str()),
        ("message_start", "error")
    );
    let res = gw.chat(&ask("o:hang-x")).await;
    assert!(
        res.text().matches(": keep-alive\n\n").count() >= 3,
        "{}",
        res.text()
    );
    assert!(
        res.events().last().unwrap()["error"]["message"]
            .as_str()
            .unwrap()
            .contains("silent")
    );
}

#[tokio::test]
async fn a_provider_that_says_nothing_at_all_is_waited_for_with_signs_of_life() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let toml = format!(
        "[server]\nkeep_alive = \"100ms\"\n[providers.a]\nkind = \"anthropic-compatible\"\nbase_url = \"{url}\"\n\
         [providers.a.timeouts]\nfirst_byte = \"450ms\"\n[tiers]\nsimple = \"a:m\"\n"
    );
    let gw = Gateway::start(&toml).await;
    let mut ask = json!({"model": "a:m", "max_tokens": 9, "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    let res = gw.messages(&ask).await;
    assert_eq!(
        (res.status.as_u16(), res.header("content-type")),
        (200, "text/event-stream")
    );
    for (name, known) in [
        ("x-tierway-tier", "direct"),
        ("x-tierway-reason", "named_model"),
        ("x-tierway-provider", "a"),
        ("x-tierway-model", "m"),
        ("x-tierway-cache", "bypass"),
        ("x-tierway-cascade", "off"),
    ] {
        assert!(res.header(name).starts_with(known), "{name}");
    }
    assert!(!res.header("x-request-id").is_empty());
    let events = res.events();
    assert!(events.len() >= 4, "{events:?}");
    let (error, pings) = events.split_last().unwrap();
    assert!(pings.iter().all(|e| e["type"] == "ping"), "{events:?}");
    assert_eq!(error["error"]["type"], "timeout_error");
    // Who asks for a whole answer is told by the status.
    ask["stream"] = false.into();
    assert_eq!(gw.messages(&ask).await.status, 504);
}

// Case 26.
#[tokio::test]
async fn what_cursor_posts_is_answered_as_a_chat_completion() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&two_formats(&up, "")).await;
    for model in ["o:tool-x", "a:tool-x"] {
        for stream in [false, true] {
            let ask = json!({"model": model, "stream": stream, "input": [{"role": "user", "content": "hi"}],
                "tools": [{"type": "function", "name": "bash", "parameters": {"type": "object"}}]});
            let res = gw.chat(&ask).await;
            assert_eq!(res.status, 200, "{}", res.text());
            let object = if stream {
                "chat.completion.chunk"
            } else {
                "chat.completion"
            };
            let first = if stream {
                res.events()[0].clone()
            } else {
                res.json()
            };
            assert_eq!(first["object"], object);
            assert!(up.last().body["messages"].is_array());
        }
    }
}

// Cases 4 and 29: what a Messages caller sees of a provider that tells its usage at the end and thinks under another name.
#[tokio::test]
async fn thoughts_and_usage_survive_the_crossing() {
    let up = Upstream::start().await;
    let gw = Gateway::start(&two_formats(&up, "")).await;
    let ask = |model: &str, stream: bool| json!({"model": model, "max_tokens": 9, "stream": stream, "messages": [{"role": "user", "content": "hi"}]});
    let whole = gw.messages(&ask("o:think-x", false)).await.json();
    assert_eq!(whole["content"][0]["thinking"], "Let me think.");
    assert_eq!(whole["usage"]["cache_read_input_tokens"], 5);
    let events = gw.messages(&ask("o:think-x", true)).await.events();
    assert!(
        events[0]["message"]["usage"]["input_tokens"]
            .as_u64()
            .unwrap()
            > 0,
        "an estimate, never nothing"
    );
    let thought = events
        .iter()
        .find(|e| e["delta"]["type"] == "thinking_delta");
    assert_eq!(thought.unwrap()["delta"]["thinking"], "Let me think.");
    let last = events
        .iter()
        .find(|e| e["type"] == "message_delta")
        .unwrap();
    assert_eq!(
        (
            &last["usage"]["input_tokens"],
            &last["usage"]["output_tokens"]
        ),
        (&json!(20), &json!(7))
    );
    let chat = gw.chat(&ask("a:think-x", false)).await.json();
    assert_eq!(
        chat["choices"][0]["message"]["reasoning_content"],
        "Let me think."
    );
    assert_eq!(chat["usage"]["prompt_tokens"], 25);
    let chunks = gw.chat(&ask("a:think-x", true)).await.events();
    assert!(
        chunks
            .iter()
            .any(|c| c["choices"][0]["delta"]["reasoning_content"] == "Let me think.")
    );
}
