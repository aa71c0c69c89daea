//! Rules, and what tenants may use.
use super::Resolver;
use crate::config::{
    file,
    origin::Origin,
    settings::{Key, Rule, Tenant},
    shape::closest,
    typed::{Named, Typed},
};
use std::collections::BTreeMap;
use tierway_layers::classify::{Effect, Risk};
use tierway_services::chat::Tier;

impl Resolver<'_, '_> {
    pub(super) fn tenants(
        &mut self,
        typed: BTreeMap<String, Named<file::Tenant>>,
        keys: &[Key],
        elsewhere: bool,
    ) -> BTreeMap<String, Tenant> {
        let tenants = typed.into_iter().map(|(name, Named { origin, value })| {
            let path = format!("tenants.{name}");
            if !elsewhere {
                self.known_tenant(&path, origin, &name, keys);
            }
            let tenant = Tenant {
                tiers: self.take(&format!("{path}.tiers"), value.tiers),
                models: self.take(&format!("{path}.models"), value.models),
                cache: self
                    .take(&format!("{path}.cache"), value.cache)
                    .unwrap_or(true),
                limits: self.quota(&path, value.limits),
            };
            (name, tenant)
        });
        tenants.collect()
    }

    pub(super) fn rules(
        &mut self,
        typed: BTreeMap<String, Named<file::Rule>>,
        keys: &[Key],
        elsewhere: bool,
    ) -> BTreeMap<String, Rule> {
        let rules = typed.into_iter().filter_map(|(name, rule)| {
            let rule = self.rule(&name, rule, keys, elsewhere)?;
            Some((name, rule))
        });
        rules.collect()
    }

    fn rule(
        &mut self,
        name: &str,
        Named { origin, value }: Named<file::Rule>,
        keys: &[Key],
        elsewhere: bool,
    ) -> Option<Rule> {
        let path = format!("rules.{name}");
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || !name.chars().all(fits) {
            self.refuse(
                origin.clone(),
                format!("`{name}` cannot be a rule's name"),
                "write letters, digits, `-`, `_` and `.`: answers name it in a header",
            );
        }
        let enabled = self.take(&format!("{path}.enabled"), value.enabled);
        let tried = [&value.at_least, &value.at_most, &value.exactly];
        let effects = tried.into_iter().flatten().count();
        let effect = [
            self.take(&format!("{path}.at_least"), value.at_least)
                .map(Effect::AtLeast),
            self.take(&format!("{path}.at_most"), value.at_most)
                .map(Effect::AtMost),
            self.take(&format!("{path}.exactly"), value.exactly)
                .map(Effect::Exactly),
        ];
        let built_in = Risk::named(name).is_some();
        if effects > 1 || (effects == 0 && !built_in && enabled != Some(false)) {
            self.refuse(
                origin,
                match effects {
                    0 => format!("`{path}` does nothing"),
                    _ => format!("`{path}` does several things"),
                },
                "write one of at_least, at_most and exactly, for example at_least = \"complex\"",
            );
        }
        let tenants = value.tenants.as_ref().map(|typed| typed.origin.clone());
        let texts = |list: Option<Vec<String>>| list.unwrap_or_default();
        let rule = Rule {
            enabled: enabled.unwrap_or(true),
            effect: effect
                .into_iter()
                .flatten()
                .next()
                .unwrap_or(Effect::AtLeast(Tier::Complex)),
            phrases: texts(self.take(&format!("{path}.phrases"), value.phrases)),
            paths: texts(self.take(&format!("{path}.paths"), value.paths)),
            headers: self.rule_headers(&path, value.headers),
            tenants: texts(self.take(&format!("{path}.tenants"), value.tenants)),
            clients: self
                .take(&format!("{path}.clients"), value.clients)
                .unwrap_or_default(),
            classes: self
                .take(&format!("{path}.classes"), value.classes)
                .unwrap_or_default(),
        };
        for tenant in rule.tenants.iter().filter(|_| !elsewhere) {
            let origin = tenants.clone().unwrap_or(Origin::Default);
            self.known_tenant(&format!("{path}.tenants"), origin, tenant, keys);
        }
        Some(rule)
    }

    fn rule_headers(
        &mut self,
        path: &str,
        typed: BTreeMap<String, Named<Typed<String>>>,
    ) -> BTreeMap<String, String> {
        let headers = typed
            .into_iter()
            .filter_map(|(name, Named { origin, value })| {
                let path = format!("{path}.headers.{name}");
                if http::HeaderName::try_from(&name).is_err() {
                    self.refuse(
                        origin,
                        format!("`{name}` is not a header's name"),
                        "write for example x-team",
                    );
                }
                let value = self.take(&path, Some(value))?;
                Some((name, value))
            });
        headers.collect()
    }

    /// A tenant that no key calls for is a slip, and its limits would hold nobody.
    pub(super) fn known_tenant(&mut self, path: &str, origin: Origin, tenant: &str, keys: &[Key]) {
        if keys.iter().any(|key| key.tenant == tenant) {
            return;
        }
        let advice = match closest(tenant, keys.iter().map(|key| key.tenant.as_str())) {
            Some(close) => format!("write `{close}`"),
            None => format!(
                "add [[keys]] with tenant = \"{tenant}\", or access.required = true for keys of `tierway keys`"
            ),
        };
        self.refuse(
            origin,
            format!("`{path}` is for the tenant `{tenant}`, for whom no key calls"),
            advice,
        );
    }
}
