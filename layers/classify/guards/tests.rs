//! Where calls go that a model cannot take.
use super::*;
use crate::{
    tenants::Allowance,
    testing::{ask, chat_request, messages_request},
};
use serde_json::json;
use tierway_services::chat::{Notes, Tenant};

fn guarded(tier: Tier, fits: Fits) -> Guarded<impl Policy> {
    Guarded::new(
        move |_: &chat::Request| Some(Decision::new(tier, "test")),
        fits,
    )
}

fn told(decision: Option<Decision>) -> (Tier, String) {
    let decision = decision.unwrap();
    (decision.tier, decision.to_string())
}

fn window(context: u64) -> Fit {
    Fit {
        context: Some(context),
        ..Fit::default()
    }
}

fn long(bytes: usize, max_tokens: Option<u64>) -> chat::Request {
    let mut body =
        json!({"model": "auto", "messages": [{"role": "user", "content": "x".repeat(bytes)}]});
    if let Some(n) = max_tokens {
        body["max_tokens"] = n.into();
    }
    messages_request(&body.to_string())
}

fn three() -> Fits {
    Fits::default()
        .tier(Tier::Simple, window(8_000))
        .tier(Tier::Medium, window(32_000))
        .tier(Tier::Complex, window(200_000))
}

#[test]
fn what_does_not_fit_goes_to_the_next_that_fits() {
    let policy = guarded(Tier::Simple, three());
    let of = |bytes, max| told(policy.classify(&long(bytes, max)));
    assert_eq!(of(3_000, None), (Tier::Simple, "test".into()));
    assert_eq!(
        of(30_000, None),
        (Tier::Medium, "test; guard:context".into())
    );
    // 10 000 tokens and 30 000 more are too much for the middle one.
    assert_eq!(of(60_000, Some(15_000)).0, Tier::Complex);
    assert_eq!(of(400_000, None).0, Tier::Complex);
    // More than anybody holds: the widest, and the provider judges.
    assert_eq!(
        of(2_000_000, None),
        (Tier::Complex, "test; guard:context:largest".into())
    );
    let down = guarded(
        Tier::Complex,
        Fits::default()
            .tier(Tier::Simple, window(900_000))
            .tier(Tier::Complex, window(8_000)),
    );
    assert_eq!(told(down.classify(&long(60_000, None))).0, Tier::Simple);
}

#[test]
fn close_to_a_limit_tokens_are_counted() {
    use std::sync::atomic::{AtomicU64, Ordering};
    let asked = Arc::new(AtomicU64::new(0));
    let counting = |tokens: u64| {
        let asked = asked.clone();
        guarded(Tier::Simple, three()).count(move |_| {
            asked.fetch_add(1, Ordering::Relaxed);
            Some(tokens).filter(|n| *n > 0)
        })
    };
    // 4,000 tokens are free in the smallest window. 13,500 bytes may be 4,500 tokens; counted, 3,300 and a fifth fit, 3,400 do not.
    let near = long(13_500, Some(4_000));
    let of = |tokens| told(counting(tokens).classify(&near));
    assert_eq!(
        of(3_300),
        (Tier::Simple, "test; guard:context:counted".into())
    );
    assert_eq!(
        of(3_400),
        (Tier::Medium, "test; guard:context:counted".into())
    );
    // 11,000 bytes fit by the estimate, and do not when they are counted.
    let dense = long(11_000, Some(4_000));
    assert_eq!(told(counting(5_000).classify(&dense)).0, Tier::Medium);
    assert_eq!(asked.swap(0, Ordering::Relaxed), 3, "once a call");
    // Who cannot count leaves it to the estimate.
    assert_eq!(of(0), (Tier::Medium, "test; guard:context".into()));
    // Far from any limit nobody counts.
    asked.store(0, Ordering::Relaxed);
    for bytes in [3_000, 40_000] {
        counting(1).classify(&long(bytes, Some(4_000)));
    }
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    let own = Fit {
        vocabulary: Some(100),
        ..window(8_000)
    };
    let policy = guarded(Tier::Simple, three().tier(Tier::Simple, own)).count(|_| Some(3_900));
    assert_eq!(told(policy.classify(&near)).0, Tier::Simple);
}

#[test]
fn a_limit_that_no_window_holds_counts_for_half_of_it() {
    let policy = guarded(Tier::Simple, three());
    assert_eq!(
        told(policy.classify(&long(4_000, Some(128_000)))).0,
        Tier::Simple
    );
    let clipped = Fit {
        max_output: Some(1000),
        ..window(8_000)
    };
    let policy = guarded(Tier::Simple, three().tier(Tier::Simple, clipped));
    assert_eq!(
        told(policy.classify(&long(18_000, Some(128_000)))).0,
        Tier::Simple
    );
}

#[test]
fn an_image_is_not_as_long_as_its_bytes() {
    let policy = guarded(Tier::Medium, three());
    let image = json!({"model": "auto", "max_tokens": 1000, "messages": [{"role": "user", "content": [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A".repeat(500_000)}}]}]});
    assert_eq!(
        told(policy.classify(&messages_request(&image.to_string()))).0,
        Tier::Medium
    );
}

#[test]
fn abilities_are_guarded_and_what_is_unknown_is_possible() {
    let no = Some(false);
    let blind = Fit {
        vision: no,
        documents: no,
        tools: no,
        structured_output: no,
        reasoning: no,
        ..Fit::default()
    };
    let fits = Fits::default()
        .tier(Tier::Medium, blind)
        .tier(Tier::Reasoning, Fit::default());
    // An unbound tier has the next bound one's model.
    let policy = guarded(Tier::Simple, fits);
    for (extra, content, note) in [
        (
            json!({}),
            json!([{"type": "image_url", "image_url": {"url": "data:,"}}]),
            "guard:vision",
        ),
        (
            json!({}),
            json!([{"type": "file", "file": {"file_data": "data:,"}}]),
            "guard:documents",
        ),
        (
            json!({"tools": [{"type": "function", "function": {"name": "f"}}]}),
            json!("hi"),
            "guard:tools",
        ),
        (
            json!({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}}),
            json!("hi"),
            "guard:structured_output",
        ),
        (
            json!({"reasoning_effort": "high"}),
            json!("hi"),
            "guard:reasoning",
        ),
    ] {
        let mut body = json!({"model": "auto", "messages": [{"role": "user", "content": content}]});
        body.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        let req = chat_request(&body.to_string());
        assert_eq!(
            told(policy.classify(&req)),
            (Tier::Reasoning, format!("test; {note}"))
        );
        assert_eq!(policy.explain(&req).decision, policy.classify(&req));
    }
    assert_eq!(
        told(policy.classify(&ask("auto", "hi"))),
        (Tier::Simple, "test".into())
    );
    let alone = guarded(Tier::Medium, Fits::default().tier(Tier::Medium, blind));
    let tools = chat_request(
        r#"{"model":"auto","messages":[],"tools":[{"type":"function","function":{"name":"f"}}]}"#,
    );
    assert_eq!(
        told(alone.classify(&tools)),
        (Tier::Medium, "test; guard:tools:nobody".into())
    );
    assert_eq!(
        told(guarded(Tier::Simple, Fits::default()).classify(&tools)).1,
        "test"
    );
}

#[test]
fn a_harness_asks_for_thinking_whatever_it_asks() {
    let fits = Fits::default()
        .tier(
            Tier::Simple,
            Fit {
                reasoning: Some(false),
                ..Fit::default()
            },
        )
        .tier(Tier::Complex, Fit::default());
    let policy = guarded(Tier::Simple, fits);
    let mut req = messages_request(
        r#"{"model":"auto","thinking":{"type":"adaptive"},"messages":[{"role":"user","content":"hi"}]}"#,
    );
    assert_eq!(told(policy.classify(&req)).0, Tier::Complex);
    let agent = http::HeaderValue::from_static("claude-cli/2.1.330");
    req.headers_mut().insert("user-agent", agent);
    assert_eq!(told(policy.classify(&req)).0, Tier::Simple);
}

#[test]
fn a_tenant_is_moved_only_to_what_it_may_use() {
    let interns = Allowance::default().tiers([Tier::Simple, Tier::Medium]);
    let policy =
        guarded(Tier::Simple, three()).tenants(Tenants::default().with("interns", interns));
    let mut req = long(300_000, None);
    assert_eq!(told(policy.classify(&req)).0, Tier::Complex);
    Notes::of_mut(&mut req).tenant = Some(Tenant::new("interns"));
    assert_eq!(
        told(policy.classify(&req)),
        (Tier::Medium, "test; guard:context:largest".into())
    );
}
