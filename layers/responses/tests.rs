use super::*;
use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt;
use std::{convert::Infallible, sync::Mutex, time::Duration};
use tierway_services::chat::Notes;
use tower::{ServiceBuilder, ServiceExt, service_fn};

type Seen = Arc<Mutex<Vec<String>>>;

fn answer(id: &str) -> String {
    format!(
        r#"{{"id":"{id}","object":"response","status":"completed","output":[{{"type":"message","role":"assistant","content":[{{"type":"output_text","text":"said {id}"}}]}}]}}"#
    )
}

/// A service that answers `resp_1`, `resp_2`, ... and notes what it was asked.
fn numbered(
    seen: &Seen,
    layer: &ResponsesLayer<Memory>,
    kept_there: bool,
) -> impl Service<chat::Request, Response = chat::Response, Error = Infallible> + Clone + use<> {
    let seen = seen.clone();
    ServiceBuilder::new()
        .layer(layer.clone())
        .service(service_fn(move |req: chat::Request| {
            let mut seen = seen.lock().unwrap();
            seen.push(String::from_utf8(req.body().raw().to_vec()).unwrap());
            let whole = answer(&format!("resp_{}", seen.len()));
            let mut res = if req.body().facts().stream {
                let event: String = format!(
                    "event: response.completed\ndata: {{\"type\":\"response.completed\",\"response\":{whole}}}\n\n"
                );
                chat::Response::new(Reply::stream(crate::frames::Frames::of([
                    "event: response.created\ndata: {\"type\":\"response.created\"}\n\n",
                    event.leak(),
                ])))
            } else {
                chat::Response::new(Reply::whole(whole))
            };
            if kept_there {
                res.extensions_mut().insert(KeptUpstream);
            }
            std::future::ready(Ok(res))
        }))
}

fn memory() -> ResponsesLayer<Memory> {
    ResponsesLayer::new(Memory::new(1 << 20, Duration::from_secs(60)))
}

fn ask(body: &str) -> chat::Request {
    let body = Bytes::copy_from_slice(body.as_bytes());
    chat::Request::new(Prompt::parse(Dialect::Responses, Operation::Generate, body).unwrap())
}

async fn text(res: chat::Response) -> String {
    let body = res.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test]
async fn a_conversation_goes_on_whole_and_streamed() {
    let (seen, layer) = (Seen::default(), memory());
    let service = numbered(&seen, &layer, false);
    let calls = [
        r#"{"model":"m","input":"one","stream":true}"#,
        r#"{"model":"m","previous_response_id":"resp_1","input":[{"role":"user","content":"two"}]}"#,
        r#"{"model":"m","previous_response_id":"resp_2"}"#,
    ];
    for call in calls {
        text(service.clone().oneshot(ask(call)).await.unwrap()).await;
    }
    let seen = seen.lock().unwrap();
    assert_eq!(
        seen[0], calls[0],
        "what goes on from nothing is not touched"
    );
    let said = |n| {
        format!(
            r#"{{"type":"message","role":"assistant","content":[{{"type":"output_text","text":"said resp_{n}"}}]}}"#
        )
    };
    let one = r#"{"type":"message","role":"user","content":[{"type":"input_text","text":"one"}]}"#;
    let two = r#"{"role":"user","content":"two"}"#;
    assert_eq!(
        seen[1],
        format!(
            r#"{{"model":"m","previous_response_id":null,"input":[{one},{},{two}]}}"#,
            said(1)
        )
    );
    assert_eq!(
        seen[2],
        format!(
            r#"{{"model":"m","previous_response_id":null,"input":[{one},{},{two},{}]}}"#,
            said(1),
            said(2)
        )
    );
}

#[tokio::test]
async fn what_is_not_to_be_kept_is_not() {
    let (seen, layer) = (Seen::default(), memory());
    let desk = layer.desk();
    let unstored = r#"{"model":"m","input":"x","store":false}"#;
    numbered(&seen, &layer, false)
        .oneshot(ask(unstored))
        .await
        .unwrap();
    numbered(&seen, &layer, true)
        .oneshot(ask(r#"{"model":"m","input":"x"}"#))
        .await
        .unwrap();
    for id in ["resp_1", "resp_2"] {
        let res = desk.answer(&Method::GET, id, None, None).await;
        assert_eq!(res.status(), 404, "{id}");
    }
    // An id that is not known here may be known there.
    let call = r#"{"model":"m","previous_response_id":"resp_x","input":"x"}"#;
    numbered(&seen, &layer, false)
        .oneshot(ask(call))
        .await
        .unwrap();
    assert_eq!(seen.lock().unwrap()[2], call);
}

#[tokio::test]
async fn answers_are_served_by_id_to_their_tenant() {
    let (seen, layer) = (Seen::default(), memory());
    let desk = layer.desk();
    let alice = Tenant::new("alice");
    let mut call = ask(r#"{"model":"m","input":"one"}"#);
    Notes::of_mut(&mut call).tenant = Some(alice.clone());
    numbered(&seen, &layer, false).oneshot(call).await.unwrap();

    let get = |path: &'static str, tenant| desk.answer(&Method::GET, path, None, tenant);
    assert_eq!(get("resp_1", None).await.status(), 404);
    assert_eq!(
        text(get("resp_1", Some(&alice)).await).await,
        answer("resp_1")
    );
    let items = text(get("resp_1/input_items", Some(&alice)).await).await;
    let items: serde_json::Value = serde_json::from_str(&items).unwrap();
    assert_eq!(items["data"][0]["content"][0]["text"], "one");
    assert_eq!(items["has_more"], false);
    let cancelled = desk
        .answer(&Method::POST, "resp_1/cancel", None, Some(&alice))
        .await;
    assert_eq!(text(cancelled).await, answer("resp_1"));
    let streamed = desk
        .answer(&Method::GET, "resp_1", Some("stream=true"), Some(&alice))
        .await;
    assert!(
        text(streamed)
            .await
            .contains("event: response.output_text.delta\n")
    );
    assert_eq!(
        desk.answer(&Method::PUT, "resp_1", None, Some(&alice))
            .await
            .status(),
        405
    );
    assert_eq!(get("resp_1/nonsense", Some(&alice)).await.status(), 404);

    let deleted = desk
        .answer(&Method::DELETE, "resp_1", None, Some(&alice))
        .await;
    assert_eq!(
        text(deleted).await,
        r#"{"deleted":true,"id":"resp_1","object":"response"}"#
    );
    assert_eq!(get("resp_1", Some(&alice)).await.status(), 404);
}

/// An answer of one call, `fc_1`, asked by a message with an id.
const CALLED: &str = r#"{"id":"resp_1","status":"completed","output":[{"id":"fc_1","type":"function_call","call_id":"c","name":"f","arguments":"{}"}]}"#;
const ASKED: &str = r#"{"id":"msg_0","role":"user","content":"one"}"#;

async fn kept(layer: &ResponsesLayer<Memory>, tenant: Option<Tenant>, response: &str) {
    let recording = Recording {
        store: layer.store.clone(),
        tenant,
        input: ASKED.to_owned(),
    };
    recording.keep(response.as_bytes()).await;
}

fn refers(ids: &[&str], rest: &str) -> String {
    let items: Vec<String> = ids
        .iter()
        .map(|id| format!(r#"{{ "type":"item_reference", "id":"{id}" }}"#))
        .collect();
    format!(r#"{{"model":"m", "input":[ {} ]{rest}}}"#, items.join(", "))
}

#[tokio::test]
async fn items_are_put_where_they_are_named() {
    let (seen, layer) = (Seen::default(), memory());
    kept(&layer, None, CALLED).await;
    let call = r#"{"id":"fc_1","type":"function_call","call_id":"c","name":"f","arguments":"{}"}"#;
    let service = numbered(&seen, &layer, false);
    let ask = |body: String| service.clone().oneshot(ask(&body));
    // Whether or not this answer is to be kept; what is not known here is passed on.
    ask(refers(&["msg_0", "rs_x", "fc_1"], r#","store":false"#))
        .await
        .unwrap();
    let unknown = refers(&["rs_x", "rs_x"], r#","store":false"#);
    ask(unknown.clone()).await.unwrap();
    {
        let seen = seen.lock().unwrap();
        let passed = r#"{ "type":"item_reference", "id":"rs_x" }"#;
        let whole =
            format!(r#"{{"model":"m", "input":[ {ASKED}, {passed}, {call} ],"store":false}}"#);
        assert_eq!(*seen, [whole, unknown]);
    }
    // Kept as it was asked, and so found again once its first answer is forgotten.
    ask(refers(&["msg_0", "fc_1"], "")).await.unwrap();
    layer
        .desk()
        .answer(&Method::DELETE, "resp_1", None, None)
        .await;
    ask(refers(&["fc_1"], r#","previous_response_id":"resp_3""#))
        .await
        .unwrap();
    let seen = seen.lock().unwrap();
    let last = seen.last().unwrap();
    assert_eq!(last.matches(call).count(), 2, "{last}");
    assert_eq!(last.matches("said resp_3").count(), 1, "{last}");
}

#[tokio::test]
async fn items_are_their_tenants_and_go_with_their_answer() {
    let (seen, layer) = (Seen::default(), memory());
    let alice = Tenant::new("alice");
    kept(&layer, Some(alice.clone()), CALLED).await;
    let service = numbered(&seen, &layer, false);
    let of = |tenant: Option<&Tenant>, body: &str| {
        let mut call = ask(body);
        Notes::of_mut(&mut call).tenant = tenant.cloned();
        service.clone().oneshot(call)
    };
    let call = refers(&["fc_1"], r#","store":false"#);
    for stranger in [None, Some(&Tenant::new("bob"))] {
        of(stranger, &call).await.unwrap();
        assert_eq!(seen.lock().unwrap().last(), Some(&call));
    }
    // An item is no answer, and no answer is an item.
    let desk = layer.desk();
    for (method, id) in [(Method::GET, "fc_1"), (Method::DELETE, "fc_1")] {
        let res = desk.answer(&method, id, None, Some(&alice)).await;
        assert_eq!(res.status(), 404);
    }
    let answer = refers(&["resp_1"], r#","store":false"#);
    of(Some(&alice), &answer).await.unwrap();
    assert_eq!(seen.lock().unwrap().last(), Some(&answer));

    let twice = of(Some(&alice), &refers(&["fc_1", "fc_1"], ""))
        .await
        .unwrap();
    assert_eq!(twice.status(), 400);
    assert!(
        text(twice)
            .await
            .contains("Duplicate item found with id fc_1.")
    );

    of(Some(&alice), &call).await.unwrap();
    assert_ne!(seen.lock().unwrap().last(), Some(&call));
    desk.answer(&Method::DELETE, "resp_1", None, Some(&alice))
        .await;
    of(Some(&alice), &call).await.unwrap();
    assert_eq!(seen.lock().unwrap().last(), Some(&call));
}
