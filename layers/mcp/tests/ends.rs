//! Calls that end early.
use super::*;
use http_body_util::BodyExt;
use std::time::Duration;
use tierway_services::chat::Usd;

#[tokio::test]
async fn rounds_end() {
    let tools = Tools::default();
    let again = || says("", &[NOW]);
    let model = Model::new([again(), again(), says("Enough.", &[])]);
    let limits = Limits {
        rounds: 3,
        ..Limits::default()
    };
    let service = model.under(layer(&tools).limits(limits));
    let whole = answer(&service, ask(HELLO, false)).await;
    assert_eq!(whole["content"][0]["text"], "Enough.");
    assert!(!model.asked(1).contains("tool_choice"));
    assert!(model.asked(2).contains(r#""tool_choice":{"type":"none"}"#));
    // A model that calls in spite of that gets no more.
    let model = Model::new([again(), again(), again()]);
    let service = model.under(layer(&tools).limits(limits));
    let whole = answer(&service, ask(HELLO, false)).await;
    assert_eq!(model.rounds(), 3);
    assert_eq!(whole["stop_reason"], "end_turn");
}

#[tokio::test]
async fn calls_and_money_end() {
    let tools = Tools::default();
    let few = Limits {
        calls: 1,
        ..Limits::default()
    };
    let poor = Limits {
        cost: Usd::ZERO,
        ..Limits::default()
    };
    for (limits, word, run) in [(few, "no more calls", 0), (poor, "no more money", 0)] {
        tools.calls.lock().unwrap().clear();
        let two = says("", &[NOW, ("t2", "mcp__time__now", "{}")]);
        let model = Model::new([two, says("Well.", &[])]);
        let service = model.under(layer(&tools).limits(limits));
        let req = ask(HELLO, false);
        Journal::of(&req).unwrap().write(|entries| {
            let target = "p:m".parse().unwrap();
            let mut attempt = chat::Attempt::new(target, chat::Role::Only);
            attempt.cost = Some(Usd::from_dollars(0.1));
            entries.attempts.push(attempt);
        });
        answer(&service, req).await;
        assert!(model.asked(1).contains(word), "{}", model.asked(1));
        assert!(model.asked(1).contains(r#""tool_choice":{"type":"none"}"#));
        assert_eq!(tools.calls.lock().unwrap().len(), run);
    }
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_hangs_does_not_hang_the_call() {
    let tools = Tools::default();
    let model = Model::new([
        says("", &[("h", "mcp__time__wait", "{}")]),
        says("Late.", &[]),
    ]);
    let limits = Limits {
        time: Duration::from_secs(2),
        ..Limits::default()
    };
    let service = model.under(layer(&tools).limits(limits));
    let whole = answer(&service, ask(HELLO, false)).await;
    assert_eq!(whole["content"][0]["text"], "Late.");
    assert!(model.asked(1).contains("no more time"));
    assert_eq!(tools.waiting.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn who_leaves_hangs_up_on_the_tools() {
    let tools = Tools::default();
    let model = Model::new([says("Wait.", &[("h", "mcp__time__wait", "{}")])]);
    let service = model.under(layer(&tools));
    let req = ask(HELLO, true);
    let journal = Journal::of(&req).unwrap().clone();
    let res = service.clone().oneshot(req).await.unwrap();
    let mut reply = res.into_body();
    let mut shown = 0;
    let read = async {
        while let Some(frame) = reply.frame().await {
            shown += frame.unwrap().into_data().unwrap().len();
        }
    };
    let left = tokio::time::timeout(Duration::from_millis(50), read).await;
    assert!(
        left.is_err() && shown > 0,
        "what was said is there while the tool runs"
    );
    assert_eq!(tools.waiting.load(Ordering::SeqCst), 1);
    drop(reply);
    assert_eq!(tools.waiting.load(Ordering::SeqCst), 0);
    journal.read(|entries| assert_eq!(entries.tool_runs[0].outcome, "abandoned"));
}
