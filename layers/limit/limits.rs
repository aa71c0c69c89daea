//! What may be used, and by whom.
use http::Extensions;
use std::{collections::HashMap, sync::Arc};
use tierway_services::chat::{Notes, Usd};

/// What one key or tenant may use. What is `None` is without limit; by default everything is.
///
/// ```
/// use tierway_layers::limit::Limits;
/// let limits = Limits { requests_per_minute: Some(60), ..Limits::default() };
/// assert!(limits.has_rates() && !limits.has_budgets());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests within any minute.
    pub requests_per_minute: Option<u64>,
    /// Tokens within any minute, prompts and answers together.
    pub tokens_per_minute: Option<u64>,
    /// Requests whose answers have not ended.
    pub concurrent: Option<u32>,
    /// Money for a day (UTC).
    pub usd_per_day: Option<Usd>,
    /// Money for a month (UTC).
    pub usd_per_month: Option<Usd>,
    /// Money for ever.
    pub usd_total: Option<Usd>,
}

/// Who is limited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// A name that tells it from all others, such as `tenant:interns`.
    pub name: Arc<str>,
    /// What it may use.
    pub limits: Limits,
}

/// Knows who is limited in a call. A function of the extensions is one.
pub trait Lookup {
    /// Everybody whose limits this call is to keep: its key, its tenant.
    fn subjects(&self, extensions: &Extensions) -> Vec<Subject>;
}

impl<F: Fn(&Extensions) -> Vec<Subject>> Lookup for F {
    fn subjects(&self, extensions: &Extensions) -> Vec<Subject> {
        self(extensions)
    }
}

/// Limits by tenant and by key; a [`Subject`] among a call's extensions is limited too, so that whoever admits it may lay one there. A clone costs two reference counts.
///
/// ```
/// use tierway_layers::limit::{Limits, Lookup, Table};
/// use tierway_services::chat::{Notes, Tenant};
/// let table = Table::default().tenant("interns", Limits { concurrent: Some(2), ..Limits::default() });
/// let mut extensions = http::Extensions::new();
/// extensions.get_or_insert_default::<Notes>().tenant = Some(Tenant::new("interns"));
/// assert_eq!(&*table.subjects(&extensions)[0].name, "tenant:interns");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Table {
    tenants: Arc<HashMap<Arc<str>, Subject>>,
    keys: Arc<HashMap<Arc<str>, Subject>>,
}

// === impl Limits ===

impl Limits {
    /// Whether requests, tokens or concurrency are limited.
    #[must_use]
    pub const fn has_rates(&self) -> bool {
        self.requests_per_minute.is_some()
            || self.tokens_per_minute.is_some()
            || self.concurrent.is_some()
    }
    /// Whether money is limited.
    #[must_use]
    pub const fn has_budgets(&self) -> bool {
        self.usd_per_day.is_some() || self.usd_per_month.is_some() || self.usd_total.is_some()
    }
}

// === impl Table ===

impl Table {
    /// With the limits of a tenant, for all its keys together.
    #[must_use]
    pub fn tenant(mut self, tenant: &str, limits: Limits) -> Self {
        let subject = Subject {
            name: format!("tenant:{tenant}").into(),
            limits,
        };
        Arc::make_mut(&mut self.tenants).insert(tenant.into(), subject);
        self
    }
    /// With the limits of a key, by its [`KeyId`](tierway_services::chat::KeyId).
    #[must_use]
    pub fn key(mut self, id: &str, limits: Limits) -> Self {
        let subject = Subject {
            name: format!("key:{id}").into(),
            limits,
        };
        Arc::make_mut(&mut self.keys).insert(id.into(), subject);
        self
    }
    /// Whether nobody is limited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tenants.is_empty() && self.keys.is_empty()
    }
    /// Everybody who is limited.
    pub fn all(&self) -> impl Iterator<Item = &Subject> {
        self.keys.values().chain(self.tenants.values())
    }
}

impl Lookup for Table {
    fn subjects(&self, extensions: &Extensions) -> Vec<Subject> {
        let notes = Notes::among(extensions);
        let key = notes.key.as_ref();
        let key = key.and_then(|id| self.keys.get(id.as_str()));
        let tenant = notes.tenant.as_ref();
        let tenant = tenant.and_then(|tenant| self.tenants.get(tenant.as_str()));
        let own = extensions.get::<Subject>();
        own.into_iter().chain(key).chain(tenant).cloned().collect()
    }
}
