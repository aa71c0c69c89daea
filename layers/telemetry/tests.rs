use super::*;
use crate::frames::Frames;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use std::sync::{Arc, Mutex};
use tierway_services::{
    chat::{
        Attempt, AttemptEnd, CacheStatus, CascadeStatus, Journal, Role, Target, Tier, Usage, Usd,
    },
    dialect::Dialect,
    prices::{Price, PriceList},
};
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};
use tower_layer::Layer;
use tower_test::mock::{self, Handle, Spawn};

type Req = Request<Full<Bytes>>;
type Res = Response<Frames>;
type Answer = task::Spawn<ResponseFuture<mock::future::ResponseFuture<Res>>>;

const CHAT: &str = "/v1/chat/completions";
const EVENTS: &str = "text/event-stream";

/// A layer, its mocked service, and what the metrics say.
struct Bench {
    service: Spawn<Telemetry<mock::Mock<Req, Res>>>,
    handle: Handle<Req, Res>,
    metrics: PrometheusHandle,
    outcomes: Arc<Mutex<Vec<&'static str>>>,
}

fn layer() -> TelemetryLayer {
    let dear = Price {
        input: Usd::per_million(2.0),
        output: Usd::per_million(10.0),
        ..Price::FREE
    };
    let prices = PriceList::empty().with_override("big", dear);
    TelemetryLayer::new(prices.with_free_provider("home")).baseline(Target::new("cloud", "big"))
}

fn bench(recorder: &PrometheusRecorder, layer: TelemetryLayer) -> Bench {
    let outcomes = Arc::new(Mutex::new(Vec::new()));
    let layer = layer.on_end({
        let outcomes = outcomes.clone();
        move |call| outcomes.lock().unwrap().push(call.outcome.as_str())
    });
    let (service, mut handle) = mock::spawn_layer(layer);
    handle.allow(1000);
    Bench {
        service,
        handle,
        metrics: recorder.handle(),
        outcomes,
    }
}

impl Bench {
    /// Calls, and gives the answer under way with what the inner service got.
    async fn call(&mut self, path: &str) -> (Answer, Req, mock::SendResponse<Res>) {
        assert_ready_ok!(self.service.poll_ready::<Req>());
        let req = Request::post(path).header("x-request-id", "r1");
        let mut answer = task::spawn(self.service.call(req.body(Full::default()).unwrap()));
        assert_pending!(answer.poll());
        let (req, answerer) = self.handle.next_request().await.unwrap();
        (answer, req, answerer)
    }
    /// Calls, and answers with `body`.
    async fn answer(
        &mut self,
        path: &str,
        kind: &str,
        body: Frames,
    ) -> Response<ResponseBody<Frames>> {
        let (mut answer, _, answerer) = self.call(path).await;
        let res = Response::builder().header("content-type", kind);
        answerer.send_response(res.body(body).unwrap());
        assert_ready_ok!(answer.poll())
    }
    #[track_caller]
    fn shows(&self, line: &str) {
        let all = self.metrics.render();
        assert!(all.lines().any(|l| l == line), "{line}\nis not in\n{all}");
    }
    fn outcomes(&self) -> Vec<&'static str> {
        self.outcomes.lock().unwrap().clone()
    }
}

/// A leaf's body, which writes its attempt down when it is dropped, as `Dispatch` does.
fn leaf(journal: &Journal, attempt: Attempt, body: Frames) -> Frames {
    let journal = journal.clone();
    body.on_drop(move || journal.write(|e| e.attempts.push(attempt)))
}

fn attempt(target: &str, role: Role, input: u64, output: u64) -> Attempt {
    let mut attempt = Attempt::new(target.parse().unwrap(), role);
    attempt.end = AttemptEnd::Complete;
    attempt.usage = Some(Usage {
        input,
        output,
        ..Usage::default()
    });
    attempt
}

#[tokio::test]
async fn a_call_is_counted_once_its_body_is_gone() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let mut b = bench(&recorder, layer());
    let (mut answer, req, answerer) = b.call("/v1/messages?beta=true").await;
    let journal = Journal::of(&req).unwrap().clone();
    journal.write(|e| {
        e.requested_model = Some("auto".into());
        e.tier = Some(Tier::Medium);
        e.target = Some("cloud:big".parse().unwrap());
        e.cache = Some(CacheStatus::Miss);
        e.cascade = Some(CascadeStatus::new(false, Some(0.2), 0.85, "truncated"));
        e.attempts.push(attempt("home:tiny", Role::Small, 70, 7));
    });
    let body = leaf(
        &journal,
        attempt("cloud:big", Role::Big, 1000, 100),
        Frames::of(["data: 1\n\n", "data: 2\n\n"]),
    );
    let res = Response::builder().header("content-type", EVENTS);
    answerer.send_response(res.body(body).unwrap());
    let res = assert_ready_ok!(answer.poll());
    drop(answer);
    b.shows("tierway_requests_in_flight 1");
    assert!(b.outcomes().is_empty(), "the head is not the end");

    let all = res.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(all, "data: 1\n\ndata: 2\n\n");
    for line in [
        r#"tierway_requests_total{dialect="messages",tier="medium",provider="cloud",outcome="ok"} 1"#,
        "tierway_requests_in_flight 0",
        r#"tierway_tokens_total{kind="input",provider="cloud",role="big"} 1000"#,
        r#"tierway_tokens_total{kind="output",provider="home",role="small"} 7"#,
        r#"tierway_cost_usd_total{provider="cloud",role="big"} 0.003"#,
        r#"tierway_cost_usd_total{provider="home",role="small"} 0"#,
        "tierway_baseline_usd_total 0.003",
        r#"tierway_saved_usd_total{cause="cascade"} 0"#,
        r#"tierway_extra_cost_usd_total{cause="deferral"} 0"#,
        r#"tierway_cache_total{status="miss"} 1"#,
        r#"tierway_cascade_total{outcome="deferred",reason="truncated",certified="no"} 1"#,
        r#"tierway_request_seconds_count{dialect="messages",tier="medium"} 1"#,
        r#"tierway_time_to_first_byte_seconds_count{dialect="messages",tier="medium"} 1"#,
        r#"tierway_attempt_seconds_count{provider="cloud",role="big"} 1"#,
    ] {
        b.shows(line);
    }
    assert_eq!(b.outcomes(), ["ok"]);
}

#[tokio::test]
async fn the_record_tells_what_happened() {
    let told = Arc::new(Mutex::new(0));
    let layer = layer().on_end({
        let told = told.clone();
        move |call| {
            assert_eq!(call.request_id.unwrap(), "r1");
            assert_eq!((call.dialect, call.tier), (Dialect::ChatCompletions, None));
            assert_eq!(call.target, Some(&"cloud:big".parse().unwrap()));
            assert_eq!(call.status.unwrap(), 200);
            assert_eq!(call.cost, Some(Usd::from_dollars(0.003)));
            assert_eq!(call.entries.attempts.len(), 1);
            assert!(call.first_byte.unwrap() <= call.total);
            *told.lock().unwrap() += 1;
        }
    });
    let (mut service, mut handle) = mock::spawn_layer::<Req, Res, _>(layer);
    handle.allow(1);
    assert_ready_ok!(service.poll_ready::<Req>());
    let req = Request::post(CHAT).header("x-request-id", "r1");
    let mut answer = task::spawn(service.call(req.body(Full::default()).unwrap()));
    let (req, answerer) = handle.next_request().await.unwrap();
    let attempt = attempt("cloud:big", Role::Only, 1000, 100);
    let body = leaf(Journal::of(&req).unwrap(), attempt, Frames::of(["{}"]));
    answerer.send_response(Response::new(body));
    assert_ready_ok!(answer.poll())
        .into_body()
        .collect()
        .await
        .unwrap();
    assert_eq!(*told.lock().unwrap(), 1);
}

#[tokio::test]
async fn whoever_leaves_is_counted_as_cancelled() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let mut b = bench(&recorder, layer());
    // Before the head.
    let (answer, _, _answerer) = b.call(CHAT).await;
    drop(answer);
    // After the head, in the middle, and when all but the end has come.
    drop(b.answer(CHAT, EVENTS, Frames::of(["a", "b"])).await);
    let mut res = b.answer(CHAT, EVENTS, Frames::of(["a", "b"])).await;
    res.body_mut().frame().await.unwrap().unwrap();
    drop(res);
    let res = b.answer(CHAT, EVENTS, Frames::of(["a"]).then_wait()).await;
    let mut body = task::spawn(res.into_body().collect());
    assert_pending!(body.poll());
    drop(body);
    assert_eq!(b.outcomes(), ["cancelled"; 4]);
    b.shows(
        r#"tierway_requests_total{dialect="chat",tier="none",provider="none",outcome="cancelled"} 4"#,
    );
    b.shows("tierway_requests_in_flight 0");
}

#[tokio::test]
async fn every_face_of_an_end_is_one() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _recording = metrics::set_default_local_recorder(&recorder);
    // A body that says so after its last frame, or at birth: a server polls no further.
    for body in ["whole", ""] {
        let records = Arc::new(Mutex::new(Vec::new()));
        let hear = records.clone();
        let layer = layer().on_end(move |r| hear.lock().unwrap().push(r.outcome));
        let (inner, mut handle) = mock::pair::<Req, Response<Full<Bytes>>>();
        handle.allow(1);
        let mut service = Spawn::new(layer.layer(inner));
        assert_ready_ok!(service.poll_ready::<Req>());
        let req = Request::post(CHAT).body(Full::default()).unwrap();
        let mut answer = task::spawn(service.call(req));
        let (_, answerer) = handle.next_request().await.unwrap();
        answerer.send_response(Response::new(Full::from(body)));
        let mut res = assert_ready_ok!(answer.poll());
        assert_eq!(res.body().size_hint().exact(), Some(body.len() as u64));
        if !body.is_empty() {
            res.body_mut().frame().await.unwrap().unwrap();
        }
        assert!(res.body().is_end_stream());
        drop(res);
        assert_eq!(*records.lock().unwrap(), [Outcome::Ok], "{body:?}");
    }
    // A body whose length was promised.
    let mut b = bench(&recorder, layer());
    let (mut answer, _, answerer) = b.call(CHAT).await;
    let res = Response::builder().header("content-length", 2);
    answerer.send_response(res.body(Frames::of(["a", "b", "never asked for"])).unwrap());
    let mut res = assert_ready_ok!(answer.poll());
    for _ in 0..2 {
        res.body_mut().frame().await.unwrap().unwrap();
    }
    drop(res);
    // And errors, after the head and before it.
    let res = b
        .answer(CHAT, EVENTS, Frames::of(["a"]).then_fail("reset"))
        .await;
    res.into_body().collect().await.unwrap_err();
    let (mut answer, _, answerer) = b.call(CHAT).await;
    answerer.send_error("down");
    assert_ready_err!(answer.poll());
    drop(answer);
    assert_eq!(b.outcomes(), ["ok", "cut", "internal_error"]);
}

#[tokio::test]
async fn only_chat_calls_count() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let mut b = bench(&recorder, layer());
    for path in ["/v1/models", "/v1/messages/count_tokens", "/mine"] {
        let (answer, req, _) = b.call(path).await;
        assert!(Journal::of(&req).is_none());
        drop(answer);
    }
    assert_eq!(b.metrics.render(), "");
    let mut b = bench(&recorder, layer().dialect(Dialect::Messages));
    drop(b.call("/mine").await);
    assert_eq!(b.outcomes(), ["cancelled"]);
}

#[tokio::test]
async fn embeddings_are_counted_and_billed_under_their_own_name() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let mut bench = bench(&recorder, layer());
    let (mut answer, req, answerer) = bench.call("/v1/embeddings").await;
    let journal = Journal::of(&req).unwrap().clone();
    journal.write(|j| j.target = Some(Target::new("cloud", "big")));
    let body = leaf(
        &journal,
        attempt("cloud:big", Role::Only, 1000, 0),
        Frames::of(["vectors"]),
    );
    answerer.send_response(Response::new(body));
    drop(assert_ready_ok!(answer.poll()).into_body().collect().await);
    bench.shows(r#"tierway_requests_total{dialect="embeddings",tier="direct",provider="cloud",outcome="ok"} 1"#);
    bench.shows(r#"tierway_tokens_total{kind="input",provider="cloud",role="only"} 1000"#);
    // Nothing is said to be saved where nothing was chosen.
    bench.shows("tierway_baseline_usd_total 0.002");
}

#[tokio::test]
async fn an_unknown_price_is_not_nothing() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let mut b = bench(&recorder, layer());
    let (mut answer, req, answerer) = b.call(CHAT).await;
    let journal = Journal::of(&req).unwrap();
    let body = leaf(
        journal,
        attempt("cloud:new", Role::Only, 5, 6),
        Frames::of([]),
    );
    answerer.send_response(Response::new(body));
    assert_ready_ok!(answer.poll())
        .into_body()
        .collect()
        .await
        .unwrap();
    b.shows(r#"tierway_unpriced_tokens_total{provider="cloud"} 11"#);
    b.shows("tierway_baseline_usd_total 0");
    assert!(!b.metrics.render().contains(names::COST));
}

#[tokio::test]
async fn clones_share_one_sum_and_too_many_providers_one_series() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let layer = layer();
    let mut stacks = [bench(&recorder, layer.clone()), bench(&recorder, layer)];
    for i in 0..300 {
        // Tokio makes channels look empty to a task that does not yield for long.
        tokio::task::yield_now().await;
        let b = &mut stacks[i % 2];
        let (mut answer, req, answerer) = b.call(CHAT).await;
        let journal = Journal::of(&req).unwrap();
        let attempt = attempt(&format!("p{i}:big"), Role::Only, 500_000, 0);
        answerer.send_response(Response::new(leaf(journal, attempt, Frames::of([]))));
        assert_ready_ok!(answer.poll())
            .into_body()
            .collect()
            .await
            .unwrap();
    }
    let b = &stacks[0];
    b.shows("tierway_baseline_usd_total 300");
    b.shows(r#"tierway_cost_usd_total{provider="p255",role="only"} 1"#);
    b.shows(r#"tierway_cost_usd_total{provider="other",role="only"} 44"#);
}

#[tokio::test]
async fn is_not_ready_when_the_inner_service_is_not() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let mut b = bench(&recorder, layer());
    b.handle.allow(0);
    assert_pending!(b.service.poll_ready::<Req>());
}

#[test]
fn every_name_is_described() {
    let money = names::ALL.iter().filter(|m| m.kind == names::Kind::Money);
    assert!(money.map(|m| m.name).eq(names::MONEY));
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, || {
        describe();
        for metric in names::ALL {
            let ours = ["tierway_", "gen_ai_"];
            assert!(ours.iter().any(|ours| metric.name.starts_with(ours)));
            assert!(metric.help.ends_with('.'));
            let sums = matches!(metric.kind, names::Kind::Counter | names::Kind::Money);
            assert_eq!(metric.name.ends_with("_total"), sums, "{}", metric.name);
        }
    });
}

#[tokio::test]
async fn what_is_done_beside_a_call_is_an_extra_cost() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let layer = layer();
    let journal = Journal::default();
    journal.write(|e| {
        e.attempts
            .push(attempt("cloud:big", Role::Shadow, 1000, 100));
    });
    layer.meter().count(&journal);
    let all = recorder.handle().render();
    let value = |name: &str| {
        let line = all.lines().find(|l| l.starts_with(name)).unwrap();
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    let cost = value(r#"tierway_cost_usd_total{provider="cloud",role="shadow"}"#);
    assert!(cost > 0.0, "{all}");
    let extra = value(r#"tierway_extra_cost_usd_total{cause="shadow"}"#);
    assert!((cost - extra).abs() < 1e-12);
    assert!(value("tierway_baseline_usd_total").abs() < 1e-12);
}
