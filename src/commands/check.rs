//! `tierway check`: what the configuration means, or everything that is wrong with it.
use super::{CheckArgs, WRONG, colour};
use crate::config::{Strings, load, reference};
use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

/// Prints the configuration to standard output, or its problems to standard error.
///
/// # Errors
/// Where the output cannot be written.
pub fn run(args: CheckArgs, environment: &dyn Strings) -> io::Result<ExitCode> {
    let colour = colour(io::stderr().is_terminal(), environment);
    check(
        args,
        environment,
        colour,
        &mut io::stdout().lock(),
        &mut io::stderr().lock(),
    )
}

fn check(
    args: CheckArgs,
    environment: &dyn Strings,
    colour: bool,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<ExitCode> {
    if args.reference {
        out.write_all(reference::markdown().as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    match load(&args.serve.into(), environment) {
        Ok(loaded) => {
            writeln!(out, "# {}", loaded.summary())?;
            if loaded.config.tiers.is_empty() {
                writeln!(
                    out,
                    "# no tier is bound: `tierway serve` binds them to what it finds at start"
                )?;
            }
            write!(out, "\n{}", loaded.show())?;
            Ok(ExitCode::SUCCESS)
        }
        Err(problems) => {
            writeln!(err, "{}", problems.render(colour))?;
            Ok(ExitCode::from(WRONG))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn check_text(toml: &str) -> (ExitCode, String, String) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tierway.toml");
        std::fs::write(&file, toml).unwrap();
        let mut args = CheckArgs::default();
        args.serve.config = Some(file.clone());
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = check(
            args,
            &HashMap::<String, String>::new(),
            false,
            &mut out,
            &mut err,
        )
        .unwrap();
        let name = file.display().to_string();
        let text = |bytes| {
            String::from_utf8(bytes)
                .unwrap()
                .replace(&name, "tierway.toml")
        };
        (code, text(out), text(err))
    }

    #[test]
    fn a_sound_configuration_is_printed() {
        let (code, out, err) = check_text("[server]\nlisten = 'localhost:1'");
        assert_eq!((code, err.as_str()), (ExitCode::SUCCESS, ""));
        assert!(out.starts_with("# configuration: tierway.toml\n"), "{out}");
        assert!(out.contains("listen = \"127.0.0.1:1\""), "{out}");
    }

    #[test]
    fn a_wrong_one_gives_2_and_all_problems() {
        let (code, out, err) = check_text("[server]\nlisten = 1\nadmn = 2");
        assert_eq!((code, out.as_str()), (ExitCode::from(2), ""));
        assert!(
            err.contains("tierway.toml:2:10") && err.contains("tierway.toml:3:1"),
            "{err}"
        );
    }
}
