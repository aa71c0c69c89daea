//! Providers and the models that tiers expect of them: reachable, willing, known, priced, and of the same time.
use super::{Finding, Section};
use crate::{
    config::{Config, closest},
    stack,
};
use http::{HeaderValue, StatusCode};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime},
};
use tierway_services::{
    Dispatch,
    chat::Target,
    dispatch::{Listing, Unlisted},
};

/// Clocks that differ by more break signatures (Amazon allows five minutes) and tokens.
const SKEW: Duration = Duration::from_secs(60);

/// The models of each provider that has told them.
pub(super) type Seen = BTreeMap<String, Vec<String>>;

/// Asks every provider for its models.
pub(super) async fn examine(config: &Config, dispatch: &Dispatch) -> (Section, Seen) {
    let mut asked = Vec::new();
    for name in config.providers.keys() {
        let (dispatch, name) = (dispatch.clone(), name.clone());
        asked.push(tokio::spawn(async move {
            let start = Instant::now();
            let listing = dispatch.list(&name).await;
            (name, listing, start.elapsed())
        }));
    }
    let (mut findings, mut seen) = (Vec::new(), Seen::new());
    for answer in asked {
        let Ok((name, Some(listing), took)) = answer.await else {
            continue;
        };
        findings.extend(clock(&name, listing.date.as_ref()));
        findings.push(of_listing(config, &name, &listing, took));
        if let Ok(models) = listing.models {
            let models = models.iter().map(|model| model.target.model.to_string());
            seen.insert(name, models.collect());
        }
    }
    if findings.is_empty() {
        findings.push(Finding::doubtful(
            "none",
            "no provider is configured, and none was found: the built-in demo models would answer",
            "set ANTHROPIC_API_KEY or OPENAI_API_KEY, start Ollama, or run `tierway init`",
        ));
    }
    let title = "providers";
    (Section { title, findings }, seen)
}

fn of_listing(config: &Config, name: &str, listing: &Listing, took: Duration) -> Finding {
    let provider = &config.providers[name];
    let address = provider.address().unwrap_or_default();
    let at = format!("{} at {address}", provider.kind);
    match &listing.models {
        Ok(models) => {
            let told = format!("{at}: {} models, {} ms", models.len(), took.as_millis());
            Finding::good(name, told)
        }
        Err(Unlisted::NoList) => {
            let told = format!("{at}: has no list of models to ask for");
            Finding::good(name, told)
        }
        Err(Unlisted::Refused(status)) => refused(provider, name, &at, *status),
        Err(Unlisted::NotAList) => Finding::bad(
            name,
            format!("{at}: answers, but with no list of models"),
            format!(
                "is providers.{name}.base_url the address of its API, and providers.{name}.kind right?"
            ),
        ),
        Err(Unlisted::Failed(error)) => {
            let cure = if provider.kind.is_local() {
                format!("start it, or correct providers.{name}.base_url")
            } else {
                format!("check the network, a proxy in between, and providers.{name}.base_url")
            };
            Finding::bad(name, format!("{at}: {error}"), cure)
        }
        Err(other) => Finding::doubtful(name, format!("{at}: {other:?}"), "ask its operator"),
    }
}

fn refused(
    provider: &crate::config::Provider,
    name: &str,
    at: &str,
    status: StatusCode,
) -> Finding {
    let told = format!("{at}: answers {status}");
    match status.as_u16() {
        401 | 403 if provider.pass_credentials => {
            let told = format!("{told}, as it should without a caller's credentials");
            Finding::good(name, told)
        }
        401 | 403 if provider.api_key.is_none() => Finding::bad(
            name,
            format!("{told}: no key is configured"),
            format!(
                "set providers.{name}.api_key_env = \"NAME\" to the variable that holds its key"
            ),
        ),
        401 | 403 => Finding::bad(
            name,
            format!("{told}: it does not take the key"),
            format!("make a new key at the provider, and correct providers.{name}.api_key"),
        ),
        404 => Finding::doubtful(
            name,
            format!("{told} for its list of models"),
            format!("correct providers.{name}.base_url if calls fail too (tierway doctor --call)"),
        ),
        429 => Finding::doubtful(name, told, "its rate limit is reached: try again later"),
        _ => Finding::bad(name, told, "look at the provider's status page or log"),
    }
}

fn clock(name: &str, date: Option<&HeaderValue>) -> Option<Finding> {
    let theirs = httpdate::parse_http_date(date?.to_str().ok()?).ok()?;
    let ours = SystemTime::now();
    let apart = ours
        .duration_since(theirs)
        .or_else(|_| theirs.duration_since(ours));
    let apart = apart.ok().filter(|apart| *apart > SKEW)?;
    let seconds = apart.as_secs();
    Some(Finding::doubtful(
        name,
        format!("its clock and ours are {seconds} s apart: signatures and tokens may be refused"),
        "synchronise this machine's clock (timedatectl set-ntp true)",
    ))
}

/// Looks at the model of each tier.
pub(super) fn tiers(config: &Config, seen: &Seen) -> Section {
    let prices = stack::prices(config);
    let mut findings = Vec::new();
    let small = config.cascade.enabled.then(|| config.small()).flatten();
    let small = small.map(|target| ("cascade", target));
    let bound = config
        .tiers
        .iter()
        .map(|(tier, target)| (tier.as_str(), target));
    let further = config.fallbacks.iter().flat_map(|(tier, targets)| {
        let subject = tier.as_str();
        targets.iter().map(move |target| (subject, target))
    });
    for (subject, target) in bound.chain(further).chain(small) {
        findings.push(model(subject, target, seen));
        if prices.price(target).is_none() {
            findings.push(Finding::doubtful(
                subject,
                format!("{target} has no price: its cost is shown as unknown"),
                format!("[prices] \"{target}\" = {{ input = .., output = .. }}   # USD per million tokens"),
            ));
        }
    }
    if findings.is_empty() {
        findings.push(Finding::good(
            "tiers",
            "bound at start to what is found then",
        ));
    }
    Section {
        title: "models",
        findings,
    }
}

fn model(subject: &str, target: &Target, seen: &Seen) -> Finding {
    let (provider, name) = (&*target.provider, &*target.model);
    let Some(models) = seen.get(provider).filter(|models| !models.is_empty()) else {
        return Finding::good(
            subject,
            format!("{target} (its provider's list is not known)"),
        );
    };
    // Ollama lists `name:latest` for what may be asked for as `name`.
    let tagged = format!("{name}:latest");
    if models.iter().any(|m| m == name || *m == tagged) {
        return Finding::good(subject, target.to_string());
    }
    let near = closest(name, models.iter().map(String::as_str));
    let cure = match near {
        Some(near) => format!("did you mean {provider}:{near}?"),
        None => format!(
            "write one of its {} models: GET /v1/models lists them",
            models.len()
        ),
    };
    Finding::doubtful(subject, format!("{provider} does not list {name}"), cure)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen() -> Seen {
        let models = ["qwen2.5:3b", "llama3.2:latest"].map(str::to_owned);
        Seen::from([("local".to_owned(), models.to_vec())])
    }

    #[test]
    fn a_listed_model_is_good_and_another_has_a_neighbour() {
        let look = |name: &str| model("simple", &Target::new("local", name), &seen());
        assert_eq!(look("qwen2.5:3b").cure, None);
        assert_eq!(look("llama3.2").cure, None);
        assert_eq!(
            look("qwen2.5-3b").cure.unwrap(),
            "did you mean local:qwen2.5:3b?"
        );
        assert!(look("gpt").cure.unwrap().contains("2 models"));
    }

    #[test]
    fn clocks() {
        let date = |away: u64| {
            let then = SystemTime::now() - Duration::from_secs(away);
            HeaderValue::from_str(&httpdate::fmt_http_date(then)).unwrap()
        };
        assert_eq!(clock("p", Some(&date(2))), None);
        assert!(clock("p", Some(&date(600))).unwrap().told.contains("60"));
        assert_eq!(clock("p", None), None);
    }

    #[test]
    fn a_refusal_tells_whose_fault_it_is() {
        let mut provider =
            crate::config::Provider::new(tierway_services::providers::Kind::Anthropic);
        let cure = |provider: &_, status| {
            refused(provider, "p", "at", status)
                .cure
                .unwrap_or_default()
        };
        assert!(cure(&provider, StatusCode::UNAUTHORIZED).contains("api_key_env"));
        assert!(cure(&provider, StatusCode::BAD_GATEWAY).contains("status page"));
        provider.pass_credentials = true;
        assert_eq!(cure(&provider, StatusCode::UNAUTHORIZED), "");
    }
}
