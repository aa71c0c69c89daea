//! Asking further about a draft.
use super::{
    model::{Model, asking},
    *,
};
use crate::cascade::signals::Told;
use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};
use tierway_services::{
    chat::{Logprobs, Notes},
    dialect::Dialect,
};
use tower::ServiceExt;

/// Tells what it was told, and is sure.
struct Asks(Arc<Mutex<Told>>);
impl Confidence for Asks {
    async fn judge(&self, draft: &Draft<'_>) -> Verdict {
        let told = draft.told().await;
        assert_eq!(told, draft.told().await);
        *self.0.lock().unwrap() = told;
        Verdict::new(1.0, "told")
    }
}

/// The part that a call played, and its temperature.
type Asked = (Role, Option<f64>);

/// Says one number after the other, and counts whom it has answered; `None`: it never answers.
#[derive(Clone, Default)]
struct Numbers {
    says: Vec<Option<&'static str>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    open: Arc<AtomicUsize>,
}

impl tower::Service<Request> for Numbers {
    type Response = Response;
    type Error = &'static str;
    type Future = Pin<Box<dyn Future<Output = Result<Response, &'static str>> + Send>>;
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, req: Request) -> Self::Future {
        let role = Notes::of(&req).role;
        assert_eq!(Logprobs::of(&req).is_some(), role == Role::Small);
        let mut asked = self.asked.lock().unwrap();
        asked.push((role, req.body().facts().temperature));
        let place = match role {
            Role::Small => 0,
            _ => asked.iter().filter(|(r, _)| *r == Role::Sample).count(),
        };
        let said = self.says[place];
        struct Open(Arc<AtomicUsize>);
        impl Drop for Open {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        self.open.fetch_add(1, Ordering::SeqCst);
        let open = Open(self.open.clone());
        Box::pin(async move {
            let _open = open;
            match said {
                Some("fails") => Err("down"),
                Some(text) => Ok(says(text)),
                None => std::future::pending().await,
            }
        })
    }
}

fn sum() -> Request {
    let body = r#"{"model":"auto","temperature":0,"seed":7,"messages":[{"role":"user","content":"How many are 3 and 4 in total?"}]}"#;
    medium(chat_request(body)).0
}

async fn found(
    small: &Numbers,
    req: Request,
    set: impl FnOnce(CascadeLayer<Numbers, Asks>) -> CascadeLayer<Numbers, Asks>,
) -> (Told, String) {
    let told = Arc::new(Mutex::new(Told::default()));
    let layer = set(CascadeLayer::new(small.clone(), Asks(told.clone())));
    let big = tower::service_fn(|_: Request| std::future::ready(Ok::<_, &str>(says("big"))));
    let res = layer.layer(big).oneshot(req).await.unwrap();
    let told = *told.lock().unwrap();
    (told, cascade(&res).to_owned())
}

#[tokio::test]
async fn further_answers_agree_or_do_not() {
    for (says, agreement, header) in [
        (["It is 7.", "7", "= 7.0"], Some(1.0), "agreement=1.00"),
        (["It is 7.", "7", "8"], Some(0.5), "agreement=0.50"),
        (["It is 7.", "fails", "8"], Some(0.0), "agreement=0.00"),
        (["It is 7.", "fails", "fails"], None, "certified=no"),
    ] {
        let small = Numbers {
            says: says.map(Some).to_vec(),
            ..Numbers::default()
        };
        let (told, word) = found(&small, sum(), |l| l.samples(2)).await;
        assert_eq!((told.agreement, told.p_true), (agreement, None));
        assert!(
            word.starts_with("accepted; ") && word.ends_with(header),
            "{word}"
        );
        let asked = small.asked.lock().unwrap().clone();
        // What is asked again is warm, and the draft is not.
        assert_eq!(
            asked
                .iter()
                .filter(|a| **a == (Role::Small, Some(0.0)))
                .count(),
            1
        );
        assert_eq!(
            asked
                .iter()
                .filter(|a| **a == (Role::Sample, Some(0.7)))
                .count(),
            2
        );
    }
}

#[tokio::test]
async fn words_agree_in_what_they_say() {
    let long = |word: &str| {
        format!(
            "{word} {}",
            "is what riders lean on, wheel after wheel ".repeat(8)
        )
    };
    let one: &'static str = long("steering").leak();
    let other: &'static str = long("balance").leak();
    for (says, agreement, like) in [
        (
            ["By steering.", "Steering does it.", "Spinning wheels."],
            Some(0.5),
            None,
        ),
        ([one, one, other], None, Some(0.9..1.0)),
    ] {
        let small = Numbers {
            says: says.map(Some).to_vec(),
            ..Numbers::default()
        };
        let req = medium(ask("auto", "How does a bicycle stay upright?")).0;
        let (told, _) = found(&small, req, |l| l.samples(2)).await;
        assert_eq!(told.agreement, agreement, "{says:?}");
        match (told.likeness, like) {
            (Some(told), Some(range)) => assert!(range.contains(&told), "{told}"),
            (told, like) => assert_eq!(told.is_some(), like.is_some()),
        }
    }
}

#[tokio::test]
async fn a_model_is_asked_whether_the_draft_is_right() {
    let asked = |word: &'static str, logprobs: &'static [(f64, f64)]| {
        Judge::new(tower::service_fn(move |req: Request| async move {
            assert_eq!(Notes::of(&req).role, Role::Judge);
            let text = String::from_utf8_lossy(req.body().raw()).into_owned();
            assert!(
                text.contains("3 and 4") && text.contains("It is 7."),
                "{text}"
            );
            Logprobs::of(&req)
                .unwrap()
                .extend(
                    logprobs
                        .iter()
                        .map(|(own, other)| tierway_services::chat::Logprob {
                            token: word.to_owned(),
                            logprob: own.ln(),
                            runner_up: Some(other.ln()),
                        }),
                );
            Ok::<_, &str>(says(word))
        }))
    };
    for (word, logprobs, p) in [
        ("True", &[(0.6, 0.2)][..], Some(0.75)),
        ("false.", &[(0.6, 0.2)], Some(0.25)),
        ("True", &[], Some(2.0 / 3.0)),
        ("The answer is.", &[(0.6, 0.2)], None),
    ] {
        let small = Numbers {
            says: vec![Some("It is 7.")],
            ..Numbers::default()
        };
        let judge = asked(word, logprobs);
        let (told, header) = found(&small, sum(), |l| l.verify(Some(judge))).await;
        match (told.p_true, p) {
            (Some(told), Some(p)) => assert!((told - p).abs() < 1e-9, "{word}: {told}"),
            (told, p) => assert_eq!(told, p, "{word}"),
        }
        assert_eq!(header.contains("p_true="), p.is_some(), "{header}");
    }
}

#[tokio::test(start_paused = true)]
async fn further_answers_end_with_the_call_and_with_its_deadline() {
    let slow = || Numbers {
        says: vec![Some("It is 7."), None, None],
        ..Numbers::default()
    };
    let small = slow();
    let limit = Some(Duration::from_millis(50));
    let (_, word) = found(&small, sum(), |l| l.samples(2).max_added_latency(limit)).await;
    assert_eq!(word, "deferred; reason=deadline");
    assert_eq!(small.open.load(Ordering::SeqCst), 0);

    let small = slow();
    let asking = tokio::time::timeout(
        Duration::from_millis(50),
        found(&small, sum(), |l| l.samples(2)),
    );
    assert!(asking.await.is_err());
    assert_eq!(small.open.load(Ordering::SeqCst), 0);

    // Nobody waits for them where the draft is broken.
    let small = Numbers {
        says: vec![Some(""), None],
        ..Numbers::default()
    };
    let predicate = Asks(Arc::default()).vetoed_by(Vetoes::default());
    let layer = CascadeLayer::new(small.clone(), predicate).samples(1);
    let big = tower::service_fn(|_: Request| std::future::ready(Ok::<_, &str>(says("big"))));
    let res = layer.layer(big).oneshot(sum()).await.unwrap();
    assert!(cascade(&res).contains("reason=empty"));
    assert_eq!(small.open.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn streams_are_drawn_again_too() {
    let told = Arc::new(Mutex::new(Told::default()));
    let small = Model::says(Dialect::Messages, "(B)");
    let big = Model::says(Dialect::Messages, "C");
    let mut req = asking(Dialect::Messages);
    let body = r#"{"model":"auto","stream":true,"max_tokens":9,"messages":[{"role":"user","content":"Which? (A) one (B) two (C) three"}]}"#;
    *req.body_mut() = crate::testing::messages_request(body).into_body();
    let layer = CascadeLayer::new(small.clone(), Asks(told.clone()))
        .streams(true)
        .samples(3);
    let res = layer.layer(big).oneshot(req).await.unwrap();
    assert!(
        cascade(&res).ends_with("agreement=1.00"),
        "{}",
        cascade(&res)
    );
    assert_eq!((small.asked(), small.open()), (4, 0));
}
