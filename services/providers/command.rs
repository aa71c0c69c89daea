//! Keys that a program tells: a vault's client, a cloud's command line.
use super::{Provider, Secret, token::Fetched};
use std::{fmt, process::Stdio, time::Duration};
use tokio::{io::AsyncReadExt, process::Command, time::timeout};

/// A program may take this long.
const PATIENCE: Duration = Duration::from_secs(10);
/// No key is this long.
const LONGEST: u64 = 64 * 1024;

/// A program that prints a key. It is run without a shell, is asked again when its key is old or was refused, and its arguments are not shown.
///
/// ```
/// use tierway_services::providers::KeyCommand;
/// let command = KeyCommand::new(["pass".to_owned(), "show".to_owned(), "openai".to_owned()]).unwrap();
/// assert_eq!(format!("{command:?}"), r#"KeyCommand("pass")"#);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct KeyCommand {
    program: String,
    arguments: Vec<String>,
    ttl: Duration,
}

impl KeyCommand {
    /// This program with these arguments; `None` where none is named. Its key is good for five minutes.
    #[must_use]
    pub fn new(words: impl IntoIterator<Item = String>) -> Option<Self> {
        let mut words = words.into_iter();
        let program = words.next().filter(|program| !program.trim().is_empty())?;
        Some(Self {
            program,
            arguments: words.collect(),
            ttl: Duration::from_secs(300),
        })
    }
    /// How long its key is good.
    #[must_use]
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }
    /// The program's name.
    #[must_use]
    pub fn program(&self) -> &str {
        &self.program
    }
    /// How long its key is good.
    #[must_use]
    pub const fn good_for(&self) -> Duration {
        self.ttl
    }

    /// Asks it. What it says beside the key is not looked at, for it may hold the key.
    async fn ask(&self) -> Result<Fetched, String> {
        let name = &self.program;
        let asked = async {
            let mut child = Command::new(name)
                .args(&self.arguments)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .kill_on_drop(true)
                .spawn()
                .map_err(|error| format!("api_key_command: {name} cannot be run: {error}"))?;
            let mut told = zeroize::Zeroizing::new(String::new());
            if let Some(out) = child.stdout.take() {
                let read = out.take(LONGEST).read_to_string(&mut told).await;
                read.map_err(|error| format!("api_key_command: {name} cannot be read: {error}"))?;
            }
            let status = child.wait().await;
            let status = status.map_err(|error| format!("api_key_command: {name}: {error}"))?;
            if !status.success() {
                return Err(format!("api_key_command: {name} failed: {status}"));
            }
            let key = Secret::new(&*told);
            if key.is_empty() || key.header("").is_none() {
                return Err(format!(
                    "api_key_command: {name} told no key, or more than one line"
                ));
            }
            Ok(Fetched::new(key, self.ttl))
        };
        let asked = timeout(PATIENCE, asked).await;
        asked.unwrap_or_else(|_| Err(format!("api_key_command: {name} took over 10 s")))
    }
}

impl Provider {
    /// The program that tells its key, where there is no key to be told beforehand.
    #[must_use]
    pub fn key_command(mut self, command: Option<KeyCommand>) -> Self {
        self.command = command;
        self
    }

    /// Looks whether it can do with its program and its files of TLS.
    pub(super) fn check_own(&self) -> Result<(), String> {
        if self.command.is_some() && self.auth().header().is_none() {
            let kind = self.kind();
            return Err(format!(
                "api_key_command: kind {kind} fetches its tokens itself, leave it out"
            ));
        }
        self.tls.check().map_err(|what| format!("tls: {what}"))
    }

    /// The key that its program tells, where it has one.
    ///
    /// # Errors
    /// Why there is none, without a secret in it.
    pub(crate) async fn told_key(&self) -> Option<Result<Secret, String>> {
        let command = self.command.as_ref()?;
        // In a box, so that calls for which no program is asked have no room for that in their futures.
        Some(self.token().get(|| Box::pin(command.ask())).await)
    }
}

impl fmt::Debug for KeyCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyCommand").field(&self.program).finish()
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(script: &str) -> Result<String, String> {
        let words = ["sh", "-c", script].map(str::to_owned);
        let fetched = KeyCommand::new(words).unwrap().ask().await;
        fetched.map(|fetched| fetched.secret().expose().to_owned())
    }

    #[tokio::test]
    async fn a_program_tells_its_key_and_nothing_else_of_it_is_told() {
        assert_eq!(ask("echo ' sk-told '").await.unwrap(), "sk-told");
        for script in ["echo sk-told; exit 3", "true", "printf 'sk-told\nmore'"] {
            let error = ask(script).await.unwrap_err();
            assert!(error.starts_with("api_key_command: sh "), "{error}");
            assert!(!error.contains("sk-told"), "{error}");
        }
        let none = KeyCommand::new(["/nowhere/at/all".to_owned()]).unwrap();
        assert!(none.ask().await.unwrap_err().contains("cannot be run"));
        assert!(KeyCommand::new([]).is_none());
    }
}
