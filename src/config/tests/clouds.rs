//! Clouds: the names that their users know, and where their settings come from.
use super::*;

#[test]
fn the_clouds_are_known_by_the_names_that_their_users_know() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("account.json");
    let account = r#"{"type":"authorized_user","client_id":"i","client_secret":"hunter2","refresh_token":"r","quota_project_id":"quota"}"#;
    std::fs::write(&file, account).unwrap();
    let loaded = sound(
        "[tiers]\nsimple = 'vertex:gemini-3.5-flash'",
        &[
            ("AZURE_OPENAI_ENDPOINT", "https://res.openai.azure.com/"),
            ("AZURE_OPENAI_API_KEY", "sk-az"),
            ("AZURE_OPENAI_API_VERSION", "2024-10-21"),
            (
                "AZURE_ANTHROPIC_ENDPOINT",
                "https://res.services.ai.azure.com/anthropic/v1/messages",
            ),
            ("AZURE_ANTHROPIC_API_KEY", "sk-aa"),
            ("DATABRICKS_HOST", "https://adb-1.azuredatabricks.net"),
            ("DATABRICKS_CLIENT_ID", "principal"),
            ("DATABRICKS_CLIENT_SECRET", "hunter2"),
            ("GEMINI_API_KEY", "sk-ge"),
            ("GOOGLE_API_KEY", "sk-go"),
            ("GOOGLE_CLOUD_LOCATION", "europe-west1"),
            ("GOOGLE_APPLICATION_CREDENTIALS", file.to_str().unwrap()),
            ("GROQ_API_KEY", "sk-gr"),
            ("VLLM_ENDPOINT", "http://127.0.0.1:8001"),
        ],
    );
    let shown = loaded.show();
    assert!(!shown.contains("hunter2"), "{shown}");
    let providers: Vec<&str> = shown
        .split("\n\n")
        .filter(|section| section.starts_with("[providers") && !section.contains(".timeouts]"))
        .collect();
    insta::assert_snapshot!("clouds", providers.join("\n\n"));
    let google = &loaded.config.providers["gemini"];
    assert_eq!(
        google.api_key.as_ref().unwrap().expose(),
        "sk-ge",
        "the usual one first"
    );
    let vertex = loaded.config.providers["vertex"].build("vertex").unwrap();
    assert_eq!(
        vertex.origin(),
        "https://europe-west1-aiplatform.googleapis.com"
    );
}

#[test]
fn a_cloud_of_the_file_uses_what_its_kind_has_in_the_environment() {
    let text = "[providers.work]\nkind = 'azure-openai'\nbase_url = 'https://r.openai.azure.com'\n[providers.else]\nkind = 'gemini'\nbase_url = 'http://127.0.0.1:1'";
    let loaded = sound(
        text,
        &[
            ("AZURE_OPENAI_API_KEY", "sk-az"),
            ("GEMINI_API_KEY", "sk-ge"),
        ],
    );
    let key = |name: &str| loaded.config.providers[name].api_key.clone();
    assert_eq!(
        key("work"),
        Some(Secret::new("sk-az")),
        "it has no other address"
    );
    assert_eq!(key("else"), None, "it is not theirs");
}

#[test]
fn what_models_can_is_read_and_shown() {
    let text = "[providers.groq]\napi_key = 'k'\n[providers.groq.models.\"llama-*\"]\ntools = false\nvision = false\nmax_tokens_field = 'max_tokens'\nmax_output = 4096\ncontext = 8192\nreasoning = 'none'";
    let loaded = sound(text, &[]);
    let provider = loaded.config.providers["groq"].build("groq").unwrap();
    let caps = provider.capabilities("llama-3.3-70b");
    assert!(!caps.tools && !caps.vision && caps.max_output == Some(4096));
    assert!(provider.capabilities("qwen3-32b").tools);
    let shown = loaded.show();
    assert!(
        shown.contains("[providers.groq.models.\"llama-*\"]"),
        "{shown}"
    );
    let again = sound(&shown.replace("***", "k"), &[]);
    let models = |loaded: &Loaded| loaded.config.providers["groq"].models.clone();
    assert_eq!(models(&again), models(&loaded));
}

#[test]
fn bedrock_is_in_a_region_and_finds_its_key() {
    let provider = |toml: &str, variables: &[(&str, &str)]| {
        let loaded = sound(toml, variables);
        let provider = loaded.config.providers["bedrock"].clone();
        let address = provider.address().unwrap().into_owned();
        let key = provider.api_key.as_ref().map(|k| k.expose().to_owned());
        (address, key)
    };
    let at = |region: &str| format!("https://bedrock-runtime.{region}.amazonaws.com");
    let file = "[providers.bedrock]\n";
    assert_eq!(provider(file, &[]), (at("us-east-1"), None));
    assert_eq!(
        provider(file, &[("AWS_DEFAULT_REGION", "eu-west-1")]),
        (at("eu-west-1"), None)
    );
    let both = [
        ("AWS_DEFAULT_REGION", "eu-west-1"),
        ("AWS_REGION", "eu-west-2"),
    ];
    assert_eq!(provider(file, &both).0, at("eu-west-2"));
    let typed = "[providers.bedrock]\nregion = \"ap-south-1\"\n";
    assert_eq!(provider(typed, &both).0, at("ap-south-1"));
    // The key alone is enough, by either name.
    for name in ["AWS_BEARER_TOKEN_BEDROCK", "AWS_BEDROCK_API_KEY"] {
        let variables = [(name, "k"), ("AWS_REGION", "eu-west-2")];
        let expected = (at("eu-west-2"), Some("k".to_owned()));
        assert_eq!(provider("", &variables), expected);
        assert_eq!(provider(file, &variables), expected);
    }
    // So is a tier that names it: credentials are looked for when they are needed.
    let tier = "[tiers]\nsimple = \"bedrock:amazon.nova-lite-v1:0\"\n";
    assert_eq!(provider(tier, &[]), (at("us-east-1"), None));
    // A key of the environment goes to Amazon, not to another address.
    let own = "[providers.bedrock]\nbase_url = \"http://127.0.0.1:1\"\n";
    let keyed = [("AWS_BEARER_TOKEN_BEDROCK", "k")];
    assert_eq!(
        provider(own, &keyed),
        ("http://127.0.0.1:1".to_owned(), None)
    );
    // The region is no secret, and a signature for another address is of one too.
    let loaded = sound(own, &both);
    let settings = &loaded.config.providers["bedrock"].settings;
    assert_eq!(settings.region.as_deref(), Some("eu-west-2"));
    let wrong = "[providers.bedrock]\nregion = \"us east\"\n";
    assert!(read_with(wrong, &[]).is_err());
}
