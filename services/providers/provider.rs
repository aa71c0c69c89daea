//! One configured provider.
#[cfg(feature = "bedrock")]
use super::bedrock;
use super::{
    Abilities, AuthStyle, KeyCommand, Kind, Secret, Setting, Settings, Tls,
    address::Address,
    google,
    ready::Ready,
    spec::{Ask, Auth, Native, Path, Spec},
    token::Token,
};
use crate::{
    chat::{Operation, PrefixCache, Prompt, fits},
    dialect::Dialect,
    translate::{self, Capabilities},
};
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use std::{fmt, sync::Arc, time::Duration};

/// How long a provider may take.
///
/// ```
/// use std::time::Duration;
/// use tierway_services::providers::Timeouts;
/// let patient = Timeouts { first_byte: Duration::from_secs(1800), ..Timeouts::default() };
/// assert_eq!(patient.connect, Duration::from_secs(10));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the connection stands, TLS included: 10 s.
    pub connect: Duration,
    /// From the call until the first byte of the answer: 10 min. A model that thinks for long before it streams, or is asked for a whole
    /// answer, is silent until then.
    pub first_byte: Duration,
    /// Between two chunks of an answer: 2 min.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(600),
            idle: Duration::from_secs(120),
        }
    }
}

/// A provider under a name: its [`Kind`], where it listens, its key, its time limits.
///
/// ```
/// use tierway_services::providers::{Kind, Provider, Secret, Timeouts};
/// let local = Provider::new("local", Kind::Ollama);
/// let cloud = Provider::new("cloud", Kind::Anthropic).api_key(Secret::new("sk-ant-...")).timeouts(Timeouts::default());
/// assert_eq!((local.kind(), cloud.name()), (Kind::Ollama, "cloud"));
/// ```
#[derive(Clone, Debug)]
pub struct Provider {
    name: Arc<str>,
    kind: Kind,
    pub(super) address: Option<Address>,
    #[cfg(feature = "bedrock")]
    credentials: Arc<bedrock::Credentials>,
    key: Option<Secret>,
    pass_credentials: bool,
    native_messages: Option<bool>,
    native_responses: Option<bool>,
    timeouts: Timeouts,
    headers: HeaderMap,
    settings: Settings,
    models: Vec<(Box<str>, Abilities)>,
    pub(super) command: Option<KeyCommand>,
    pub(super) tls: Tls,
    /// Fetched where there is no key to send; clones share it.
    token: Arc<Token>,
    ready: Ready,
}

impl Provider {
    /// A provider of this kind where its kind usually listens.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, kind: Kind) -> Self {
        Self {
            name: name.into(),
            kind,
            address: kind
                .default_base_url()
                .and_then(|url| Address::parse(url).ok()),
            #[cfg(feature = "bedrock")]
            credentials: Arc::default(),
            key: None,
            pass_credentials: false,
            native_messages: None,
            native_responses: None,
            timeouts: Timeouts::default(),
            headers: HeaderMap::new(),
            settings: Settings::default(),
            models: Vec::new(),
            command: None,
            tls: Tls::default(),
            token: Arc::default(),
            ready: Ready::default(),
        }
    }
    /// What its kind wants to know besides. To be told before an address: in another region its kind may listen elsewhere.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        if let (Some(_), Some(region)) = (self.spec().regional, &settings.region) {
            let url = self.kind.base_url_in(region);
            self.address = url.and_then(|url| Address::parse(&url).ok());
        }
        self.settings = settings;
        self.ready = Ready::default();
        self
    }
    /// What the models whose names fit `pattern` (in which `*` stands for anything) can and cannot. Of several that fit, the last told wins.
    #[must_use]
    pub fn model(mut self, pattern: &str, abilities: Abilities) -> Self {
        self.models.push((pattern.into(), abilities));
        self
    }
    /// Where it listens: with or without the `/v1`, and with any path before it.
    ///
    /// # Errors
    /// [`ProviderError`] where this is no such URL.
    pub fn base_url(mut self, url: &str) -> Result<Self, ProviderError> {
        match Address::parse(url) {
            Ok(address) => {
                self.address = Some(address);
                self.ready = Ready::default();
                Ok(self)
            }
            Err(why) => Err(self.error(format!("base_url: {why}"))),
        }
    }
    /// Its key. An empty one is none.
    #[must_use]
    pub fn api_key(mut self, key: Secret) -> Self {
        self.key = Some(key).filter(|k| !k.is_empty());
        self.ready = Ready::default();
        self
    }
    /// Whether the caller's own `authorization` and `x-api-key` go to it instead of our key. Off by default; needed where callers sign in
    /// to the provider themselves (Claude subscriptions).
    #[must_use]
    pub const fn pass_credentials(mut self, pass: bool) -> Self {
        self.pass_credentials = pass;
        self
    }
    /// Whether it speaks Anthropic's Messages itself. `None`, the default, is its kind's own answer, found out by one question where
    /// only newer versions do.
    #[must_use]
    pub const fn native_messages(mut self, native: Option<bool>) -> Self {
        self.native_messages = native;
        self
    }
    /// Whether it speaks `OpenAI`'s Responses itself; as with [`native_messages`](Self::native_messages).
    #[must_use]
    pub const fn native_responses(mut self, native: Option<bool>) -> Self {
        self.native_responses = native;
        self
    }
    /// How long it may take.
    #[must_use]
    pub const fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }
    /// A header that every call to it carries.
    ///
    /// # Errors
    /// [`ProviderError`] where this cannot be a header, or is one that is ours to write.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, ProviderError> {
        let Ok(header) = HeaderName::try_from(name) else {
            return Err(self.error(format!("header {name:?}: this is not a header's name")));
        };
        if OURS.contains(&header) {
            return Err(self.error(format!(
                "header {name:?}: the connection's own, leave it out"
            )));
        }
        let Ok(mut value) = HeaderValue::from_str(value) else {
            return Err(self.error(format!("header {name:?}: its value holds line breaks")));
        };
        // It may be a credential; nobody needs to see it.
        value.set_sensitive(true);
        self.headers.insert(header, value);
        Ok(self)
    }
    /// Looks whether it can be called at all.
    ///
    /// # Errors
    /// [`ProviderError`] where its address is missing, its region can be none, or its key cannot be sent.
    pub fn check(&self) -> Result<(), ProviderError> {
        if let (Some(_), Some(region)) = (self.spec().regional, &self.settings.region)
            && self.kind.base_url_in(region).is_none()
        {
            return Err(self.error("region: write one like us-east-1".into()));
        }
        self.check_address()?;
        let knows_project = |(setting, _): &(Setting, _)| *setting == Setting::Project;
        let settings = &self.settings;
        if self.spec().settings_env.iter().any(knows_project)
            && settings.project.is_none()
            && settings
                .credentials
                .as_ref()
                .and_then(google::project)
                .is_none()
        {
            let kind = self.kind;
            return Err(self.error(format!("project: kind {kind} needs one, set it")));
        }
        if let Some(credentials) = &self.settings.credentials {
            google::check(credentials)
                .map_err(|what| self.error(format!("credentials: {what}")))?;
        }
        self.check_own().map_err(|what| self.error(what))?;
        if self.key.as_ref().is_some_and(|k| k.header("").is_none()) {
            return Err(self.error("api_key: it holds characters that no header can carry".into()));
        }
        Ok(())
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }
    /// Whether it has a key.
    #[must_use]
    pub const fn has_key(&self) -> bool {
        self.key.is_some()
    }
    /// Scheme, host and port, safe to show; empty where no address is known.
    #[must_use]
    pub fn origin(&self) -> String {
        self.address
            .as_ref()
            .map(Address::origin)
            .unwrap_or_default()
    }

    /// What this model of its can, as far as it is known.
    #[must_use]
    pub fn capabilities(&self, model: &str) -> Capabilities {
        let mut caps = self.spec().can.clone();
        let of_kind = self
            .spec()
            .models_can
            .iter()
            .copied()
            .flatten()
            .map(|(p, a)| (*p, a));
        for (pattern, abilities) in of_kind.chain(self.own_models()) {
            if fits(pattern, model) {
                abilities.apply(&mut caps);
            }
        }
        caps.cache_marks = matches!(self.kind.prefix_cache(model), Some(PrefixCache::Marks(_)));
        caps
    }
    /// What is known of this model of its, by its kind or by what was told: nothing that is only assumed.
    #[must_use]
    pub fn abilities(&self, model: &str) -> Abilities {
        let of_kind = self.spec().models_can.iter().copied().flatten();
        of_kind
            .map(|(p, a)| (*p, a))
            .chain(self.own_models())
            .filter(|(pattern, _)| fits(pattern, model))
            .fold(Abilities::UNKNOWN, |known, (_, more)| more.or(known))
    }
    /// What the user has said of this model, if anything.
    pub(crate) fn said_of(&self, model: &str) -> Option<Abilities> {
        self.own_models()
            .filter(|(pattern, _)| fits(pattern, model))
            .fold(None, |said, (_, more)| {
                Some(more.or(said.unwrap_or_default()))
            })
    }
    /// The dialect of its own in which this request is to be asked, where chat completions would not do.
    pub(crate) fn own_dialect(&self, prompt: &Prompt, model: &str) -> Option<Dialect> {
        if prompt.facts().dialect != Dialect::ChatCompletions {
            return None;
        }
        let marked = || translate::has_field(prompt, self.spec().own_marks);
        let own = self
            .own(model)
            .or_else(|| self.spec().own.filter(|_| marked()));
        own.map(|own| own.dialect)
    }
    /// Its own dialect, where that is what requests for this model are translated into.
    pub(crate) fn own(&self, model: &str) -> Option<&'static Native> {
        let only = || {
            let mut patterns = self.spec().own_models.iter();
            patterns.any(|pattern| fits(pattern, model))
        };
        let own = self.spec().own;
        own.filter(|_| self.settings.native_chat || only())
    }
    fn own_models(&self) -> impl Iterator<Item = (&str, &Abilities)> {
        self.models.iter().map(|(pattern, a)| (&**pattern, a))
    }
    /// How it takes its key.
    pub(crate) fn auth(&self) -> Auth {
        let style: Option<AuthStyle> = self.settings.auth;
        style.map_or(self.spec().auth, Auth::of)
    }
    pub(crate) const fn told(&self) -> &Settings {
        &self.settings
    }
    pub(crate) fn token(&self) -> &Token {
        &self.token
    }
    /// The URI of its list of models, where it has one.
    pub(crate) fn models_uri(&self) -> Option<Uri> {
        let ask = Ask {
            operation: Operation::Generate,
            model: "",
            stream: false,
            settings: &self.settings,
        };
        self.at(self.spec().models?, &ask, None).ok()
    }

    pub(crate) const fn spec(&self) -> &'static Spec {
        self.kind.spec()
    }
    pub(crate) const fn limits(&self) -> Timeouts {
        self.timeouts
    }
    pub(crate) const fn key(&self) -> Option<&Secret> {
        self.key.as_ref()
    }
    /// The value of the header that bears its key, where it can be sent.
    pub(crate) fn key_header(&self) -> Option<HeaderValue> {
        let made = || self.key.as_ref()?.header(self.auth().prefix());
        self.ready.key(made)
    }
    #[cfg(feature = "bedrock")]
    pub(super) fn credentials(&self) -> &bedrock::Credentials {
        &self.credentials
    }
    pub(crate) const fn passes_credentials(&self) -> bool {
        self.pass_credentials
    }
    /// What the user says of whether it speaks a dialect.
    pub(crate) const fn says_native(&self, dialect: Dialect) -> Option<bool> {
        match dialect {
            Dialect::Messages => self.native_messages,
            Dialect::Responses => self.native_responses,
            _ => None,
        }
    }
    pub(crate) const fn headers(&self) -> &HeaderMap {
        &self.headers
    }
    pub(crate) fn shared_name(&self) -> Arc<str> {
        self.name.clone()
    }
    /// The URI of an operation in a dialect that it speaks.
    pub(crate) fn endpoint(
        &self,
        dialect: Dialect,
        ask: &Ask<'_>,
        query: Option<&str>,
    ) -> Result<Uri, ProviderError> {
        let native = self.spec().native(dialect);
        match native.and_then(|n| n.path(ask.operation)) {
            Some(path) => self.at(path, ask, query),
            None => Err(self.error(format!("kind {} does not do this", self.kind))),
        }
    }
    fn at(&self, path: Path, ask: &Ask<'_>, query: Option<&str>) -> Result<Uri, ProviderError> {
        self.check_address()?;
        let address = self.address.as_ref();
        let uri = match (path, query) {
            (Path::Fixed(path), None) => self.ready.uri(path, || address?.uri(path, None).ok()),
            (Path::Fixed(path), _) => address.and_then(|at| at.uri(path, query).ok()),
            (Path::Rooted(path), _) => address.and_then(|at| at.rooted(&path(ask), query).ok()),
        };
        uri.ok_or_else(|| self.error("base_url: no URL can be made of it".into()))
    }

    fn check_address(&self) -> Result<(), ProviderError> {
        if self.address.is_some() {
            return Ok(());
        }
        let kind = self.kind;
        Err(self.error(format!("base_url: kind {kind} has no default, set it")))
    }
    fn error(&self, what: String) -> ProviderError {
        ProviderError {
            provider: self.name.clone(),
            what,
        }
    }
}

/// Headers that the HTTP client writes itself.
const OURS: [HeaderName; 8] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::ACCEPT_ENCODING,
    header::TE,
    header::UPGRADE,
];

/// A provider that cannot work as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderError {
    provider: Arc<str>,
    what: String,
}

impl ProviderError {
    /// What is wrong, without the provider's name.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }
}
impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "provider {}: {}", self.provider, self.what)
    }
}
impl std::error::Error for ProviderError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Operation;

    #[test]
    fn nothing_secret_is_shown() {
        let provider = Provider::new("p", Kind::OpenAi)
            .api_key(Secret::new("sk-hunter2"))
            .header("x-team", "hunter2")
            .unwrap();
        assert!(!format!("{provider:?}").contains("hunter2"));
        let error = provider.base_url("http://u:hunter2@h").unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    #[test]
    fn what_cannot_work_is_said() {
        let new = || Provider::new("p", Kind::OpenAiCompatible);
        assert!(
            new()
                .check()
                .unwrap_err()
                .to_string()
                .starts_with("provider p: base_url")
        );
        let url = |p: Provider| p.base_url("http://h").unwrap();
        assert!(url(new()).check().is_ok());
        assert!(url(new()).api_key(Secret::new("a\u{7f}b")).check().is_err());
        assert!(!url(new()).api_key(Secret::new(" ")).has_key());
        assert!(new().header("Content-Length", "1").is_err());
        assert!(new().header("a b", "1").is_err());
        assert!(new().header("x-a", "1\n2").is_err());
    }

    #[test]
    fn endpoints_by_kind() {
        let uri = |kind, dialect, operation| {
            let ask = Ask {
                operation,
                model: "m",
                stream: false,
                settings: &Settings::default(),
            };
            Provider::new("p", kind)
                .endpoint(dialect, &ask, None)
                .map(|u| u.to_string())
                .ok()
        };
        let (messages, chat) = (Dialect::Messages, Dialect::ChatCompletions);
        assert_eq!(
            uri(Kind::OpenRouter, chat, Operation::Generate).as_deref(),
            Some("https://openrouter.ai/api/v1/chat/completions")
        );
        assert_eq!(
            uri(Kind::Anthropic, messages, Operation::CountTokens).as_deref(),
            Some("https://api.anthropic.com/v1/messages/count_tokens")
        );
        assert_eq!(uri(Kind::Anthropic, chat, Operation::Generate), None);
        assert_eq!(uri(Kind::Ollama, messages, Operation::CountTokens), None);
    }
}
