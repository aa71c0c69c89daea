use super::*;
use crate::{
    frames::Frames,
    testing::{ask, reply},
};
use http::StatusCode;
use std::sync::Mutex;
use tierway_services::chat::{Notes, Reply, Response};
use tokio_test::{assert_pending, assert_ready_ok, task};
use tower_test::mock::{self, Handle, Spawn};

struct Bench {
    service: Spawn<BreakerService<mock::Mock<chat::Request, Response>>>,
    handle: Handle<chat::Request, Response>,
    layer: BreakerLayer,
    states: Arc<Mutex<Vec<&'static str>>>,
}

fn target() -> Target {
    Target::new("p", "m")
}

fn status(code: u16) -> Response {
    let mut res = reply("{}");
    *res.status_mut() = StatusCode::from_u16(code).unwrap();
    res
}

fn with_others() -> chat::Request {
    let mut req = ask("m", "hi");
    Notes::of_mut(&mut req).target = Some(target());
    let others = Alternatives::new([Target::new("q", "n")]);
    Notes::of_mut(&mut req).alternatives = Some(others);
    req
}

impl Bench {
    fn new(layer: BreakerLayer) -> Self {
        let states = Arc::new(Mutex::new(Vec::new()));
        let ear = states.clone();
        let layer = layer.on_change(move |_, state| ear.lock().unwrap().push(state.as_str()));
        let (service, handle) = mock::spawn_layer(layer.clone());
        Self {
            service,
            handle,
            layer,
            states,
        }
    }

    /// What the caller gets where the model would answer so; `None` where it was not asked.
    async fn call(&mut self, req: chat::Request, answer: Response) -> (bool, Response) {
        assert_ready_ok!(self.service.poll_ready());
        let mut call = task::spawn(self.service.call(req));
        let res = match call.poll() {
            Poll::Ready(res) => return (false, res.unwrap()),
            Poll::Pending => {
                let (_, send) = self.handle.next_request().await.unwrap();
                send.send_response(answer);
                assert_ready_ok!(call.poll())
            }
        };
        (true, res)
    }

    async fn asked(&mut self, code: u16) -> bool {
        self.call(with_others(), status(code)).await.0
    }

    async fn fail(&mut self, times: usize) {
        for _ in 0..times {
            self.asked(500).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn it_opens_probes_and_closes() {
    let mut b = Bench::new(BreakerLayer::new());
    b.fail(4).await;
    assert_eq!(b.layer.state(&target()), State::Closed);
    b.fail(1).await;
    assert_eq!(b.layer.state(&target()), State::Open);
    let (asked, res) = b.call(with_others(), status(200)).await;
    assert!(!asked && res.status() == 503);
    assert_eq!(res.headers()["retry-after"], "10");
    assert!(res.extensions().get::<Declined>().is_some());

    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(b.layer.state(&target()), State::HalfOpen);
    assert!(b.asked(200).await && b.asked(200).await);
    assert_eq!(b.layer.state(&target()), State::Closed);
    // What was before is forgotten.
    b.fail(4).await;
    assert_eq!(b.layer.state(&target()), State::Closed);
    assert_eq!(*b.states.lock().unwrap(), ["open", "half_open", "closed"]);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_fails_doubles_the_pause_up_to_the_longest() {
    let mut b = Bench::new(BreakerLayer::new().longest(Duration::from_secs(30)));
    b.fail(5).await;
    for seconds in [10, 20, 30, 30] {
        tokio::time::advance(Duration::from_secs(seconds - 1)).await;
        assert!(!b.asked(500).await, "{seconds}");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(b.asked(500).await, "{seconds}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_probe_at_a_time_and_one_that_leaves_gives_its_place_back() {
    let mut b = Bench::new(BreakerLayer::new());
    b.fail(5).await;
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_ready_ok!(b.service.poll_ready());
    let mut probe = task::spawn(b.service.call(with_others()));
    assert_pending!(probe.poll());
    let asked = b.handle.next_request().await.unwrap();
    assert!(!b.asked(200).await);
    drop((probe, asked));
    assert!(b.asked(200).await);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_count() {
    let mut b = Bench::new(BreakerLayer::new());
    for code in [400, 401, 403, 404, 413, 422, 501] {
        b.fail(0).await;
        for _ in 0..9 {
            assert!(b.asked(code).await, "{code}");
        }
    }
    // Where nobody else may answer, a 429 does not count either.
    for _ in 0..9 {
        let mut req = ask("m", "hi");
        Notes::of_mut(&mut req).target = Some(target());
        assert!(b.call(req, status(429)).await.0);
    }
    assert_eq!(b.layer.state(&target()), State::Closed);
    // Nor what nobody is bound to.
    for _ in 0..9 {
        assert!(b.call(ask("m", "hi"), status(500)).await.0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_429_counts_where_somebody_else_may_answer_and_its_time_is_kept() {
    let mut b = Bench::new(BreakerLayer::new());
    for _ in 0..5 {
        let mut res = status(429);
        res.headers_mut().insert("retry-after", 60.into());
        b.call(with_others(), res).await;
    }
    tokio::time::advance(Duration::from_secs(59)).await;
    assert!(!b.asked(200).await);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(b.asked(200).await);
    // A cascade's draft can be done without.
    let mut b = Bench::new(BreakerLayer::new());
    for n in 0..6 {
        let mut req = ask("m", "hi");
        Notes::of_mut(&mut req).target = Some(target());
        Notes::of_mut(&mut req).role = Role::Small;
        assert_eq!(b.call(req, status(429)).await.0, n < 5);
    }
}

#[tokio::test(start_paused = true)]
async fn it_takes_a_share_of_the_calls_of_late() {
    let mut b = Bench::new(BreakerLayer::new());
    for _ in 0..20 {
        b.asked(200).await;
    }
    b.fail(19).await;
    assert_eq!(b.layer.state(&target()), State::Closed);
    b.fail(1).await;
    assert_eq!(b.layer.state(&target()), State::Open);
    // Failures of long ago are none.
    let mut b = Bench::new(BreakerLayer::new());
    b.fail(4).await;
    tokio::time::advance(Duration::from_secs(31)).await;
    b.fail(1).await;
    assert_eq!(b.layer.state(&target()), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_stream_counts_when_it_ends() {
    use http_body_util::BodyExt;
    let mut b = Bench::new(BreakerLayer::new());
    for _ in 0..5 {
        let body = Frames::of(["data: 1\n\n"]).then_fail("reset");
        let res = b.call(with_others(), Response::new(Reply::stream(body)));
        let res = res.await.1;
        assert_eq!(b.layer.state(&target()), State::Closed);
        res.into_body().collect().await.unwrap_err();
    }
    assert_eq!(b.layer.state(&target()), State::Open);
    // One that is left after it has begun is good enough for a probe; one before is nothing.
    tokio::time::advance(Duration::from_secs(10)).await;
    for (begins, state) in [
        (false, State::HalfOpen),
        (true, State::HalfOpen),
        (true, State::Closed),
    ] {
        let body = Frames::of(["data: 1\n\n"]).then_wait();
        let res = b.call(with_others(), Response::new(Reply::stream(body)));
        let mut res = res.await.1;
        if begins {
            res.body_mut().frame().await.unwrap().unwrap();
        }
        drop(res);
        assert_eq!(b.layer.state(&target()), state);
    }
}

#[tokio::test(start_paused = true)]
async fn each_model_has_its_own_and_all_services_of_a_layer_share_them() {
    let mut b = Bench::new(BreakerLayer::new());
    b.fail(5).await;
    let mut req = ask("m", "hi");
    Notes::of_mut(&mut req).target = Some(Target::new("p", "other"));
    assert!(b.call(req, status(200)).await.0);
    let (mut twin, mut handle) = mock::spawn_layer::<chat::Request, Response, _>(b.layer.clone());
    assert_ready_ok!(twin.poll_ready());
    let mut call = task::spawn(twin.call(with_others()));
    assert_eq!(assert_ready_ok!(call.poll()).status(), 503);
    assert_pending!(handle.poll_request());
}

#[tokio::test(start_paused = true)]
async fn one_failure_is_enough_where_others_have_told() {
    let mut b = Bench::new(BreakerLayer::new());
    b.layer.suspect(&target(), Duration::from_secs(10));
    assert!(b.layer.is_suspected(&target()));
    // What works here is not left alone for what others say.
    assert!(b.call(with_others(), status(200)).await.0);
    assert_eq!(b.layer.state(&target()), State::Closed);
    b.fail(1).await;
    assert_eq!(b.layer.state(&target()), State::Open);
    // And only for as long as they have told.
    tokio::time::advance(Duration::from_secs(10)).await;
    for _ in 0..2 {
        assert!(b.call(with_others(), status(200)).await.0);
    }
    assert!(!b.layer.is_suspected(&target()));
    b.fail(1).await;
    assert_eq!(b.layer.state(&target()), State::Closed);
}

#[tokio::test]
async fn is_not_ready_when_the_inner_is_not() {
    let mut b = Bench::new(BreakerLayer::new());
    b.handle.allow(0);
    assert_pending!(b.service.poll_ready());
}
