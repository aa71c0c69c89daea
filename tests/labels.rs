//! What the cascade learns, from socket to socket: kept drafts are compared, labels are kept, the model is replaced, callers are heard.
use crate::support::{Answer, Gateway, Upstream, two_formats};
use http::Method;
use serde_json::{Value, json};
use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};
use tierway::{
    labels::{Label, Source, model_file},
    layers::classify::TierModel,
    services::chat::Tier,
};

/// A cascade whose big model is `a:{big}` and whose small one, `o:tool-draft`, calls the tool that it is offered.
async fn gateway(up: &Upstream, folder: &Path, big: &str, more: &str) -> Gateway {
    let at = |name: &str| folder.join(name).display().to_string();
    let extra = format!(
        "[cascade]\nenabled = true\nsmall = \"o:tool-draft\"\ntools = true\nstreams = \"buffer\"\nstay_big = 0\nmodel = '{}'\n\
         [labels]\nenabled = true\nfile = '{}'\nshadow_share = 1\nalpha = 0.2\n{more}\n\
         [prices.\"a:{big}\"]\ninput = 1\noutput = 10\n[prices.\"o:tool-draft\"]\ninput = 0.1\noutput = 0.1\n",
        at("model"),
        at("labels"),
    );
    let toml = two_formats(up, &extra).replace("a:text-big", &format!("a:{big}"));
    Gateway::start(&toml).await
}

/// No two of these are the same to the prompt cache.
fn ask(n: usize) -> Value {
    json!({"model": "tierway/complex", "max_tokens": 100, "messages": [{"role": "user", "content": format!("Echo the number {n}.")}],
        "tools": [{"name": "bash", "input_schema": {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}}]})
}

fn labels(folder: &Path) -> Vec<Label> {
    let text = fs::read_to_string(folder.join("labels")).unwrap_or_default();
    text.lines().filter_map(Label::from_line).collect()
}

/// Waits until something has been written down.
async fn until(what: impl Fn() -> bool) -> bool {
    for _ in 0..500 {
        if what() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}

async fn feedback(gw: &Gateway, body: Value) -> Answer {
    gw.post("/v1/feedback", &body).await
}

#[tokio::test]
async fn kept_drafts_are_compared_and_the_model_learns_and_promises() {
    let (up, folder) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let gw = gateway(&up, folder.path(), "tool-big", "learn_every = 60").await;
    for n in 0..60 {
        let answer = gw.messages(&ask(n)).await;
        let told = answer.header("x-tierway-cascade");
        assert!(
            told.starts_with("accepted") && told.ends_with("reason=prior; certified=no"),
            "{told}"
        );
        // In flight are four at most.
        assert!(until(|| labels(folder.path()).len() > n).await, "{n}");
    }
    // Both models were asked, and the caller got the small one's answer.
    let big = |seen: &&crate::support::upstream::Seen| seen.body["model"] == "tool-big";
    assert_eq!(up.seen().iter().filter(big).count(), 60);
    let kept = labels(folder.path());
    assert!(
        kept.iter()
            .all(|l| l.source == Source::Agreement && l.accepted && !l.is_harm())
    );
    assert!(kept[0].propensity == Some(1.0) && kept[0].big_cost > kept[0].small_cost);
    let text = fs::read_to_string(folder.path().join("labels")).unwrap();
    assert!(
        !text.contains("Echo") && !text.contains("bash"),
        "no text is kept"
    );

    let model = folder.path().join("model");
    assert!(until(|| model.exists()).await);
    assert_eq!(model_file::read(&model).unwrap().revision(), 1);
    // The threshold is the lowest score that was learned from: now and then a new one lies below it, and is rightly deferred.
    let mut told = String::new();
    for n in 60..160 {
        let answer = gw.messages(&ask(n)).await;
        told = answer.header("x-tierway-cascade").to_owned();
        if told.starts_with("accepted") && told.contains("learned") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(
        told.starts_with("accepted") && told.ends_with("reason=learned; certified=0.2/0.1"),
        "{told}"
    );

    // Another process starts with it.
    let again = gateway(&up, folder.path(), "tool-big", "").await;
    let answer = again.messages(&ask(1000)).await;
    assert!(
        answer
            .header("x-tierway-cascade")
            .ends_with("certified=0.2/0.1")
    );
}

#[tokio::test]
async fn nobody_waits_for_a_comparison_and_the_day_has_its_bound() {
    let (up, folder) = (Upstream::start().await, tempfile::tempdir().unwrap());
    // Silent after its head: a comparison with it never ends.
    let gw = gateway(&up, folder.path(), "hang-big", "shadow_in_flight = 2").await;
    let start = Instant::now();
    for n in 0..8 {
        let mut body = ask(n);
        body["stream"] = true.into();
        let answer = gw.messages(&body).await;
        assert!(answer.header("x-tierway-cascade").starts_with("accepted"));
    }
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
    let big = |up: &Upstream| {
        up.seen()
            .iter()
            .filter(|s| s.body["model"] == "hang-big")
            .count()
    };
    assert!(until(|| big(&up) == 2).await);
    assert_eq!(big(&up), 2);

    // 100 tokens of output for 10 dollars a million, and some input: a tenth of a cent and a bit is set aside for each.
    let (up, folder) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let gw = gateway(
        &up,
        folder.path(),
        "tool-big",
        "shadow_usd_per_day = 0.0012",
    )
    .await;
    for n in 0..20 {
        gw.messages(&ask(n)).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(until(|| !labels(folder.path()).is_empty()).await);
    let kept = labels(folder.path());
    let spent: f64 = kept.iter().map(|l| l.big_cost).sum();
    assert!(
        spent <= 0.0012 && kept.len() < 20,
        "{} cost {spent}",
        kept.len()
    );
}

#[tokio::test]
async fn callers_tell_how_good_an_answer_was() {
    let (up, folder) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let gw = gateway(&up, folder.path(), "tool-big", "shadow_usd_per_day = 0\n[[keys]]\nkey = \"ka\"\ntenant = \"a\"\n[[keys]]\nkey = \"kb\"\ntenant = \"b\"").await;
    let json = ("content-type", "application/json");
    let post = async |key: &str, path: &str, body: Value| {
        let key = format!("Bearer {key}");
        let headers = [json, ("authorization", key.as_str())];
        gw.call(Method::POST, path, &headers, body.to_string())
            .await
    };
    let answer = post("ka", "/v1/messages", ask(1)).await;
    assert!(
        answer.header("x-tierway-cascade").starts_with("accepted"),
        "{:?}",
        answer.headers
    );
    let id = answer.header("x-request-id").to_owned();
    // Nobody without a key, and nobody else.
    assert_eq!(
        feedback(&gw, json!({"request_id": id, "good": false}))
            .await
            .status,
        401
    );
    let other = post(
        "kb",
        "/v1/feedback",
        json!({"request_id": id, "good": false}),
    )
    .await;
    assert_eq!(other.status, 404);
    for wrong in [
        json!({"request_id": id}),
        json!({"good": true}),
        json!({"request_id": id, "score": 2}),
    ] {
        let answer = post("ka", "/v1/feedback", wrong).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["error"]["type"]),
            (400, &json!("invalid_request_error"))
        );
    }
    let told = post(
        "ka",
        "/v1/feedback",
        json!({"request_id": id, "good": false}),
    )
    .await;
    assert_eq!(
        (told.status.as_u16(), &told.json()["recorded"]),
        (200, &json!(true))
    );
    assert!(until(|| labels(folder.path()).len() == 1).await);
    let label = labels(folder.path()).remove(0);
    assert_eq!(
        (label.source, label.propensity, label.id),
        (Source::Feedback, None, id)
    );
    assert!(label.quality.unwrap().small == 0.0);
    let got = gw
        .call(
            Method::GET,
            "/v1/feedback",
            &[("authorization", "Bearer ka")],
            "",
        )
        .await;
    assert_eq!(got.status, 405);
}

#[tokio::test]
async fn what_is_not_certified_may_be_deferred_and_is_compared_for_nothing() {
    let (up, folder) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let at = folder.path().join("labels");
    let extra = format!(
        "[cascade]\nenabled = true\nsmall = \"o:text-draft\"\nuncertified = \"defer\"\nstay_big = 0\n[labels]\nenabled = true\nshadow_share = 0\nfile = '{}'\n",
        at.display()
    );
    let gw = Gateway::start(&two_formats(&up, &extra)).await;
    let body = json!({"model": "tierway/complex", "max_tokens": 9, "messages": [{"role": "user", "content": "Where is Paris?"}]});
    let answer = gw.messages(&body).await;
    let told = answer.header("x-tierway-cascade").to_owned();
    assert!(
        told.starts_with("deferred") && told.contains("reason=uncertified"),
        "{told}"
    );
    assert!(until(|| labels(folder.path()).len() == 1).await);
    let label = labels(folder.path()).remove(0);
    assert_eq!(
        (label.source, label.accepted, label.propensity),
        (Source::Overlap, false, Some(1.0))
    );
    let id = answer.header("x-request-id");
    // The big model answered: that tells about its tier, not about the draft.
    let told = feedback(&gw, json!({"request_id": id, "score": 1})).await;
    assert_eq!(
        (told.status.as_u16(), &told.json()["recorded"]),
        (200, &json!(true))
    );
    assert!(until(|| labels(folder.path()).len() == 2).await);
    assert_eq!(labels(folder.path())[1].answered, Some(Tier::Complex));
}

/// Everyday asks, which go to the medium tier before anything is learned. No two are the same to the prompt cache.
fn everyday(n: usize) -> Value {
    const ASKS: &[&str] = &[
        "Write unit tests for the date parser in src/dates.rs",
        "Implement a function that merges two sorted lists",
        "Add pagination to the orders endpoint and cover it with tests",
        "Write a script that renames all photos by their date",
    ];
    let text = format!("{}, part {n}", ASKS[n % ASKS.len()]);
    json!({"model": "auto", "max_tokens": 100, "messages": [{"role": "user", "content": text}]})
}

/// A gateway whose simple tier is the cascade's small model; `tool-` models answer everyday asks with the same words.
async fn tiers(up: &Upstream, folder: &Path, more: &str) -> Gateway {
    let at = |name: &str| folder.join(name).display().to_string();
    let extra = format!(
        "[cascade]\nenabled = true\nstreams = \"buffer\"\nstay_big = 0\nmodel = '{}'\n[affinity]\nenabled = false\n\
         [labels]\nenabled = true\nfile = '{}'\ntiers_model = '{}'\nshadow_usd_per_day = 0\n{more}\n",
        at("model"),
        at("labels"),
        at("tiers"),
    );
    Gateway::start(&two_formats(up, &extra)).await
}

#[tokio::test]
async fn what_callers_tell_moves_asks_to_another_tier_and_a_restart_keeps_it() {
    let (up, folder) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let gw = tiers(&up, folder.path(), "learn_every = 80").await;
    let first = gw.messages(&everyday(0)).await;
    assert_eq!(
        first.header("x-tierway-tier"),
        "medium",
        "{:?}",
        first.headers
    );
    for n in 1..=80 {
        let answer = gw.messages(&everyday(n)).await;
        let id = answer.header("x-request-id");
        // Whoever answered: here the simple tier's model would do.
        let told = feedback(&gw, json!({"request_id": id, "good": true})).await;
        assert_eq!(told.status, 200);
    }
    let file = folder.path().join("tiers");
    assert!(
        until(|| file.exists()).await,
        "{:?}",
        labels(folder.path()).len()
    );
    let mut tier = String::new();
    for n in 100..150 {
        let answer = gw.messages(&everyday(n)).await;
        tier = format!(
            "{} {}",
            answer.header("x-tierway-tier"),
            answer.header("x-tierway-reason")
        );
        if tier.starts_with("simple") {
            break;
        }
    }
    assert!(
        tier.starts_with("simple ") && tier.contains("; learned:1/"),
        "{tier}"
    );
    // What no label was about is where it was.
    let proof = json!({"model": "auto", "max_tokens": 9, "messages": [{"role": "user", "content": "Prove that the square root of 2 is irrational."}]});
    let answer = gw.messages(&proof).await;
    assert_eq!(answer.header("x-tierway-tier"), "reasoning");

    let again = tiers(&up, folder.path(), "").await;
    let answer = again.messages(&everyday(1000)).await;
    assert_eq!(answer.header("x-tierway-tier"), "simple");
    // Somebody else writes other weights: they are put to work while it runs.
    let shipped = TierModel::shipped().with_revision(9);
    tierway::labels::tiers::write(&file, &shipped).unwrap();
    let back = Instant::now();
    loop {
        let answer = again
            .messages(&everyday(2000 + back.elapsed().as_millis() as usize))
            .await;
        if answer.header("x-tierway-tier") == "medium" {
            break;
        }
        assert!(
            back.elapsed() < Duration::from_secs(10),
            "{:?}",
            answer.headers
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
