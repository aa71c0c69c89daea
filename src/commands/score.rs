//! `tierway score`: the tier of recorded requests, and the confidence in recorded answers, without calling anybody.
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::{
    borrow::Cow,
    collections::BTreeMap,
    io::{self, BufRead, Write},
    process::ExitCode,
    time::Duration,
};
use tierway_layers::{
    cascade::{
        Asked, Draft,
        signals::{self, Told},
    },
    classify::{Decision, Policy, Rule, Ruled, SideRequests, TierClassifier},
    names::{Names, Wish},
};
use tierway_services::{
    chat::{self, Operation, Prompt, Refusal},
    dialect::Dialect,
    translate,
};

/// A recorded request. Whether an answer was right is not read, nor is anything else.
#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    request: &'a RawValue,
    /// Where it was sent; by default told by its shape.
    #[serde(borrow, default)]
    path: Option<Cow<'a, str>>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(borrow, default)]
    small: Option<Small<'a>>,
    #[serde(default)]
    signals: Signals,
}

/// The small model's part of it.
#[derive(Deserialize)]
struct Small<'a> {
    #[serde(borrow, default)]
    response: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Signals {
    #[serde(default)]
    p_true: Option<f64>,
    #[serde(default)]
    sc3: Option<f64>,
}

/// What is said of one row.
#[derive(Debug, Serialize)]
struct Scored<'a> {
    id: &'a str,
    tier: &'static str,
    complexity: f32,
    confidence: Option<f64>,
    reasons: Vec<Cow<'static, str>>,
}

/// Reads rows from standard input and writes one object for each to standard output.
///
/// # Errors
/// Where input or output fails.
pub fn run() -> io::Result<ExitCode> {
    let out = io::BufWriter::new(io::stdout().lock());
    score(io::stdin().lock(), out, &mut io::stderr().lock())
}

fn score(input: impl BufRead, mut out: impl Write, errors: &mut dyn Write) -> io::Result<ExitCode> {
    // Whichever model was asked, the question is which one should be.
    let classifier = TierClassifier::new(Names::default().map("*", Wish::Auto));
    let policy = Ruled::new(SideRequests::new(classifier), Rule::built_in());
    let mut code = ExitCode::SUCCESS;
    for (number, line) in input.lines().enumerate() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let row = serde_json::from_str::<Row<'_>>(&line).map_err(|error| error.to_string());
        match row.and_then(|row| Ok((request(&row).map_err(|r| r.to_string())?, row))) {
            Ok((request, row)) => {
                let decision = policy.classify(&request);
                let confidence = confidence(&row, &request);
                serde_json::to_writer(&mut out, &scored(&row, decision, confidence))?;
                out.write_all(b"\n")?;
            }
            Err(error) => {
                writeln!(errors, "tierway score: line {}: {error}", number + 1)?;
                code = ExitCode::FAILURE;
            }
        }
    }
    out.flush()?;
    Ok(code)
}

/// The request as the gateway would see it.
fn request(row: &Row<'_>) -> Result<chat::Request, Refusal> {
    let body = row.request.get().to_owned();
    let dialect = match row.path.as_deref() {
        Some(path) if path.contains("/messages") => Dialect::Messages,
        Some(path) if path.contains("/responses") => Dialect::Responses,
        _ => Dialect::ChatCompletions,
    };
    let prompt = Prompt::parse(dialect, Operation::Generate, body.into())?;
    let mut request = chat::Request::new(prompt);
    for (name, value) in &row.headers {
        if let (Ok(name), Ok(value)) = (
            http::HeaderName::try_from(name),
            http::HeaderValue::try_from(value),
        ) {
            request.headers_mut().insert(name, value);
        }
    }
    Ok(request)
}

/// The confidence in the small model's response, by what is believed before any label; nothing where it is plainly broken.
fn confidence(row: &Row<'_>, request: &chat::Request) -> Option<f64> {
    let response = row.small.as_ref()?.response?.get();
    let dialect = request.body().facts().dialect;
    let answer = translate::read_answer(dialect, response.as_bytes())?;
    let told = Told {
        p_true: row.signals.p_true,
        agreement: row.signals.sc3,
        ..Told::default()
    };
    let asked = Asked::new(request);
    let draft = Draft::new(&answer, request, Duration::ZERO).with(&asked);
    let prior = signals::prior(&draft, &told);
    // As the gateway has it, so that a threshold means the same to both.
    Some(signals::unlabelled(&draft, prior, &told))
}

fn scored<'a>(row: &'a Row<'_>, decision: Option<Decision>, confidence: Option<f64>) -> Scored<'a> {
    let decision = decision.unwrap_or_else(|| Decision::new(chat::Tier::Medium, "no_policy"));
    let mut reasons = vec![decision.reason];
    reasons.extend(decision.notes.into_iter().map(|note| note.name));
    Scored {
        id: &row.id,
        tier: decision.tier.as_str(),
        complexity: decision.score,
        confidence,
        reasons,
    }
}
