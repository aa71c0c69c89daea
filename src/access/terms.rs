//! Whose a virtual key is and what it may use, as it is asked for and kept.
use serde::{Deserialize, Serialize};
use tierway_layers::limit::Limits;
use tierway_services::chat::{Tier, Usd};

/// No more words, and none longer: they stand in every row of the ledger.
const TAGS: (usize, usize) = (16, 64);
/// Names are no longer.
const NAME: usize = 128;

/// Whose a key is and what it may use. What is absent is not limited.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Terms {
    /// For people to recognise it by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// For whom it calls.
    pub tenant: String,
    /// The tiers that it may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tiers: Option<Vec<String>>,
    /// The models, as patterns over `provider:model`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// How much it may use.
    pub limits: Quota,
    /// Words for the ledger.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

/// How much a key may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quota {
    /// Requests within any minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u64>,
    /// Tokens within any minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
    /// Requests at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent: Option<u32>,
    /// US dollars a day (UTC).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usd_per_day: Option<f64>,
    /// US dollars a month (UTC).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usd_per_month: Option<f64>,
    /// US dollars in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usd_total: Option<f64>,
}

impl Terms {
    /// Whether this can be kept.
    ///
    /// # Errors
    /// What is wrong, for whoever asked.
    pub fn check(&self) -> Result<(), String> {
        if self.tenant.is_empty() || self.tenant.len() > NAME || !is_plain(&self.tenant) {
            return Err(format!(
                "the tenant is needed: a name of at most {NAME} characters"
            ));
        }
        if self
            .name
            .as_ref()
            .is_some_and(|n| n.len() > NAME || !is_plain(n))
        {
            return Err(format!(
                "the name has more than {NAME} characters, or strange ones"
            ));
        }
        let (most, long) = TAGS;
        let fits = |tag: &String| {
            !tag.is_empty() && tag.len() <= long && is_plain(tag) && !tag.contains(',')
        };
        if self.tags.len() > most || !self.tags.iter().all(fits) {
            return Err(format!(
                "at most {most} tags, each of at most {long} characters and without a comma"
            ));
        }
        for tier in self.tiers.iter().flatten() {
            tier.parse::<Tier>()
                .map_err(|no| format!("tier {tier:?}: {no}"))?;
        }
        let empty = |list: &Option<Vec<String>>| list.as_ref().is_some_and(Vec::is_empty);
        if empty(&self.tiers) || empty(&self.models) {
            return Err("a list of tiers or models that is empty would allow nothing".to_owned());
        }
        if self
            .models
            .iter()
            .flatten()
            .any(|m| !m.contains(':') && m != "*")
        {
            return Err("models are written provider:model, with * for anything".to_owned());
        }
        let money = [
            self.limits.usd_per_day,
            self.limits.usd_per_month,
            self.limits.usd_total,
        ];
        if money
            .into_iter()
            .flatten()
            .any(|usd| !(0.0..=1e9).contains(&usd))
        {
            return Err("a budget is a number of US dollars".to_owned());
        }
        Ok(())
    }

    /// The tiers that it may use, where not all.
    #[must_use]
    pub fn tiers(&self) -> Option<Vec<Tier>> {
        let tiers = self.tiers.as_ref()?;
        Some(tiers.iter().filter_map(|tier| tier.parse().ok()).collect())
    }
}

impl From<Quota> for Limits {
    fn from(quota: Quota) -> Self {
        Self {
            requests_per_minute: quota.requests_per_minute,
            tokens_per_minute: quota.tokens_per_minute,
            concurrent: quota.concurrent,
            usd_per_day: quota.usd_per_day.map(Usd::from_dollars),
            usd_per_month: quota.usd_per_month.map(Usd::from_dollars),
            usd_total: quota.usd_total.map(Usd::from_dollars),
        }
    }
}

fn is_plain(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_kept_is_refused() {
        let terms = |json: &str| serde_json::from_str::<Terms>(json).map_err(|e| e.to_string());
        for json in [
            r#"{"tenant":"a"}"#,
            r#"{"tenant":"a","name":"b","tiers":["simple"],"models":["o:*"],"tags":["team:x"],"limits":{"usd_total":1.5,"concurrent":2}}"#,
        ] {
            let read = terms(json).unwrap();
            read.check().unwrap();
            let again = serde_json::to_string(&read).unwrap();
            assert_eq!(terms(&again).unwrap(), read);
        }
        for json in [
            r"{}",
            r#"{"tenant":""}"#,
            r#"{"tenant":"a\n"}"#,
            r#"{"tenant":"a","tiers":["huge"]}"#,
            r#"{"tenant":"a","tiers":[]}"#,
            r#"{"tenant":"a","models":["gpt"]}"#,
            r#"{"tenant":"a","tags":["a,b"]}"#,
            r#"{"tenant":"a","limits":{"usd_per_day":-1}}"#,
            r#"{"tenant":"a","limits":{"usd":1}}"#,
            r#"{"tenant":"a","budget":1}"#,
        ] {
            assert!(terms(json).and_then(|t| t.check()).is_err(), "{json}");
        }
    }
}
