//! Who gets tools, which of them, and how much a call may do.
use super::MCP;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tierway_services::{
    chat::{self, Notes, Tenant, Usd, fits},
    tools::Tool,
};

/// How much a call may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How often the model may be asked. By default 10.
    pub rounds: usize,
    /// How many tools it may call in all. By default 50.
    pub calls: usize,
    /// How long all rounds and calls together may take before the last round begins. By default 5 minutes.
    pub time: Duration,
    /// What all rounds together may cost before the last begins. By default 1 US dollar.
    pub cost: Usd,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rounds: 10,
            calls: 50,
            time: Duration::from_secs(300),
            cost: Usd::from_dollars(1.0),
        }
    }
}

/// What becomes of calls that may change something: those of every tool whose server does not say that it only reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Writes {
    /// They are run.
    Allow,
    /// The user is asked first: the model gets a word to tell the user, who allows the call by writing that word. It is good for this tool with these
    /// arguments alone.
    #[default]
    Confirm,
    /// Such tools are not shown.
    Deny,
}

/// Which tools some caller may use: patterns over `server.tool`, in which `*` stands for anything.
///
/// ```
/// use tierway_layers::mcp::Allowed;
/// let allowed = Allowed::new(["files.*", "time.*"], ["*.delete_*"]);
/// assert!(allowed.is("files.read") && !allowed.is("files.delete_all") && !allowed.is("web.get"));
/// assert!(Allowed::default().is("web.get"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    allow: Option<Vec<String>>,
    deny: Vec<String>,
}

impl Allowed {
    /// What fits `allow` and not `deny`.
    #[must_use]
    pub fn new<A: Into<String>, D: Into<String>>(
        allow: impl IntoIterator<Item = A>,
        deny: impl IntoIterator<Item = D>,
    ) -> Self {
        Self {
            allow: Some(allow.into_iter().map(Into::into).collect()),
            deny: deny.into_iter().map(Into::into).collect(),
        }
    }
    /// Everything that does not fit `deny`.
    #[must_use]
    pub fn all_but<D: Into<String>>(deny: impl IntoIterator<Item = D>) -> Self {
        Self {
            allow: None,
            deny: deny.into_iter().map(Into::into).collect(),
        }
    }
    /// Whether `server.tool` is allowed.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        let any = |patterns: &[String]| patterns.iter().any(|pattern| fits(pattern, name));
        self.allow.as_deref().is_none_or(any) && !any(&self.deny)
    }
}

/// Who gets tools, and which.
///
/// A caller asks for them with the header `x-tierway-mcp`; some get them without asking, by their tenant or the model that they name, and
/// then the header's `off` is the way out.
#[derive(Clone, Debug)]
pub struct Policy(Arc<Inner>);

#[derive(Clone, Debug, Default)]
struct Inner {
    everybody: bool,
    tenants: Vec<String>,
    models: Vec<String>,
    allowed: Allowed,
    by_tenant: BTreeMap<String, Allowed>,
    writes: Writes,
    server_writes: BTreeMap<String, Writes>,
}

/// Whose tools a caller wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    All,
    Of(Vec<String>),
}

/// What is to be done with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Run,
    Ask,
    No,
}

impl Default for Policy {
    fn default() -> Self {
        Self::new()
    }
}

impl Policy {
    /// Tools for those who ask, all of them, and the user is asked before anything is changed.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::default())
    }
    fn with(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }
    /// All callers get tools.
    #[must_use]
    pub fn for_everybody(self) -> Self {
        self.with(|inner| inner.everybody = true)
    }
    /// All callers of these tenants get tools.
    #[must_use]
    pub fn for_tenants<N: Into<String>>(self, tenants: impl IntoIterator<Item = N>) -> Self {
        let tenants = tenants.into_iter().map(Into::into);
        self.with(|inner| inner.tenants.extend(tenants))
    }
    /// All calls that name a model which fits one of these patterns get tools.
    #[must_use]
    pub fn for_models<N: Into<String>>(self, models: impl IntoIterator<Item = N>) -> Self {
        let models = models.into_iter().map(Into::into);
        self.with(|inner| inner.models.extend(models))
    }
    /// These tools for everybody who gets any.
    #[must_use]
    pub fn allow(self, allowed: Allowed) -> Self {
        self.with(|inner| inner.allowed = allowed)
    }
    /// Of those, only these for a tenant.
    #[must_use]
    pub fn allow_tenant(self, tenant: impl Into<String>, allowed: Allowed) -> Self {
        self.with(|inner| drop(inner.by_tenant.insert(tenant.into(), allowed)))
    }
    /// What becomes of calls that may change something.
    #[must_use]
    pub fn writes(self, writes: Writes) -> Self {
        self.with(|inner| inner.writes = writes)
    }
    /// The same for one server.
    #[must_use]
    pub fn server_writes(self, server: impl Into<String>, writes: Writes) -> Self {
        self.with(|inner| {
            inner.server_writes.insert(server.into(), writes);
        })
    }

    /// What a tenant may do with a tool: whether it may see it, and whether it is asked before it is run.
    #[must_use]
    pub fn may(&self, tenant: Option<&Tenant>, tool: &Tool) -> Option<Writes> {
        match self.verdict(tenant, tool) {
            Verdict::Run => Some(Writes::Allow),
            Verdict::Ask => Some(Writes::Confirm),
            Verdict::No => None,
        }
    }

    pub(super) fn wanted(&self, req: &chat::Request) -> Option<Wanted> {
        if Notes::of(req).aside {
            // A title or a topic needs no tools, and would pay for their descriptions.
            return None;
        }
        let said = req.headers().get(MCP).and_then(|v| v.to_str().ok());
        match said.map(str::trim) {
            Some("off" | "false" | "no" | "0") => None,
            Some("on" | "true" | "yes" | "1" | "all" | "*") => Some(Wanted::All),
            Some(names) if !names.is_empty() => {
                let names = names.split(',').map(|name| name.trim().to_owned());
                Some(Wanted::Of(names.collect()))
            }
            _ => self.unasked(req).then_some(Wanted::All),
        }
    }

    fn unasked(&self, req: &chat::Request) -> bool {
        let inner = &*self.0;
        if inner.everybody {
            return true;
        }
        let listed = |tenant: &Tenant| inner.tenants.iter().any(|name| name == tenant.as_str());
        let named = |pattern: &String| fits(pattern, &req.body().facts().model);
        (!inner.tenants.is_empty() && Tenant::of(req).is_some_and(listed))
            || inner.models.iter().any(named)
    }

    pub(super) fn verdict(&self, tenant: Option<&Tenant>, tool: &Tool) -> Verdict {
        let inner = &*self.0;
        let name = tool.full_name();
        let own = tenant.and_then(|tenant| inner.by_tenant.get(tenant.as_str()));
        if !inner.allowed.is(&name) || own.is_some_and(|own| !own.is(&name)) {
            return Verdict::No;
        }
        if tool.read_only {
            return Verdict::Run;
        }
        match inner
            .server_writes
            .get(&*tool.server)
            .unwrap_or(&inner.writes)
        {
            Writes::Allow => Verdict::Run,
            Writes::Confirm => Verdict::Ask,
            Writes::Deny => Verdict::No,
        }
    }
}

impl Wanted {
    pub(super) fn is(&self, server: &str) -> bool {
        match self {
            Self::All => true,
            Self::Of(names) => names.iter().any(|name| name == server),
        }
    }
}
