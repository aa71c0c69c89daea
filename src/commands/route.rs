//! `tierway route`: where a request would go, why, and what it would cost.
use super::{RouteArgs, WRONG, loaded};
use crate::{
    blocking::wait,
    config::Strings,
    discovery,
    route::{Router, request},
    stack,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::{
    io::{self, Read, Write},
    process::ExitCode,
};
use tierway_services::chat::Refusal;

/// Reads one request from standard input; what cannot be routed gives exit code 2.
///
/// # Errors
/// Where standard input cannot be read or standard output be written.
pub fn run(args: &RouteArgs, environment: &dyn Strings) -> io::Result<ExitCode> {
    route(
        args,
        environment,
        &mut io::stdin().lock(),
        &mut io::stdout().lock(),
        &mut io::stderr().lock(),
    )
}

fn route(
    args: &RouteArgs,
    environment: &dyn Strings,
    input: &mut dyn Read,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<ExitCode> {
    let mut loaded = match loaded(args.config.as_ref(), environment, false, err)? {
        Ok(loaded) => loaded,
        Err(code) => return Ok(code),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    wait(&runtime, discovery::foresee(&mut loaded));
    let config = loaded.config;
    let providers = stack::providers(&config).map_err(io::Error::other)?;
    let most = config.server.max_body as u64;
    let mut body = Vec::new();
    input.take(most + 1).read_to_end(&mut body)?;
    if body.len() as u64 > most {
        writeln!(
            err,
            "tierway: the request is over server.max_body ({most} bytes)"
        )?;
        return Ok(ExitCode::from(WRONG));
    }
    let asked = headers(&args.header).and_then(|headers| {
        request(
            args.path.as_deref(),
            headers,
            args.tenant.as_deref(),
            body.into(),
        )
    });
    let req = match asked {
        Ok(req) => req,
        Err(no) => {
            writeln!(err, "tierway: {no}")?;
            return Ok(ExitCode::from(WRONG));
        }
    };
    let route = Router::new(&config, &providers).route(req);
    match args.json {
        true => writeln!(out, "{}", route.json())?,
        false => write!(out, "{route}")?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Headers as they are given on the command line: `name=value`, or `name: value`.
fn headers(given: &[String]) -> Result<HeaderMap, Refusal> {
    let mut headers = HeaderMap::new();
    for text in given {
        let pair = text.split_once(['=', ':']).and_then(|(name, value)| {
            let name = HeaderName::try_from(name.trim()).ok()?;
            Some((name, HeaderValue::try_from(value.trim()).ok()?))
        });
        let (name, value) = pair.ok_or_else(|| {
            Refusal::new(
                tierway_services::chat::Kind::InvalidRequest,
                format!("not a header: {text}; write for example x-tierway-tier=complex"),
            )
        })?;
        headers.append(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn told(args: &[&str], input: &str) -> (ExitCode, String, String) {
        let bound = "[server]\nmax_body = 10000\n[providers.ollama]\n[tiers]\nsimple = 'ollama:a'";
        told_of(bound, args, input)
    }

    fn told_of(configured: &str, args: &[&str], input: &str) -> (ExitCode, String, String) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tierway.toml");
        std::fs::write(&file, configured).unwrap();
        let mut args = RouteArgs {
            header: args.iter().map(|arg| (*arg).to_owned()).collect(),
            json: true,
            ..RouteArgs::default()
        };
        args.config = Some(file);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let environment = HashMap::<String, String>::new();
        let code = route(
            &args,
            &environment,
            &mut input.as_bytes(),
            &mut out,
            &mut err,
        )
        .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (code, text(out), text(err))
    }

    #[test]
    fn one_request_one_answer() {
        let body = r#"{"model":"auto","messages":[{"role":"user","content":"hi"}]}"#;
        let (code, out, err) = told(&["x-tierway-tier=reasoning"], body);
        assert_eq!((code, err.as_str()), (ExitCode::SUCCESS, ""));
        let json: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(
            (&json["tier"], &json["model"]),
            (&"reasoning".into(), &"ollama:a".into())
        );
    }

    #[test]
    fn where_nothing_is_bound_it_is_told_what_a_gateway_would_take() {
        let body = r#"{"model":"auto","messages":[{"role":"user","content":"hi"}]}"#;
        let (code, out, err) = told_of("", &[], body);
        assert_eq!((code, err.as_str()), (ExitCode::SUCCESS, ""));
        // The demo models, or a server that runs on this machine.
        let json: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert!(
            json["tier"] == "simple" && json["model"].as_str().is_some_and(|m| m.contains(':')),
            "{out}"
        );
    }

    #[test]
    fn what_cannot_be_routed_is_said() {
        for (header, body, expected) in [
            ("nonsense", "{}", "not a header"),
            ("a=b", "{}", "model"),
            ("a=b", &*" ".repeat(20_000), "max_body"),
        ] {
            let (code, out, err) = told(&[header], body);
            assert_eq!((code, out.as_str()), (ExitCode::from(2), ""));
            assert!(err.contains(expected), "{err}");
        }
    }
}
