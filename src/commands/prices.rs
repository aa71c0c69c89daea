//! `tierway prices`: which list of prices is used, and how it becomes a newer one.
use super::WRONG;
use crate::config::{Flags, Strings, load};
use clap::{Args, Subcommand};
use serde_json::{Map, Value};
use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};
use tierway_services::prices::{COLUMNS, PriceList};

/// Options of `prices`.
#[derive(Args, Clone, Debug)]
pub struct PricesArgs {
    /// What to do with it
    #[command(subcommand)]
    pub what: What,
}

/// What is done with the list.
#[derive(Clone, Debug, Subcommand)]
pub enum What {
    /// Take the prices of a file, which the gateway uses before its built-in ones from its next start on
    ///
    /// The file is LiteLLM's `model_prices_and_context_window.json`, or a table as this command writes it: a model's name and its prices
    /// in US dollars for a million tokens, divided by tabs.
    Update(UpdateArgs),
}

/// Options of `prices update`.
#[derive(Args, Clone, Debug)]
pub struct UpdateArgs {
    /// The file with the prices
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The configuration file, found as `serve` finds it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Takes the prices; a file that has none gives exit code 2.
///
/// # Errors
/// Where the list cannot be written.
pub fn run(args: &PricesArgs, environment: &dyn Strings) -> io::Result<ExitCode> {
    let What::Update(args) = &args.what;
    match update(args, environment) {
        Ok(told) => {
            writeln!(io::stdout().lock(), "{told}")?;
            Ok(ExitCode::SUCCESS)
        }
        Err(what) => {
            writeln!(io::stderr().lock(), "tierway prices: {what}")?;
            Ok(ExitCode::from(WRONG))
        }
    }
}

fn update(args: &UpdateArgs, environment: &dyn Strings) -> Result<String, String> {
    let named = |error: io::Error| format!("{}: {error}", args.file.display());
    let text = fs::read_to_string(&args.file).map_err(named)?;
    let table = match serde_json::from_str::<Map<String, Value>>(&text) {
        Ok(models) => converted(&models, &args.file),
        Err(_) => text,
    };
    let (_, count) = PriceList::empty().with_list(&table);
    if count == 0 {
        return Err(format!("{} holds no prices", args.file.display()));
    }
    let flags = Flags {
        config: args.config.clone(),
        ..Flags::default()
    };
    let loaded = load(&flags, environment);
    let config = loaded
        .map_err(|problems| problems.render(false).to_string())?
        .config;
    let to = config
        .savings
        .prices
        .ok_or("nowhere to write to: set savings.prices, or HOME")?;
    crate::labels::model_file::replace(&to, table.as_bytes())
        .map_err(|error| format!("{}: {error}", to.display()))?;
    Ok(format!(
        "{count} prices written to {}: a gateway reads them when it starts",
        to.display()
    ))
}

/// The names that LiteLLM has for our columns; money for one token.
const NAMES: [&str; COLUMNS.len()] = [
    "input_cost_per_token",
    "output_cost_per_token",
    "cache_read_input_token_cost",
    "cache_creation_input_token_cost",
    "cache_creation_input_token_cost_above_1hr",
    "input_cost_per_token_above_200k_tokens",
    "output_cost_per_token_above_200k_tokens",
    "max_input_tokens",
    "max_output_tokens",
    "input_cost_per_token_above_272k_tokens",
    "output_cost_per_token_above_272k_tokens",
    "input_cost_per_audio_token",
    "output_cost_per_audio_token",
    "input_cost_per_image_token",
    "output_cost_per_image_token",
    "output_cost_per_reasoning_token",
    "input_cost_per_token_batches",
    "output_cost_per_token_batches",
    "input_cost_per_token_flex",
    "output_cost_per_token_flex",
    "input_cost_per_token_priority",
    "output_cost_per_token_priority",
];

/// Our table of LiteLLM's models. One that costs nothing at all is left out: zero stands for "unknown" there as often as for "free".
fn converted(models: &Map<String, Value>, from: &Path) -> String {
    let name = from.file_name().unwrap_or_default().to_string_lossy();
    let mut lines = vec![
        format!("# Prices of models in US dollars for a million tokens, from {name}."),
        format!("# model\t{}", COLUMNS.join("\t")),
    ];
    let mut names: Vec<&String> = models.keys().collect();
    names.sort();
    for name in names {
        let model = models.get(name);
        let number = |field: &str| model?.get(field)?.as_f64();
        let costs = |field| number(field).is_some_and(|cost| cost > 0.0);
        if name.contains(['\t', '\n', '#']) || !(costs(NAMES[0]) || costs(NAMES[1])) {
            continue;
        }
        let cells = NAMES.map(|field| match number(field) {
            None if field == NAMES[0] => "0".to_owned(),
            None => String::new(),
            Some(number) if field.starts_with("max_") => format!("{number:.0}"),
            Some(cost) => {
                let quote = format!("{:.6}", cost * 1e6);
                quote.trim_end_matches('0').trim_end_matches('.').to_owned()
            }
        });
        let line = format!("{name}\t{}", cells.join("\t"));
        lines.push(line.trim_end().to_owned());
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use tierway_services::chat::Usd;

    const MODELS: &str = r#"{
        "sample_spec": {"input_cost_per_token": 0.0, "output_cost_per_token": 0.0},
        "one": {"input_cost_per_token": 1.5e-06, "output_cost_per_token": 6e-06, "cache_read_input_token_cost": 3.75e-08,
                "max_input_tokens": 128000, "output_cost_per_audio_token": 8e-05, "input_cost_per_token_batches": 7.5e-07,
                "output_cost_per_token_batches": 3e-06},
        "two": {"output_cost_per_token": 1e-06}
    }"#;

    #[test]
    fn a_list_is_converted_written_and_read() {
        let folder = tempfile::tempdir().unwrap();
        let (file, to) = (
            folder.path().join("models.json"),
            folder.path().join("list/prices.tsv"),
        );
        fs::write(&file, MODELS).unwrap();
        let config = folder.path().join("tierway.toml");
        fs::write(&config, "[savings]\nprices = 'list/prices.tsv'\n").unwrap();
        let mut args = UpdateArgs {
            file,
            config: Some(config),
        };
        let nothing = HashMap::<String, String>::new();
        let told = update(&args, &nothing).unwrap();
        assert!(told.starts_with("2 prices written to "), "{told}");
        let (list, count) = PriceList::empty().with_list(&fs::read_to_string(&to).unwrap());
        let one = list.price_of_model("one").unwrap();
        assert_eq!((count, one.input), (2, Usd::per_million(1.5)));
        assert_eq!(one.cache_read, Some(Usd::per_million(0.0375)));
        assert_eq!(one.output_audio, Some(Usd::per_million(80.0)));
        assert_eq!(
            one.batch,
            Some((Usd::per_million(0.75), Usd::per_million(3.0)))
        );
        assert_eq!(list.price_of_model("two").unwrap().input, Usd::ZERO);
        // What it wrote it takes.
        args.file = to;
        assert!(update(&args, &nothing).unwrap().starts_with("2 prices"));
        args.file = folder.path().join("none");
        assert!(update(&args, &nothing).is_err());
    }
}
