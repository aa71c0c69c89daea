//! Calls that ask the same at the same time.
use super::*;
mod leaf;
use leaf::{Fed, Leaf, feed};

use std::sync::Mutex;
use tokio::sync::Notify;
use tokio_test::{assert_ready, task::Spawn};
use tower::BoxError as AnyError;

type Told = Result<Response, AnyError>;

fn told() -> (Request, Journal) {
    let mut req = ask(json!({"stream": true, "stream_options": {"include_usage": true}}));
    let journal = Journal::default();
    Notes::of_mut(&mut req).journal = Some(journal.clone());
    (req, journal)
}

fn call<S>(svc: &S, req: Request) -> Spawn<impl Future<Output = Told> + use<S>>
where
    S: Service<Request, Response = Response, Error = AnyError, Future: Send> + Clone,
{
    task::spawn(svc.clone().oneshot(req))
}

fn next(body: &mut Spawn<Reply>) -> Poll<Option<String>> {
    let frame = body.enter(|cx, body| body.poll_frame(cx));
    frame.map(|f| f.map(|f| String::from_utf8(f.unwrap().into_data().unwrap().to_vec()).unwrap()))
}

fn attempts(journal: &Journal) -> Vec<AttemptEnd> {
    journal.read(|j| j.attempts.iter().map(|a| a.end).collect())
}

fn status(journal: &Journal) -> Option<CacheStatus> {
    journal.read(|j| j.cache)
}

/// The leaf's answer in the events of [`events`].
async fn send_all(frames: &tokio::sync::mpsc::Sender<Result<Bytes, &'static str>>, from: usize) {
    for event in events(true).into_iter().skip(from) {
        frames.send(Ok(event.into())).await.unwrap();
    }
}

#[tokio::test]
async fn one_upstream_call_and_frames_as_they_come() {
    let leaf = Leaf::default();
    let svc = layer().layer(leaf.clone());
    let fed = feed(&leaf);
    let ((one, paying), (two, saving)) = (told(), told());
    let (mut one, mut two) = (call(&svc, one), call(&svc, two));
    assert_pending!(one.poll());
    assert_pending!(two.poll());
    assert_eq!((leaf.expected(), svc.flights.count()), (0, 1));
    let frames = fed.streams();
    // Whoever is polled drives it on; the other is woken.
    assert!(one.is_woken() || two.is_woken());
    let two = assert_ready_ok!(two.poll());
    assert!(one.is_woken());
    let one = assert_ready_ok!(one.poll());
    assert_eq!((cache(&one), cache(&two)), ("miss", "coalesced"));
    assert_eq!(two.headers()[CONTENT_TYPE], one.headers()[CONTENT_TYPE]);
    let (mut one, mut two) = (task::spawn(one.into_body()), task::spawn(two.into_body()));
    let all = events(true);
    for (n, event) in all.iter().enumerate() {
        assert_pending!(next(&mut one));
        assert_pending!(next(&mut two));
        frames.send(Ok(event.clone().into())).await.unwrap();
        assert!(one.is_woken() && two.is_woken());
        let (first, second) = if n % 2 == 0 {
            (&mut one, &mut two)
        } else {
            (&mut two, &mut one)
        };
        assert_eq!(assert_ready!(next(first)).as_ref(), Some(event));
        assert_eq!(assert_ready!(next(second)).as_ref(), Some(event));
    }
    // Late, and of all forms.
    let (late, _) = told();
    let late = assert_ready_ok!(call(&svc, late).poll());
    assert_eq!(cache(&late), "coalesced");
    let mut whole = call(&svc, plain());
    assert_pending!(whole.poll());
    drop(frames);
    assert_eq!(assert_ready!(next(&mut two)), None);
    assert_eq!(assert_ready!(next(&mut one)), None);
    assert!(one.is_end_stream() && two.is_end_stream());
    assert_eq!(body(late).await, all.concat());
    let whole = assert_ready_ok!(whole.poll());
    assert_eq!(cache(&whole), "coalesced");
    assert!(body(whole).await.contains("good morning"));
    // One pays, the others have saved it.
    assert_eq!(attempts(&paying), [AttemptEnd::Complete]);
    assert_eq!(attempts(&saving), []);
    assert_eq!(status(&paying), Some(CacheStatus::Miss));
    assert_eq!(status(&saving), Some(CacheStatus::Coalesced));
    let saved = saving.read(|j| j.replayed.clone()).unwrap();
    assert_eq!((saved.1.input, saved.1.output), (7, 2));
    assert!(paying.read(|j| j.replayed.is_none()));
    assert_eq!(svc.flights.count(), 0);
    assert_eq!(cache(&svc.oneshot(plain()).await.unwrap()), "hit");
}

#[tokio::test]
async fn a_leader_who_leaves_hands_over() {
    // Before the head, and in the midst of the answer.
    for early in [true, false] {
        let leaf = Leaf::default();
        let svc = layer().layer(leaf.clone());
        let fed = feed(&leaf);
        let ((one, left), (two, stays)) = (told(), told());
        let (mut one, mut two) = (call(&svc, one), call(&svc, two));
        assert_pending!(one.poll());
        assert_pending!(two.poll());
        let frames = if early {
            drop(one);
            assert!(two.is_woken());
            assert_pending!(two.poll());
            fed.streams()
        } else {
            let frames = fed.streams();
            let mut one = task::spawn(assert_ready_ok!(one.poll()).into_body());
            frames
                .send(Ok(events(true).remove(0).into()))
                .await
                .unwrap();
            assert!(assert_ready!(next(&mut one)).is_some());
            assert_pending!(next(&mut one));
            drop(one);
            frames
        };
        send_all(&frames, usize::from(!early)).await;
        drop(frames);
        let res = assert_ready_ok!(two.poll());
        assert_eq!(body(res).await, events(true).concat());
        assert_eq!(
            (attempts(&left), attempts(&stays)),
            (vec![], vec![AttemptEnd::Complete])
        );
        assert_eq!(status(&stays), Some(CacheStatus::Miss), "it pays now");
        assert!(stays.read(|j| j.replayed.is_none()));
        assert_eq!(cache(&svc.oneshot(plain()).await.unwrap()), "hit");
    }
}

#[tokio::test]
async fn the_upstream_call_goes_with_the_last() {
    let leaf = Leaf::default();
    let svc = layer().layer(leaf.clone());
    let fed = feed(&leaf);
    let ((one, first), (two, last)) = (told(), told());
    let (mut one, mut two) = (call(&svc, one), call(&svc, two));
    assert_pending!(one.poll());
    assert_pending!(two.poll());
    let frames = fed.streams();
    let one = assert_ready_ok!(one.poll());
    let two = assert_ready_ok!(two.poll());
    drop(one);
    assert!(!frames.is_closed());
    drop(two);
    assert!(frames.is_closed());
    assert_eq!(
        (attempts(&first), attempts(&last)),
        (vec![], vec![AttemptEnd::Cancelled])
    );
    assert_eq!(svc.flights.count(), 0);
    // Alone, too.
    let fed = feed(&leaf);
    let (only, journal) = told();
    let mut only = call(&svc, only);
    assert_pending!(only.poll());
    drop(only);
    assert!(fed.head.is_closed());
    assert_eq!(attempts(&journal), [AttemptEnd::Cancelled]);
    assert_eq!(status(&journal), Some(CacheStatus::Miss));
}

#[tokio::test]
async fn a_leader_who_fails_fails_alone() {
    let refused = || {
        let mut res = says("no");
        *res.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        Ok(res)
    };
    for failure in [&(|| Err("reset".into())) as &dyn Fn() -> Told, &refused] {
        let leaf = Leaf::default();
        let svc = layer().layer(leaf.clone());
        let (bad, good) = (feed(&leaf), feed(&leaf));
        let ((one, _), (two, journal), (three, _)) = (told(), told(), told());
        let (mut one, mut two, mut three) = (call(&svc, one), call(&svc, two), call(&svc, three));
        assert_pending!(one.poll());
        assert_pending!(two.poll());
        assert_pending!(three.poll());
        drop(bad.head.send(failure()));
        assert_pending!(two.poll());
        assert_pending!(three.poll());
        match assert_ready!(one.poll()) {
            Ok(res) => assert_eq!((res.status().as_u16(), cache(&res)), (429, "miss")),
            Err(error) => assert_eq!(error.to_string(), "reset"),
        }
        assert_eq!(leaf.expected(), 0, "one of the others has asked again");
        let frames = good.streams();
        send_all(&frames, 0).await;
        drop(frames);
        let (two, three) = (assert_ready_ok!(two.poll()), assert_ready_ok!(three.poll()));
        assert_eq!((cache(&two), cache(&three)), ("miss", "coalesced"));
        assert_eq!(body(three).await, events(true).concat());
        assert_eq!(body(two).await, events(true).concat());
        assert_eq!(attempts(&journal), [AttemptEnd::Complete]);
    }
}

#[tokio::test]
async fn an_answer_of_another_model_is_its_callers_alone() {
    let leaf = Leaf::default();
    let svc = layer().layer(leaf.clone());
    let (first, second) = (feed(&leaf), feed(&leaf));
    let (mut one, mut two) = (call(&svc, plain()), call(&svc, plain()));
    assert_pending!(one.poll());
    assert_pending!(two.poll());
    let mut other = says("from the other model");
    let failed = Target::new("p", "real");
    other.extensions_mut().insert(FellBack(failed));
    drop(first.head.send(Ok(other)));
    let one = assert_ready_ok!(one.poll());
    assert_eq!(cache(&one), "miss");
    // The model that the other one has asked for may be there again: it is asked anew, and its answer is kept.
    assert_pending!(two.poll());
    drop(second.head.send(Ok(says("from the model itself"))));
    let two = assert_ready_ok!(two.poll());
    assert_eq!(cache(&two), "miss");
    assert!(body(two).await.contains("from the model itself"));
    let third = svc.oneshot(plain()).await.unwrap();
    assert_eq!(cache(&third), "hit");
    assert!(body(third).await.contains("from the model itself"));
}

#[tokio::test]
async fn who_is_failed_twice_asks_alone() {
    let leaf = Leaf::default();
    let svc = layer().layer(leaf.clone());
    let mut calls: Vec<_> = (0..4).map(|_| call(&svc, plain())).collect();
    let fed: Vec<Fed> = (0..4).map(|_| feed(&leaf)).collect();
    calls.iter_mut().for_each(|c| assert_pending!(c.poll()));
    for (n, fed) in fed.into_iter().enumerate() {
        assert_eq!(
            leaf.expected(),
            [3, 2, 0, 0][n],
            "the last two no longer wait for each other"
        );
        drop(fed.head.send(Err("reset".into())));
        for call in calls.iter_mut().skip(n + 1) {
            assert_pending!(call.poll());
        }
        assert!(assert_ready!(calls[n].poll()).is_err());
    }
}

#[tokio::test]
async fn what_breaks_off_breaks_for_all_and_is_not_kept() {
    let leaf = Leaf::default();
    let svc = layer().layer(leaf.clone());
    let fed = feed(&leaf);
    let ((one, paying), (two, other)) = (told(), told());
    let (mut one, mut two) = (call(&svc, one), call(&svc, two));
    assert_pending!(one.poll());
    assert_pending!(two.poll());
    let frames = fed.streams();
    frames
        .send(Ok(events(true).remove(0).into()))
        .await
        .unwrap();
    frames.send(Err("reset")).await.unwrap();
    for call in [&mut one, &mut two] {
        let mut body = assert_ready_ok!(call.poll()).into_body();
        assert!(body.frame().await.unwrap().is_ok());
        let error = body.frame().await.unwrap().unwrap_err();
        assert!(error.to_string().contains("reset"), "{error}");
        assert!(body.frame().await.is_none());
    }
    assert_eq!(attempts(&paying), [AttemptEnd::Cancelled]);
    assert!(other.read(|j| j.cut && j.replayed.is_none() && j.attempts.is_empty()));
    let _fed = feed(&leaf);
    let (again, _) = told();
    assert_pending!(call(&svc, again).poll());
    assert_eq!(leaf.expected(), 0, "asked anew");
}

#[tokio::test]
async fn nobody_waits_for_the_slowest() {
    let leaf = Leaf::default();
    let svc = layer().max_entry(100).layer(leaf.clone());
    let fed = feed(&leaf);
    let (one, two, slow) = (told().0, told().0, told().0);
    let mut calls = [one, two, slow].map(|req| call(&svc, req));
    calls.iter_mut().for_each(|c| assert_pending!(c.poll()));
    let frames = fed.streams();
    let [mut one, mut two, mut slow] =
        calls.map(|mut c| task::spawn(assert_ready_ok!(c.poll()).into_body()));
    for n in 0..8 {
        frames.send(Ok(vec![b'0' + n; 40].into())).await.unwrap();
        for body in [&mut one, &mut two] {
            assert_eq!(assert_ready!(next(body)).unwrap(), n.to_string().repeat(40));
        }
    }
    let error = slow.frame().await.unwrap().unwrap_err();
    assert!(error.to_string().contains("did not keep up"), "{error}");
    assert!(slow.frame().await.is_none());
    let mut late = call(&svc, told().0);
    let _fed = feed(&leaf);
    assert_pending!(late.poll());
    assert_eq!(
        leaf.expected(),
        0,
        "nobody comes aboard what is too large to be kept"
    );
    // Of those who are left, the other waits for the one who pays.
    for n in 0..4 {
        frames.send(Ok(vec![b'0' + n; 40].into())).await.unwrap();
    }
    for n in 0..3 {
        assert_eq!(
            assert_ready!(next(&mut two)).unwrap(),
            n.to_string().repeat(40)
        );
    }
    assert_pending!(next(&mut two));
    assert!(assert_ready!(next(&mut one)).is_some());
    assert!(two.is_woken());
    assert_eq!(assert_ready!(next(&mut two)).unwrap(), "3".repeat(40));
}

#[tokio::test]
async fn some_do_not_share() {
    let streaming = || ask(json!({"stream": true}));
    let tools = || ask(json!({"tools": [{"type": "function", "function": {"name": "f"}}]}));
    let refresh = || {
        let mut req = plain();
        req.headers_mut()
            .insert("cache-control", HeaderValue::from_static("no-cache"));
        req
    };
    let off = layer().coalesce(false);
    for (layer, one, two, calls) in [
        (layer(), plain(), plain(), 1),
        (layer(), plain(), streaming(), 2),
        (layer(), streaming(), told().0, 2),
        (layer(), streaming(), plain(), 1),
        (layer(), plain(), refresh(), 2),
        (layer(), tools(), tools(), 2),
        (layer().tool_calls(true), tools(), tools(), 1),
        (off, plain(), plain(), 2),
    ] {
        let leaf = Leaf::default();
        let svc = layer.layer(leaf.clone());
        let _fed = [feed(&leaf), feed(&leaf)];
        let (mut one, mut two) = (call(&svc, one), call(&svc, two));
        assert_pending!(one.poll());
        assert_pending!(two.poll());
        assert_eq!(2 - leaf.expected(), calls);
    }
}

#[tokio::test]
async fn who_looked_before_it_was_kept_looks_again() {
    /// Tells what it found only when it is let.
    struct Gate(Memory, Arc<Notify>);
    impl Store for Gate {
        async fn get(&self, key: &Key) -> Option<Entry> {
            let found = self.0.get(key).await;
            self.1.notified().await;
            found
        }
        fn put(&self, key: Key, entry: Entry) -> impl Future<Output = ()> + Send {
            self.0.put(key, entry)
        }
    }
    let (gate, leaf) = (Arc::new(Notify::new()), Leaf::default());
    let store = Gate(Memory::new(1 << 20, Duration::from_secs(60)), gate.clone());
    let svc = PromptCacheLayer::new(store).layer(leaf.clone());
    let fed = feed(&leaf);
    let (mut one, mut two) = (call(&svc, plain()), call(&svc, plain()));
    assert_pending!(one.poll());
    assert_pending!(two.poll());
    gate.notify_one();
    assert_pending!(one.poll());
    drop(fed.head.send(Ok(says("yes"))));
    assert_eq!(cache(&assert_ready_ok!(one.poll())), "miss");
    gate.notify_one();
    assert_pending!(two.poll());
    gate.notify_one();
    assert_eq!(cache(&assert_ready_ok!(two.poll())), "hit");
}

/// Callers who come and go on several threads: whoever stays has the whole answer, and each upstream call is in one journal.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_crowd() {
    for round in 0..20_usize {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = calls.clone();
        let svc = layer().layer(service_fn(move |req: Request| {
            counted.fetch_add(1, Ordering::Relaxed);
            let journal = Journal::of(&req).cloned();
            async move {
                tokio::task::yield_now().await;
                let (send, pieces) = tokio::sync::mpsc::channel(1);
                tokio::spawn(async move {
                    for event in events(true) {
                        tokio::task::yield_now().await;
                        if send.send(Ok(event.into())).await.is_err() {
                            return;
                        }
                    }
                });
                let leaf = Leaf::default();
                let fed = feed(&leaf);
                let mut req = plain();
                Notes::of_mut(&mut req).journal = journal;
                let res = leaf.oneshot(req);
                let frames = fed.streams();
                tokio::spawn(async move {
                    let mut pieces: tokio::sync::mpsc::Receiver<Result<Bytes, &'static str>> =
                        pieces;
                    while let Some(piece) = pieces.recv().await {
                        if frames.send(piece).await.is_err() {
                            return;
                        }
                    }
                });
                res.await
            }
        }));
        let callers: Vec<_> = (0..32_usize)
            .map(|n| {
                let (svc, (req, journal)) = (svc.clone(), told());
                tokio::spawn(async move {
                    let mut res = svc.oneshot(req).await.unwrap();
                    let leaves = (n + round) % 3 == 0;
                    if leaves {
                        let _ = res.body_mut().frame().await;
                        return journal;
                    }
                    assert_eq!(body(res).await, events(true).concat());
                    journal
                })
            })
            .collect();
        let mut recorded = 0;
        for caller in callers {
            recorded += attempts(&caller.await.unwrap()).len();
        }
        assert_eq!(recorded, calls.load(Ordering::Relaxed), "round {round}");
        assert_eq!(svc.flights.count(), 0);
        assert_eq!(cache(&svc.oneshot(plain()).await.unwrap()), "hit");
    }
}
