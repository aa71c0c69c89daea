//! Asks the linker for a smaller release binary, where it can make one.
//!
//! Each wish is tried on an empty program first, with the very compiler, linker and flags of this build, and the program is run: what a
//! linker does not know, or this system cannot start, is left out. Builds for development are as they were.
#![expect(clippy::print_stdout, reason = "how a build script speaks to cargo")]
use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio},
};

const WISHES: [&str; 2] = [
    // Functions that are the same, instruction for instruction, are one: generic code has many.
    "-Wl,--icf=all",
    // Addresses to correct at start are written down in bits rather than in 24 bytes each; glibc reads that since 2.36.
    "-Wl,-z,pack-relative-relocs",
];

fn main() {
    println!("cargo::rerun-if-changed=.ci/link.rs");
    let is = |name, value| env::var(name).is_ok_and(|v| v == value);
    // Cross builds cannot be tried.
    if !is("PROFILE", "release") || env::var("HOST") != env::var("TARGET") {
        return;
    }
    for wish in WISHES {
        if works(wish).unwrap_or(false) {
            println!("cargo::rustc-link-arg-bins={wish}");
        }
    }
}

/// Whether an empty program that is linked with `wish` can be linked, and runs.
fn works(wish: &str) -> Result<bool, Box<dyn std::error::Error>> {
    let out = env::var("OUT_DIR")?;
    let (source, program) = (Path::new(&out).join("try.rs"), Path::new(&out).join("try"));
    fs::write(&source, "fn main() {}")?;
    let mut rustc = Command::new(env::var("RUSTC")?);
    rustc.args(["--target", &env::var("TARGET")?, "-C"]);
    rustc.arg(format!("link-arg={wish}"));
    if let Ok(linker) = env::var("RUSTC_LINKER") {
        rustc.arg("-C").arg(format!("linker={linker}"));
    }
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    rustc.args(flags.split('\x1f').filter(|flag| !flag.is_empty()));
    rustc.arg(&source).arg("-o").arg(&program);
    let ran = |command: &mut Command| {
        let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
        quiet.status().map(|status| status.success())
    };
    Ok(ran(&mut rustc)? && ran(&mut Command::new(&program))?)
}
