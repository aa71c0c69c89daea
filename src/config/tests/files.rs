use super::*;

#[test]
fn keys_are_read_from_files_beside_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("alice.key"), "sk-alice\n").unwrap();
    let file = folder.path().join("tierway.toml");
    std::fs::write(&file, "[[keys]]\nkey_file = 'alice.key'\ntenant = 'alice'").unwrap();
    let flags = Flags {
        config: Some(file.clone()),
        ..Flags::default()
    };
    let loaded = load(&flags, &HashMap::<String, String>::new()).unwrap();
    assert_eq!(loaded.config.keys[0].key.expose(), "sk-alice");
    assert_eq!(loaded.path(), Some(&*file));
}

#[test]
fn the_file_is_looked_for_where_users_put_it() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("tierway");
    std::fs::create_dir(&home).unwrap();
    std::fs::write(home.join("tierway.toml"), "[log]\nlevel = 'debug'").unwrap();
    let home = folder.path().display().to_string();
    let environment = HashMap::from([("XDG_CONFIG_HOME", &home)]);
    let loaded = load(&Flags::default(), &environment).unwrap();
    assert_eq!(loaded.config.log.level, "debug");
    let missing = format!("{home}/no.toml");
    let environment = HashMap::from([("XDG_CONFIG_HOME", &home), ("TIERWAY_CONFIG", &missing)]);
    let problems = load(&Flags::default(), &environment)
        .unwrap_err()
        .to_string();
    assert!(
        problems.contains("TIERWAY_CONFIG") && problems.contains("no.toml cannot be read"),
        "{problems}"
    );
}
