//! A route as JSON, and for a person to read.
use super::Route;
use serde_json::{Value, json};
use std::fmt::{self, Write};
use tierway_layers::classify::Decision;
use tierway_services::chat::{Tier, Usd};

/// As many digits as say something: three, and of what is larger the whole part.
fn short(number: f64) -> f64 {
    if number == 0.0 || !number.is_finite() {
        return number;
    }
    let digits = 2 - number.abs().log10().floor() as i32;
    let scale = 10_f64.powi(digits.max(0));
    (number * scale).round() / scale
}

fn dollars(price: Option<Usd>) -> Value {
    price.map_or(Value::Null, |usd| json!(usd.as_dollars()))
}

impl Route {
    fn decision(&self) -> Option<&Decision> {
        self.explained.decision.as_ref()
    }

    /// Everything, as JSON: `null` is unknown, or not there.
    #[must_use]
    pub fn json(&self) -> Value {
        let decision = self.decision();
        let suffices = decision.and_then(|d| d.suffices).map(|s| {
            let each = Tier::ALL
                .iter()
                .zip(s)
                .map(|(tier, p)| (tier.to_string(), json!(short(p.into()))));
            Value::Object(each.collect())
        });
        let notes = decision.map_or(&[][..], |d| &d.notes);
        let notes: Vec<Value> = notes
            .iter()
            .map(|n| json!({"name": n.name, "from": n.from.as_str(), "to": n.to.as_str()}))
            .collect();
        let features = self.explained.features.iter();
        let features: serde_json::Map<String, Value> = features
            .map(|(name, v)| ((*name).to_owned(), json!(short(*v))))
            .collect();
        let tiers: Vec<Value> = self
            .tiers
            .iter()
            .map(|o| json!({"tier": o.tier.as_str(), "model": o.target.to_string(), "usd": dollars(o.price), "usd_at_most": dollars(o.most)}))
            .collect();
        let refused = self
            .target
            .as_ref()
            .err()
            .map(|no| json!({"code": no.code(), "message": no.message()}));
        json!({
            "tier": decision.map(|d| d.tier.as_str()),
            "model": self.target.as_ref().ok().map(ToString::to_string),
            "refused": refused,
            "reason": decision.map(|d| d.reason.clone()),
            "score": decision.map(|d| short(d.score.into())),
            "suffices": suffices,
            "learned": decision.and_then(|d| d.learning).map(|l| json!({"revision": l.revision, "labels": l.labels})),
            "notes": notes,
            "client": {"kind": self.client.kind.as_str(), "class": self.client.class.as_str(), "side": self.client.side.map(|s| s.as_str())},
            "features": features,
            "prompt_tokens": self.prompt_tokens,
            "output_tokens": self.output_tokens,
            "max_tokens": self.max_tokens,
            "tiers": tiers,
        })
    }
}

/// For a person to read.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.decision() {
            Some(decision) => {
                writeln!(f, "tier      {}", decision.tier)?;
                writeln!(
                    f,
                    "reason    {}, score {:.2}",
                    decision.reason, decision.score
                )?;
                if let Some(suffices) = decision.suffices {
                    let mut each = String::new();
                    for (tier, p) in Tier::ALL.iter().zip(suffices) {
                        write!(each, "  {tier} {p:.2}")?;
                    }
                    writeln!(f, "suffices{each}")?;
                }
                if let Some(learned) = decision.learning {
                    let (labels, revision) = (learned.labels, learned.revision);
                    writeln!(f, "learned   from {labels} labels, revision {revision}")?;
                }
                for note in &decision.notes {
                    match note.from == note.to {
                        true => writeln!(f, "note      {}: stays {}", note.name, note.to)?,
                        false => {
                            writeln!(f, "note      {}: {} -> {}", note.name, note.from, note.to)?
                        }
                    }
                }
            }
            None => writeln!(f, "tier      none: the caller named a model")?,
        }
        match &self.target {
            Ok(target) => writeln!(f, "model     {target}")?,
            Err(no) => writeln!(f, "refused   {no}")?,
        }
        let side = self
            .client
            .side
            .map(|s| format!(", {s}"))
            .unwrap_or_default();
        writeln!(
            f,
            "client    {}, {}{side}",
            self.client.kind, self.client.class
        )?;
        for (name, value) in &self.explained.features {
            writeln!(f, "feature   {name} {}", short(*value))?;
        }
        let limit = self
            .max_tokens
            .map(|most| format!(" (of at most {most})"))
            .unwrap_or_default();
        writeln!(
            f,
            "\nprice of {} tokens and an answer of {}{limit}, in US dollars:",
            self.prompt_tokens, self.output_tokens
        )?;
        let shown = |price: Option<Usd>| {
            price.map_or_else(
                || "unknown".to_owned(),
                |usd| format!("{:.6}", usd.as_dollars()),
            )
        };
        for offer in &self.tiers {
            write!(
                f,
                "  {:<9}  {:<10}  {}",
                offer.tier.as_str(),
                shown(offer.price),
                offer.target
            )?;
            match offer.most {
                Some(most) => writeln!(f, "  (at most {})", shown(Some(most)))?,
                None => writeln!(f)?,
            }
        }
        if self.tiers.is_empty() {
            writeln!(f, "  no tier is bound")?;
        }
        Ok(())
    }
}
