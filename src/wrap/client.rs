//! What each program must be told so that its calls come to the gateway.
use crate::config::Strings;
use std::{ffi::OsStr, path::Path};

/// The model that programs ask for where the user named none.
const AUTO: &str = "auto";
/// A program that wants some key gets this one where the gateway asks for none.
const ANY: &str = "tierway";

/// What to add to a program's environment, and to put before its own arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Variables and their values.
    pub environment: Vec<(&'static str, String)>,
    /// Arguments.
    pub arguments: Vec<String>,
}

/// What to tell `program`, which was given `arguments`, so that it calls the gateway at `url` with `key`, where that asks for one.
///
/// `subscription`: the user has signed in to Anthropic with Claude Code, and those credentials are to pass untouched.
///
/// ```
/// use std::collections::HashMap;
/// use tierway::wrap::told;
/// let nothing = HashMap::<String, String>::new();
/// let told = told("/usr/bin/aider".as_ref(), &["--yes"], "http://127.0.0.1:8787", None, false, &nothing);
/// assert!(told.environment.contains(&("OPENAI_API_BASE", "http://127.0.0.1:8787/v1".to_owned())));
/// ```
#[must_use]
pub fn told(
    program: &Path,
    arguments: &[impl AsRef<OsStr>],
    url: &str,
    key: Option<&str>,
    subscription: bool,
    environment: &dyn Strings,
) -> Told {
    let mut told = Told::default();
    let given: Vec<_> = arguments
        .iter()
        .map(|a| a.as_ref().to_string_lossy())
        .collect();
    let names_model = given.iter().any(|a| {
        a == "-m" || a == "--model" || a.starts_with("--model=") || a.starts_with("model=")
    });
    let set = |name: &str| environment.get(name).is_ok_and(|value| value.is_some());
    let some_key = key.unwrap_or(ANY).to_owned();
    match program.file_stem().and_then(OsStr::to_str) {
        Some("claude") => {
            told.set("ANTHROPIC_BASE_URL", url);
            told.set("CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY", "1");
            match key {
                // Beside the subscription's own credentials, in a header that those do not use.
                Some(key) if subscription => {
                    told.set("ANTHROPIC_CUSTOM_HEADERS", &format!("api-key: {key}"))
                }
                None if subscription => {}
                _ => told.set("ANTHROPIC_AUTH_TOKEN", &some_key),
            }
        }
        Some("codex") => {
            told.set("TIERWAY_KEY", &some_key);
            let provider = format!(
                "model_providers.tierway={{name=\"tierway\",base_url=\"{url}/v1\",env_key=\"TIERWAY_KEY\",wire_api=\"responses\"}}"
            );
            told.config("model_provider=\"tierway\"");
            told.config(&provider);
            if !names_model {
                told.config(&format!("model=\"{AUTO}\""));
            }
        }
        program => {
            // Whoever has one of the usual libraries inside reads one of these.
            told.set("ANTHROPIC_BASE_URL", url);
            told.set("OPENAI_BASE_URL", &format!("{url}/v1"));
            told.set("OPENAI_API_BASE", &format!("{url}/v1"));
            for name in ["ANTHROPIC_API_KEY", "OPENAI_API_KEY"] {
                // A key that the user has set may be one that providers expect; the gateway alone asks for ours.
                if key.is_some() || !set(name) {
                    told.set(name, &some_key);
                }
            }
            if program == Some("aider") && !names_model && !set("AIDER_MODEL") {
                told.set("AIDER_MODEL", "openai/auto");
                told.set("AIDER_SHOW_MODEL_WARNINGS", "false");
            }
        }
    }
    told
}

impl Told {
    fn set(&mut self, name: &'static str, value: &str) {
        self.environment.push((name, value.to_owned()));
    }
    fn config(&mut self, setting: &str) {
        self.arguments.extend(["-c".to_owned(), setting.to_owned()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    const URL: &str = "http://127.0.0.1:1";

    fn ask(program: &str, given: &[&str], key: Option<&str>, subscription: bool) -> Told {
        let nothing = HashMap::<String, String>::new();
        told(program.as_ref(), given, URL, key, subscription, &nothing)
    }
    fn value<'t>(told: &'t Told, name: &str) -> Option<&'t str> {
        let found = told.environment.iter().find(|(n, _)| *n == name);
        found.map(|(_, value)| value.as_str())
    }

    #[test]
    fn a_subscription_is_left_alone() {
        let told = ask("claude", &[], None, true);
        assert_eq!(value(&told, "ANTHROPIC_BASE_URL"), Some(URL));
        assert_eq!(value(&told, "ANTHROPIC_AUTH_TOKEN"), None);
        let told = ask("claude", &[], Some("k"), true);
        assert_eq!(value(&told, "ANTHROPIC_CUSTOM_HEADERS"), Some("api-key: k"));
        assert_eq!(value(&told, "ANTHROPIC_AUTH_TOKEN"), None);
    }

    #[test]
    fn without_one_the_key_is_ours() {
        assert_eq!(
            value(&ask("claude", &[], None, false), "ANTHROPIC_AUTH_TOKEN"),
            Some(ANY)
        );
        assert_eq!(
            value(
                &ask("/bin/claude", &[], Some("k"), false),
                "ANTHROPIC_AUTH_TOKEN"
            ),
            Some("k")
        );
    }

    #[test]
    fn a_model_that_the_user_names_stays() {
        let asks_auto = |given: &[&str]| {
            let told = ask("codex", given, None, false);
            told.arguments.contains(&"model=\"auto\"".to_owned())
        };
        assert!(asks_auto(&["exec", "hello"]));
        assert!(!asks_auto(&["-m", "gpt-6"]));
        assert!(!asks_auto(&["-c", "model=\"gpt-6\""]));
        assert_eq!(
            value(&ask("aider", &["--model=x"], None, false), "AIDER_MODEL"),
            None
        );
        assert_eq!(
            value(&ask("aider", &[], None, false), "AIDER_MODEL"),
            Some("openai/auto")
        );
    }

    #[test]
    fn keys_of_the_user_stay_where_the_gateway_asks_for_none() {
        let set = HashMap::from([("OPENAI_API_KEY", "sk-mine")]);
        let told = told("goose".as_ref(), &[] as &[&str], URL, None, false, &set);
        assert_eq!(value(&told, "OPENAI_API_KEY"), None);
        assert_eq!(value(&told, "ANTHROPIC_API_KEY"), Some(ANY));
    }
}
