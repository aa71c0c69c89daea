//! `tierway init`: a first configuration, from what is found here or from that of another gateway.
use super::{InitArgs, WRONG};
use crate::{
    blocking::wait,
    config::{Flags, Strings, plan, read},
    discovery,
    doctor::{Called, call},
    init::{Draft, How, Mapped, import_dotenv, import_litellm},
    stack,
};
use std::{
    fs::OpenOptions,
    io::{self, BufRead, IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};
use tierway_services::{
    Dispatch,
    chat::{Target, Tier},
    upstream::Client,
};

const USUAL: &str = "tierway.toml";

/// Asks, or takes what would be proposed.
struct Talk<'a> {
    input: &'a mut dyn BufRead,
    out: &'a mut dyn Write,
    asks: bool,
}

/// Finds out, asks little, and writes the file.
///
/// # Errors
/// Where the file cannot be written, or a file to import cannot be read.
pub fn run(args: &InitArgs, environment: &dyn Strings) -> io::Result<ExitCode> {
    let asks = !args.yes && io::stdin().is_terminal();
    let mut talk = Talk {
        input: &mut io::stdin().lock(),
        out: &mut io::stdout().lock(),
        asks,
    };
    init(args, environment, &mut talk)
}

fn init(args: &InitArgs, environment: &dyn Strings, talk: &mut Talk<'_>) -> io::Result<ExitCode> {
    let output = args.output.clone().unwrap_or_else(|| PathBuf::from(USUAL));
    if output.exists() && !args.force {
        let told = format!(
            "{} is there already: --force replaces it, --output FILE writes another",
            output.display()
        );
        talk.say(&told)?;
        return Ok(ExitCode::from(WRONG));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let mut draft = Draft::default();
    for file in &args.import {
        if !import(file, &mut draft, talk)? {
            return Ok(ExitCode::from(WRONG));
        }
    }
    if draft.tiers.is_empty() {
        found(&runtime, environment, &mut draft, talk)?;
    }
    if draft.tiers.is_empty() {
        talk.say("nothing is there to bind tiers to: start Ollama, llama.cpp or LM Studio, or set a key such as ANTHROPIC_API_KEY, and try again")?;
        return Ok(ExitCode::FAILURE);
    }
    choose(&mut draft, talk)?;
    let text = draft.to_toml();
    let usable = test(&runtime, &output, &text, environment, talk)?;
    write(&output, &text, args.force)?;
    talk.say(&format!("\nwrote {}. Next:", output.display()))?;
    if !args.import.is_empty() {
        talk.say("  set -a; . ./.env; set +a      # keys stay in the environment")?;
    }
    if !draft.keys.is_empty() {
        let (variable, _) = &draft.keys[0];
        talk.say(&format!(
            "  export {variable}=...          # a long random text: openssl rand -hex 24"
        ))?;
    }
    talk.say("  tierway doctor\n  tierway wrap claude           # or: tierway serve")?;
    Ok(if usable {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Adds what `file` configures. False where it could not be used, which was told.
fn import(file: &Path, draft: &mut Draft, talk: &mut Talk<'_>) -> io::Result<bool> {
    let text = std::fs::read_to_string(file)
        .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", file.display())))?;
    let yaml = file.extension().is_some_and(|e| e == "yaml" || e == "yml");
    let read = if yaml {
        import_litellm(&text).map(Ok)
    } else {
        import_dotenv(&text)
    };
    let (found, mapped) = match read {
        Ok(Ok(read)) => read,
        Ok(Err(problems)) => {
            talk.say(&problems.render(false))?;
            return Ok(false);
        }
        Err(error) => {
            talk.say(&format!("{}: {error}", file.display()))?;
            return Ok(false);
        }
    };
    told(file, mapped, talk)?;
    let Draft {
        providers,
        tiers,
        models,
        cascade,
        keys,
        network,
    } = found;
    draft.providers.extend(providers);
    draft.tiers.extend(tiers);
    draft.models.extend(models);
    draft.keys.extend(keys);
    draft.cascade |= cascade;
    draft.network |= network;
    // LiteLLM has no tiers: its models are what they can be bound to.
    if draft.tiers.is_empty() && !draft.models.is_empty() {
        let first = draft.models.values().next().cloned();
        for tier in Tier::ALL {
            let model = first
                .clone()
                .map(|first| talk.target(&format!("model of tier {tier}"), first));
            if let Some(model) = model {
                draft.tiers.insert(tier, model?);
            }
        }
    }
    Ok(true)
}

fn told(file: &Path, mut mapped: Vec<Mapped>, talk: &mut Talk<'_>) -> io::Result<()> {
    let count = |how| mapped.iter().filter(|m| m.how == how).count();
    talk.say(&format!(
        "{}: {} settings exactly, {} nearly, {} not",
        file.display(),
        count(How::Exactly),
        count(How::Approximately),
        count(How::Not)
    ))?;
    mapped.sort_by_key(|m| m.how);
    for one in mapped {
        talk.say(&format!("  {one}"))?;
    }
    Ok(())
}

/// Looks for servers and keys, and proposes a tier for each.
fn found(
    runtime: &tokio::runtime::Runtime,
    environment: &dyn Strings,
    draft: &mut Draft,
    talk: &mut Talk<'_>,
) -> io::Result<()> {
    let loaded = match read("".as_ref(), "", &Flags::default(), environment) {
        Ok(loaded) => loaded,
        Err(problems) => return talk.say(&problems.render(false)),
    };
    if !loaded.config.tiers.is_empty() {
        talk.say("the environment binds the tiers")?;
        let bound = Draft::of_config(&loaded);
        draft.providers.extend(bound.providers);
        draft.tiers = bound.tiers;
        return Ok(());
    }
    talk.say("looking for model servers on this machine and keys in the environment ...")?;
    let found = wait(runtime, discovery::look(&loaded.config));
    for (server, models) in &found.servers {
        talk.say(&format!(
            "  {} at {}: {} models",
            server.provider,
            server.base_url,
            models.len()
        ))?;
    }
    for (name, _) in &found.clouds {
        talk.say(&format!("  {name}: a key is set"))?;
    }
    let plan = plan(&found);
    let proposed = Draft::of_plan(&plan, &loaded);
    draft.providers.extend(proposed.providers);
    draft.tiers = proposed.tiers;
    if !plan.is_empty() {
        talk.say(&format!("\n{}", plan.table()))?;
    }
    Ok(())
}

fn choose(draft: &mut Draft, talk: &mut Talk<'_>) -> io::Result<()> {
    if !talk.yes("Bind the tiers so?", true)? {
        for (tier, target) in &mut draft.tiers {
            *target = talk.target(&format!("model of tier {tier}"), target.clone())?;
        }
    }
    // Without a small model there is nothing to try first.
    draft.cascade = match (
        draft.tiers.get(&Tier::Simple),
        draft.tiers.get(&Tier::Complex),
    ) {
        (None, _) => false,
        (small, big) => talk.yes(
            "Try the small model first in the middle tiers?",
            small != big || draft.cascade,
        )?,
    };
    if draft.keys.is_empty() && !talk.yes("May only this machine call?", true)? {
        draft.network = true;
        draft
            .keys
            .push(("TIERWAY_KEY".to_owned(), "default".to_owned()));
    }
    Ok(())
}

/// Reads the text as the gateway will, and asks each model for a word. Whether all is well.
fn test(
    runtime: &tokio::runtime::Runtime,
    output: &Path,
    text: &str,
    environment: &dyn Strings,
    talk: &mut Talk<'_>,
) -> io::Result<bool> {
    let loaded = match read(output, text, &Flags::default(), environment) {
        Ok(loaded) => loaded,
        Err(problems) => {
            talk.say("\nthis is still missing:")?;
            talk.say(&problems.render(false))?;
            return Ok(false);
        }
    };
    if !talk.yes("Ask each model for one word, to see that it answers?", true)? {
        return Ok(true);
    }
    let providers = stack::providers(&loaded.config).map_err(io::Error::other)?;
    let dispatch = Dispatch::new(providers, Client::new());
    let mut targets: Vec<&Target> = loaded.config.tiers.values().collect();
    targets.dedup();
    let mut usable = true;
    for target in targets {
        match wait(runtime, call(&dispatch, target)) {
            Called::Answered(took) => {
                talk.say(&format!("  ✓ {target} answered in {} ms", took.as_millis()))?
            }
            Called::Refused(why) => {
                usable = false;
                talk.say(&format!("  ✗ {target}: {why}"))?;
            }
        }
    }
    Ok(usable)
}

fn write(output: &Path, text: &str, force: bool) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(output)?.write_all(text.as_bytes())
}

// === impl Talk ===

impl Talk<'_> {
    fn say(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")
    }

    /// What was typed; `None` where nothing was, or nobody is there to ask.
    fn ask(&mut self, question: &str, proposed: &str) -> io::Result<Option<String>> {
        if !self.asks {
            return Ok(None);
        }
        write!(self.out, "{question} [{proposed}] ")?;
        self.out.flush()?;
        let mut line = String::new();
        self.input.read_line(&mut line)?;
        let line = line.trim();
        Ok((!line.is_empty()).then(|| line.to_owned()))
    }

    fn yes(&mut self, question: &str, proposed: bool) -> io::Result<bool> {
        let shown = if proposed { "Y/n" } else { "y/N" };
        let answer = self.ask(question, shown)?;
        Ok(answer.map_or(proposed, |answer| {
            answer.to_ascii_lowercase().starts_with('y')
        }))
    }

    fn target(&mut self, question: &str, proposed: Target) -> io::Result<Target> {
        loop {
            let Some(answer) = self.ask(question, &proposed.to_string())? else {
                return Ok(proposed);
            };
            match answer.parse() {
                Ok(target) => return Ok(target),
                Err(_) => self.say("write provider:model, for example ollama:qwen2.5:3b")?,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn init_with(args: &InitArgs, variables: &[(&str, &str)], answers: &str) -> (ExitCode, String) {
        let environment: HashMap<String, String> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let mut out = Vec::new();
        let mut talk = Talk {
            input: &mut answers.as_bytes(),
            out: &mut out,
            asks: !answers.is_empty(),
        };
        let code = init(args, &environment, &mut talk).unwrap();
        (code, String::from_utf8(out).unwrap())
    }

    #[test]
    fn another_gateways_file_becomes_ours() {
        let folder = tempfile::tempdir().unwrap();
        let env = folder.path().join(".env");
        std::fs::write(
            &env,
            "TIER_SIMPLE=ollama:a\nTIER_COMPLEX=ollama:b\nOLLAMA_ENDPOINT=http://127.0.0.1:1\n",
        )
        .unwrap();
        let output = folder.path().join("t.toml");
        let args = InitArgs {
            output: Some(output.clone()),
            import: vec![env],
            ..InitArgs::default()
        };
        // Yes to all but: only this machine may call? and: ask each model?
        let (_, said) = init_with(&args, &[("TIERWAY_KEY", "k")], "y\ny\nn\nn\n");
        let text = std::fs::read_to_string(&output).unwrap();
        assert!(
            text.contains("simple = \"ollama:a\"") && text.contains("TIERWAY_KEY"),
            "{text}"
        );
        assert!(said.contains("3 settings exactly"), "{said}");
        let (code, said) = init_with(&args, &[], "");
        assert_eq!(code, ExitCode::from(WRONG));
        assert!(said.contains("--force"));
    }

    #[test]
    fn a_target_is_asked_for_until_it_is_one() {
        let mut out = Vec::new();
        let mut talk = Talk {
            input: &mut "nonsense\nollama:x\n".as_bytes(),
            out: &mut out,
            asks: true,
        };
        let target = talk.target("?", Target::new("a", "b")).unwrap();
        assert_eq!(target.to_string(), "ollama:x");
    }
}
