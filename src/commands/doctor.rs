//! `tierway doctor`: whether the gateway would work here and now, and what cures what does not.
use super::{DoctorArgs, colour, loaded};
use crate::{
    blocking::wait,
    config::Strings,
    discovery,
    doctor::{self, Health, Section},
};
use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

/// Prints what it finds. The exit code is 1 where calls would fail, 2 where the configuration cannot be used.
///
/// # Errors
/// Where the output cannot be written.
pub fn run(args: &DoctorArgs, environment: &dyn Strings) -> io::Result<ExitCode> {
    let file = args.config.as_ref();
    let painted = colour(io::stderr().is_terminal(), environment);
    let mut loaded = match loaded(file, environment, painted, &mut io::stderr().lock())? {
        Ok(loaded) => loaded,
        Err(code) => return Ok(code),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let sections = wait(&runtime, async {
        discovery::look_around(&mut loaded).await;
        doctor::examine(&loaded, args.call).await
    })?;
    let colour = colour(io::stdout().is_terminal(), environment);
    let mut out = io::stdout().lock();
    for section in &sections {
        writeln!(out, "{}", section.render(colour))?;
    }
    let worst = sections.iter().map(Section::health).max();
    let (told, code) = match worst.unwrap_or(Health::Good) {
        Health::Good => ("all is well", ExitCode::SUCCESS),
        Health::Doubtful => ("it works; see the lines with !", ExitCode::SUCCESS),
        Health::Bad => ("calls will fail; see the lines with ✗", ExitCode::FAILURE),
    };
    writeln!(out, "{told}")?;
    Ok(code)
}
