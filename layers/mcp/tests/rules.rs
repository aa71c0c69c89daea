//! Which tools, and for whom.
use super::*;

#[tokio::test]
async fn changes_are_confirmed_by_the_user() {
    let tools = Tools::default();
    let model = Model::new([
        says("", &[WRITE]),
        says("May I?", &[]),
        says(
            "",
            &[("w2", WRITE.1, WRITE.2), ("w3", WRITE.1, r#"{"path":"b"}"#)],
        ),
        says("Written.", &[]),
    ]);
    let service = model.under(layer(&tools));
    answer(&service, ask(HELLO, false)).await;
    assert!(tools.calls.lock().unwrap().is_empty());
    let asked = model.asked(1);
    let word = asked
        .split("writing the word ")
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap();
    assert_eq!(word.len(), 8);
    let back = format!(r#"[{{"role":"user","content":"Yes, {word}!"}}]"#);
    answer(&service, ask(&back, false)).await;
    assert_eq!(
        *tools.calls.lock().unwrap(),
        [r#"files.write {"path":"a"}"#],
        "and not the other"
    );
    assert!(model.asked(3).contains("files.write says noon"));
}

#[tokio::test]
async fn only_what_is_allowed_is_shown() {
    let offered = |policy: Policy, says_header: &'static str, tenant: Option<&'static str>| async move {
        let model = Model::new([says("hi", &[])]);
        let service = model.under(layer(&Tools::default()).policy(policy));
        let mut req = ask(HELLO, false);
        if says_header.is_empty() {
            req.headers_mut().remove(MCP);
        } else {
            req.headers_mut()
                .insert(MCP, HeaderValue::from_static(says_header));
        }
        if let Some(tenant) = tenant {
            Notes::of_mut(&mut req).tenant = Some(Tenant::new(tenant));
        }
        answer(&service, req).await;
        let names = tierway_services::translate::rounds::names(&model.asked.lock().unwrap()[0]);
        names
            .into_iter()
            .filter_map(|n| n.strip_prefix("mcp__").map(str::to_owned))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let all = "time__now time__wait files__write";
    let p = Policy::new;
    assert_eq!(offered(p(), "on", None).await, all);
    assert_eq!(
        offered(p(), "time, nobody", None).await,
        "time__now time__wait"
    );
    assert_eq!(offered(p(), "", None).await, "");
    assert_eq!(offered(p().for_models(["m*"]), "", None).await, all);
    assert_eq!(offered(p().for_tenants(["a"]), "", Some("a")).await, all);
    assert_eq!(offered(p().for_tenants(["a"]), "", Some("b")).await, "");
    assert_eq!(offered(p().for_everybody(), "off", None).await, "");
    assert_eq!(
        offered(p().writes(Writes::Deny), "on", None).await,
        "time__now time__wait"
    );
    assert_eq!(
        offered(
            p().writes(Writes::Deny)
                .server_writes("files", Writes::Allow),
            "on",
            None
        )
        .await,
        all
    );
    let deny = p().allow(Allowed::all_but(["*.wait"]));
    assert_eq!(
        offered(deny.clone(), "on", None).await,
        "time__now files__write"
    );
    let deny = deny.allow_tenant("a", Allowed::new(["time.*"], [""; 0]));
    assert_eq!(offered(deny, "on", Some("a")).await, "time__now");
}

#[tokio::test]
async fn a_large_catalogue_is_searched() {
    let tools = Tools::default();
    let model = Model::new([
        says(
            "",
            &[("f", "mcp__find_tools", r#"{"query":"what time is it"}"#)],
        ),
        says(
            "",
            &[
                (
                    "k",
                    "mcp__call_tool",
                    r#"{"name":"mcp__time__now","arguments":{"tz":"UTC"}}"#,
                ),
                (
                    "n",
                    "mcp__call_tool",
                    r#"{"name":"mcp__no__tool","arguments":{}}"#,
                ),
            ],
        ),
        says("Noon.", &[]),
    ]);
    let service = model.under(layer(&tools).search_from(3));
    answer(&service, ask(HELLO, false)).await;
    assert!(!model.asked(0).contains("mcp__time__now"));
    assert!(
        model.asked(1).contains(r#"mcp__time__now"#),
        "{}",
        model.asked(1)
    );
    assert_eq!(*tools.calls.lock().unwrap(), [r#"time.now {"tz":"UTC"}"#]);
    assert!(model.asked(2).contains("there is no tool mcp__no__tool"));
}

#[tokio::test]
async fn a_name_of_the_callers_own_is_its_own() {
    let tools = Tools::default();
    let model = Model::new([says("", &[NOW])]);
    let service = model.under(layer(&tools));
    let mut req = ask(HELLO, false);
    let body = String::from_utf8(req.body().raw().to_vec()).unwrap();
    let body = body.replace(r#""name":"Bash""#, r#""name":"mcp__time__now""#);
    *req.body_mut() = request(Dialect::Messages, &body).into_body();
    let whole = answer(&service, req).await;
    assert_eq!(whole["content"][0]["name"], "mcp__time__now");
    assert!(tools.calls.lock().unwrap().is_empty());
}
