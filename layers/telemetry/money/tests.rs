use super::*;
use proptest::prelude::*;
use tierway_services::chat::{CascadeStatus, Role};

fn price(input: f64, output: f64) -> Price {
    Price {
        input: Usd::per_million(input),
        output: Usd::per_million(output),
        ..Price::FREE
    }
}

/// Prices in dollars per million tokens: `flagship` 10/50, `big` 2/10, `small` 0.1/0.4, and nothing at `home`.
fn books() -> Books {
    Books {
        prices: PriceList::empty()
            .with_override("flagship", price(10.0, 50.0))
            .with_override("big", price(2.0, 10.0))
            .with_override("small", price(0.1, 0.4))
            .with_free_provider("home"),
        baseline: Some(Target::new("cloud", "flagship")),
    }
}

fn usage(input: u64, output: u64) -> Usage {
    Usage {
        input,
        output,
        ..Usage::default()
    }
}

fn attempt(model: &str, role: Role, usage: Usage) -> Attempt {
    let mut attempt = Attempt::new(Target::new("cloud", model), role);
    attempt.end = AttemptEnd::Complete;
    attempt.usage = Some(usage);
    attempt
}

/// A call for `requested`, bound by its tier to `big`.
fn entries(requested: &str, attempts: Vec<Attempt>) -> JournalEntries {
    let mut entries = JournalEntries::default();
    entries.requested_model = Some(requested.to_owned());
    entries.tier = Some(Tier::Medium);
    entries.target = Some(Target::new("cloud", "big"));
    entries.attempts = attempts;
    entries
}

fn cascade(accepted: bool) -> Option<CascadeStatus> {
    Some(CascadeStatus::new(accepted, None, 0.85, "test"))
}

fn micros(bill: &Bill) -> [i128; 7] {
    [
        bill.baseline_or_cost(),
        bill.extra(Extra::Tier),
        bill.extra(Extra::Deferral),
        bill.cost(),
        bill.saved(Saved::Tier),
        bill.saved(Saved::Cascade),
        bill.saved(Saved::PromptCache),
    ]
    .map(|usd| usd.picodollars() / 1_000_000)
}

fn ok(entries: &JournalEntries) -> [i128; 7] {
    micros(&books().bill(entries, Outcome::Ok, |_, _, _| ()))
}

// In micro-dollars: 1000 input and 100 output tokens are 15000 at the flagship, 3000 at big, 140 at small.
const U: (u64, u64) = (1000, 100);

#[test]
fn a_cheaper_tier_saves_against_what_was_asked_for() {
    let mut e = entries(
        "flagship",
        vec![attempt("big", Role::Only, usage(U.0, U.1))],
    );
    assert_eq!(ok(&e), [15_000, 0, 0, 3_000, 12_000, 0, 0]);
    e.requested_model = Some("auto".into());
    assert_eq!(ok(&e), [15_000, 0, 0, 3_000, 12_000, 0, 0], "by default");
    e.requested_model = Some("small".into());
    assert_eq!(
        ok(&e),
        [140, 2_860, 0, 3_000, 0, 0, 0],
        "a dearer tier costs"
    );
    e.requested_model = Some("tierway/medium".into());
    assert_eq!(ok(&e), [3_000, 0, 0, 3_000, 0, 0, 0], "as asked");
    (e.requested_model, e.tier) = (Some("cloud:big".into()), None);
    assert_eq!(ok(&e), [3_000, 0, 0, 3_000, 0, 0, 0], "as asked");
}

#[test]
fn a_kept_draft_saves_and_a_rejected_one_costs() {
    let draft = attempt("small", Role::Small, usage(U.0, U.1));
    let mut e = entries("auto", vec![draft.clone()]);
    e.cascade = cascade(true);
    assert_eq!(ok(&e), [15_000, 0, 0, 140, 12_000, 2_860, 0]);
    let big = attempt("big", Role::Big, usage(U.0, U.1));
    let mut e = entries("auto", vec![draft, big]);
    e.cascade = cascade(false);
    assert_eq!(ok(&e), [15_000, 0, 140, 3_140, 12_000, 0, 0]);
}

#[test]
fn a_hit_saves_what_it_did_not_ask_for() {
    let mut e = entries("auto", vec![]);
    e.cache = Some(CacheStatus::Hit);
    e.replayed = Some((Target::new("cloud", "small"), usage(U.0, U.1)));
    assert_eq!(ok(&e), [15_000, 0, 0, 0, 12_000, 0, 3_000]);
}

#[test]
fn of_calls_that_share_an_upstream_call_one_pays_and_the_others_save() {
    let payer = entries("auto", vec![attempt("big", Role::Only, usage(U.0, U.1))]);
    assert_eq!(ok(&payer), [15_000, 0, 0, 3_000, 12_000, 0, 0]);
    let mut other = entries("auto", vec![]);
    other.cache = Some(CacheStatus::Coalesced);
    assert_eq!(
        ok(&other),
        [0; 7],
        "nothing is claimed until the answer is there"
    );
    other.replayed = Some((Target::new("cloud", "small"), usage(U.0, U.1)));
    assert_eq!(ok(&other), [15_000, 0, 0, 0, 12_000, 0, 3_000]);
}

#[test]
fn nothing_is_claimed_that_is_not_sure() {
    let served = attempt("big", Role::Only, usage(U.0, U.1));
    let e = entries("auto", vec![served.clone()]);
    for outcome in [Outcome::Cancelled, Outcome::Cut, Outcome::UpstreamError] {
        let bill = books().bill(&e, outcome, |_, _, _| ());
        assert_eq!(micros(&bill), [3_000, 0, 0, 3_000, 0, 0, 0]);
        assert_eq!(bill.baseline(), None);
    }
    let unpriced = attempt("nobody-knows", Role::Only, usage(U.0, U.1));
    let e = entries("auto", vec![unpriced, served]);
    let mut seen = Vec::new();
    let bill = books().bill(&e, Outcome::Ok, |a, _, cost| {
        seen.push((a.target.model.to_string(), cost.is_some()));
    });
    assert_eq!(micros(&bill), [3_000, 0, 0, 3_000, 0, 0, 0]);
    assert_eq!(seen, [("nobody-knows".into(), false), ("big".into(), true)]);
}

#[test]
fn what_the_provider_says_that_it_cost_is_believed() {
    let mut served = attempt("big", Role::Only, usage(U.0, U.1));
    served.cost = Some(Usd::from_dollars(0.0045));
    let e = entries("flagship", vec![served.clone()]);
    assert_eq!(ok(&e), [15_000, 0, 0, 4_500, 10_500, 0, 0]);
    let mut unlisted = attempt("nobody-knows", Role::Only, usage(U.0, U.1));
    unlisted.cost = Some(Usd::from_dollars(0.001));
    let bill = books().bill(
        &entries("flagship", vec![unlisted]),
        Outcome::Ok,
        |_, _, _| (),
    );
    assert!(bill.is_priced());
    assert_eq!(micros(&bill), [15_000, 0, 0, 1_000, 14_000, 0, 0]);
}

#[test]
fn a_machine_of_ones_own_may_cost_by_the_hour() {
    let own = Price {
        hour: Some(Usd::from_dollars(0.36)),
        ..Price::FREE
    };
    let books = Books {
        prices: books().prices.with_override("home:small", own),
        ..books()
    };
    let mut served = attempt("small", Role::Only, usage(U.0, U.1));
    served.target = Target::new("home", "small");
    served.total = std::time::Duration::from_secs(10);
    let bill = books.bill(
        &entries("flagship", vec![served]),
        Outcome::Ok,
        |_, _, _| (),
    );
    assert_eq!(micros(&bill), [15_000, 0, 0, 1_000, 14_000, 0, 0]);
}

#[test]
fn what_the_gateway_did_to_the_prompt_is_undone_in_the_baseline() {
    let cached = Price {
        cache_read: Some(Usd::per_million(0.2)),
        cache_write: Some(Usd::per_million(2.5)),
        ..price(2.0, 10.0)
    };
    let books = Books {
        prices: books().prices.with_override("big", cached),
        ..books()
    };
    let bill = |e: &JournalEntries| books.bill(e, Outcome::Ok, |_, _, _| ());
    let read = Usage {
        cache_read: 900,
        ..usage(100, 100)
    };
    let mut e = entries("auto", vec![attempt("big", Role::Only, read)]);
    // The caller's own cache: as the flagship has no price for it, that is 1000 tokens at full price.
    let own = bill(&e);
    assert_eq!(micros(&own), [15_000, 0, 0, 1_380, 13_620, 0, 0]);
    assert_eq!(own.saved(Saved::ProviderCache), Usd::ZERO);
    e.breakpoints = Some(BreakpointStatus::Placed);
    let ours = bill(&e);
    assert_eq!(micros(&ours), [15_000, 0, 0, 1_380, 12_000, 0, 0]);
    assert_eq!(ours.saved(Saved::ProviderCache), Usd::from_dollars(0.00162));
    // Half of the prompt was left out; nine tenths of that would have been cached, by us.
    e.compressed = 1000;
    let less = bill(&e);
    assert_eq!(less.baseline(), Some(Usd::from_dollars(0.025)));
    assert_eq!(less.saved(Saved::Compression), Usd::from_dollars(0.002));
    e.breakpoints = Some(BreakpointStatus::Client);
    assert_eq!(
        bill(&e).saved(Saved::Compression),
        Usd::from_dollars(0.00038)
    );
    // Written, and not yet read.
    let written = Usage {
        cache_write: 1000,
        ..usage(0, 100)
    };
    let mut e = entries("auto", vec![attempt("big", Role::Only, written)]);
    e.breakpoints = Some(BreakpointStatus::Placed);
    let first = bill(&e);
    assert_eq!(first.extra(Extra::ProviderCache), Usd::from_dollars(0.0005));
    assert_eq!(first.baseline(), Some(Usd::from_dollars(0.015)));
}

// === the identity ===

fn any_usage() -> impl Strategy<Value = Usage> {
    let n = || 0..500_000_u64;
    (n(), n(), n(), n(), n()).prop_map(
        |(input, output, cache_read, cache_write, cache_write_1h)| Usage {
            input,
            output,
            cache_read,
            cache_write,
            cache_write_1h,
            ..Usage::default()
        },
    )
}

fn any_target() -> impl Strategy<Value = Target> {
    let provider = prop_oneof![9 => Just("cloud"), 2 => Just("home")];
    let model = prop_oneof![5 => 0..5_usize, 1 => Just(5)];
    (provider, model).prop_map(|(p, m)| Target::new(p, format!("m{m}")))
}

fn any_attempt() -> impl Strategy<Value = Attempt> {
    let role = prop_oneof![Just(Role::Only), Just(Role::Small), Just(Role::Big)];
    let end = prop_oneof![
        6 => Just(AttemptEnd::Complete),
        1 => Just(AttemptEnd::Status(500)),
        1 => Just(AttemptEnd::Failed),
        1 => Just(AttemptEnd::Cancelled),
    ];
    let usage = proptest::option::weighted(0.9, any_usage());
    (any_target(), role, end, usage).prop_map(|(target, role, end, usage)| {
        let mut attempt = Attempt::new(target, role);
        (attempt.end, attempt.usage) = (end, usage);
        attempt
    })
}

/// Five models, `m0` to `m4`, at any prices; `m5` has none.
fn any_books() -> impl Strategy<Value = Books> {
    let usd = || (0..200_000_000_i128).prop_map(Usd::from_picodollars);
    let maybe = move || proptest::option::of(usd());
    let price = (
        usd(),
        usd(),
        maybe(),
        maybe(),
        maybe(),
        proptest::option::of((usd(), usd())),
    )
        .prop_map(
            |(input, output, cache_read, cache_write, cache_write_1h, above_200k)| Price {
                input,
                output,
                cache_read,
                cache_write,
                cache_write_1h,
                above_200k,
                ..Price::FREE
            },
        );
    let prices = proptest::collection::vec(price, 5);
    (prices, proptest::option::of(any_target())).prop_map(|(prices, baseline)| Books {
        prices: (0..).zip(prices).fold(
            PriceList::empty().with_free_provider("home"),
            |list, (i, price): (u8, Price)| list.with_override(&format!("m{i}"), price),
        ),
        baseline,
    })
}

proptest! {
    #[test]
    fn baseline_and_extra_are_cost_and_savings(
        books in any_books(),
        attempts in proptest::collection::vec(any_attempt(), 0..4),
        target in proptest::option::weighted(0.9, any_target()),
        requested in prop_oneof![Just("auto"), Just("m0"), Just("m5"), Just("tierway/simple")],
        tier in proptest::option::weighted(0.8, Just(Tier::Simple)),
        accepted in proptest::option::of(any::<bool>()),
        replayed in proptest::option::weighted(0.3, (any_target(), any_usage())),
        finished in proptest::bool::weighted(0.8),
        (cache_marked, compressed) in (any::<bool>(), prop_oneof![Just(0), 0..300_000_u64]),
    ) {
        let mut e = entries(requested, attempts);
        e.cache = replayed.is_some().then_some(CacheStatus::Hit);
        (e.tier, e.target, e.replayed) = (tier, target, replayed);
        e.breakpoints = cache_marked.then_some(BreakpointStatus::Placed);
        e.compressed = compressed;
        e.cascade = accepted.and_then(cascade);
        let outcome = if finished { Outcome::Ok } else { Outcome::Cancelled };

        let mut sum = Usd::ZERO;
        let bill = books.bill(&e, outcome, |_, _, cost| sum += cost.unwrap_or_default());
        prop_assert_eq!(bill.cost(), sum);
        let saved: Vec<Usd> = Saved::ALL.map(|c| bill.saved(c)).into();
        let extra: Vec<Usd> = Extra::ALL.map(|c| bill.extra(c)).into();
        prop_assert!(saved.iter().chain(&extra).all(|usd| *usd >= Usd::ZERO));
        let (saved, extra): (Usd, Usd) = (saved.into_iter().sum(), extra.into_iter().sum());
        prop_assert_eq!(bill.baseline_or_cost() + extra, bill.cost() + saved);
        if bill.baseline().is_none() {
            prop_assert_eq!((saved, extra), (Usd::ZERO, Usd::ZERO));
        }
    }
}
