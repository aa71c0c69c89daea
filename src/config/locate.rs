//! Finds the configuration file.
use super::{
    Flags, Loaded, Strings,
    environment::Environment,
    origin::{Origin, Problem, Problems},
    read_source,
};
use std::path::PathBuf;

/// The name of the file.
const NAME: &str = "tierway.toml";

/// Finds the configuration file and reads it, with the environment and the flags laid over it.
///
/// Looked for in this order: `--config`, `TIERWAY_CONFIG`, `tierway.toml` in the working directory, and
/// `tierway/tierway.toml` in `$XDG_CONFIG_HOME` (or `~/.config`). A file that was asked for must exist; where none was and none is
/// found, there is no configuration.
///
/// # Errors
/// Everything that is wrong.
pub fn load(flags: &Flags, environment: &dyn Strings) -> Result<Loaded, Problems> {
    let mut variables = Environment::new(environment);
    let asked = flags
        .config
        .clone()
        .map(|path| (path, Origin::Flag("--config")));
    let asked = asked.or_else(|| {
        let path = variables.get("TIERWAY_CONFIG")?;
        Some((
            path.into(),
            Origin::Environment("TIERWAY_CONFIG".to_owned()),
        ))
    });
    let found = asked.or_else(|| {
        let path = usual_places(&mut variables)
            .into_iter()
            .find(|path| path.is_file())?;
        Some((path, Origin::Default))
    });
    let Some((path, origin)) = found else {
        return read_source(None, flags, environment);
    };
    let refuse = |message: String, advice: &str| {
        let problem = Problem {
            origin: origin.clone(),
            message,
            advice: advice.to_owned(),
        };
        Problems::new(None, vec![problem])
    };
    let bytes = std::fs::read(&path).map_err(|error| {
        refuse(
            format!(
                "the configuration file {} cannot be read: {error}",
                path.display()
            ),
            "write the path of a readable file",
        )
    })?;
    let text = String::from_utf8(bytes).map_err(|_| {
        refuse(
            format!("the configuration file {} is not UTF-8", path.display()),
            "save it as UTF-8",
        )
    })?;
    read_source(Some((&path, &text)), flags, environment)
}

/// The gateway's folder among those that the XDG base directories are for, by the variables that `get` knows.
pub(crate) fn state_folder(mut get: impl FnMut(&str) -> Option<String>) -> Option<PathBuf> {
    let state = get("XDG_STATE_HOME").map(PathBuf::from);
    let state = state.or_else(|| Some(PathBuf::from(get("HOME")?).join(".local/state")));
    Some(state?.join("tierway"))
}

fn usual_places(variables: &mut Environment<'_>) -> Vec<PathBuf> {
    let home = variables
        .get("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(variables.get("HOME")?).join(".config")));
    let mut places = vec![PathBuf::from(NAME)];
    places.extend(home.map(|folder| folder.join("tierway").join(NAME)));
    places
}
