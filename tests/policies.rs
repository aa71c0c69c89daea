//! What stands around the classifier, on the labelled requests of the routing suite.
use serde_json::Value;
use std::collections::HashMap;
use tierway::layers::classify::{Class, Client, Decision, Policy, Rule, Ruled, SideRequests};
use tierway::services::{
    chat::{self, Operation, Prompt, Tier},
    dialect::Dialect,
};

struct Row {
    id: String,
    group: String,
    tiers: Vec<Tier>,
    req: chat::Request,
}

/// The rows that may be looked at.
fn rows() -> Vec<Row> {
    let text = include_str!("routing/open.jsonl");
    text.lines()
        .map(|line| {
            let row: Value = serde_json::from_str(line).unwrap();
            let path = row["path"].as_str().unwrap();
            let dialect = match path.split('?').next() {
                Some("/v1/messages") => Dialect::Messages,
                Some("/v1/responses") => Dialect::Responses,
                _ => Dialect::ChatCompletions,
            };
            let body = row["request"].to_string();
            let prompt = Prompt::parse(dialect, Operation::Generate, body.into()).unwrap();
            let mut req = chat::Request::new(prompt);
            *req.uri_mut() = path.parse().unwrap();
            let headers: HashMap<String, String> =
                serde_json::from_value(row["headers"].clone()).unwrap();
            for (name, value) in headers {
                let name = http::HeaderName::try_from(name).unwrap();
                req.headers_mut().insert(name, value.parse().unwrap());
            }
            let tiers: Vec<String> = serde_json::from_value(row["tiers"].clone()).unwrap();
            Row {
                id: row["id"].as_str().unwrap().to_owned(),
                group: row["group"].as_str().unwrap().to_owned(),
                tiers: tiers.iter().map(|t| t.parse().unwrap()).collect(),
                req,
            }
        })
        .collect()
}

/// Whatever is asked is of this tier.
fn always(tier: Tier) -> impl Policy + Clone {
    move |_: &chat::Request| Some(Decision::new(tier, "always"))
}

#[test]
fn side_requests_are_told_from_what_users_ask() {
    let policy = SideRequests::new(always(Tier::Reasoning));
    let mut wrong = Vec::new();
    for row in rows() {
        let client = Client::of(&row.req);
        let tier = policy.classify(&row.req).unwrap().tier;
        let own = client.is_own_account();
        // The side group holds some of the main loop too, and sub-agents.
        let fits = if own {
            row.group == "side" && row.tiers.contains(&tier)
        } else {
            row.group != "side" || ["sd-cc-main-small", "sd-cc-sub-hard"].contains(&&*row.id)
        };
        if !fits {
            wrong.push(format!("{}: {client:?}, {tier}", row.id));
        }
        if row.id == "sd-cc-sub-hard" {
            assert_eq!(client.class, Class::SubAgent);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_floor_holds_what_is_no_risk() {
    let policy = Ruled::new(always(Tier::Simple), Rule::built_in());
    let (mut wrong, mut held, mut risky) = (Vec::new(), 0, 0);
    for row in rows() {
        let decision = policy.classify(&row.req).unwrap();
        let fired = !decision.notes.is_empty();
        risky += usize::from(row.group == "risk");
        held += usize::from(fired && row.group == "risk");
        if fired && row.tiers.iter().all(|tier| *tier < Tier::Complex) {
            wrong.push(format!("{}: {decision}", row.id));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{held} of {risky} held");
    // What is left is no secret, no payment, no migration and no production: sign-in, rights.
    assert!(held * 3 >= risky * 2, "{held} of {risky}");
}
