//! What is wrong, and everything that is shown for it.
use super::read_with;

#[test]
fn problems_show_their_line_and_what_to_write() {
    let mut all = String::new();
    for (name, text, variables) in CASES {
        let problems = match read_with(text, variables) {
            Ok(loaded) => panic!("{name}: accepted as\n{}", loaded.show()),
            Err(problems) => problems.to_string(),
        };
        assert!(
            !problems.contains("sk-"),
            "{name} shows a secret: {problems}"
        );
        all += &format!("=== {name}\n{problems}\n\n");
    }
    insta::assert_snapshot!("problems", all);
}

type Case = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

#[rustfmt::skip]
const CASES: &[Case] = &[
    ("not TOML", "[server]\nlisten = 127.0.0.1:8787\n", &[]),
    ("not TOML, with a secret", "[providers.a]\napi_key = sk-1234\n", &[]),
    ("a duplicate key", "[server]\nlisten = '127.0.0.1:1'\nlisten = '127.0.0.1:2'\n", &[]),
    ("many at once", "[server]\nlisen = '127.0.0.1:1'\nmax_body = 'huge'\n[cascade]\nthreshold = 85\n[tiers]\nsimple = 'gpt-4o'\n", &[]),
    ("an unknown section", "[provider.a]\nkind = 'ollama'\n", &[]),
    ("a key of elsewhere", "[server]\nthreshold = 0.5\n", &[]),
    ("a name from elsewhere", "[server]\nport = 80\n", &[]),
    ("a key of nowhere", "[cache]\nfoo = 1\n", &[]),
    ("a misspelled secret", "[providers.a]\nkind = 'ollama'\napi_kye = 'sk-1234'\n", &[]),
    ("a section as a value", "server = 3\nkeys = 'sk-1'\n", &[]),
    ("a provider without a name", "[providers]\nkind = 'ollama'\n", &[]),
    ("one pair of brackets", "[keys]\nkey = 'sk-1'\n", &[]),
    ("wrong values", "[server]\nlisten = 8787\nadmin = '127.0.0.1'\nmax_body = 0\nmax_connections = 0\ndrain_timeout = 30\n\
        [cascade]\nenabled = 'yes'\ntiers = ['middle']\nstreams = 'buffered'\ntools = 'yes'\nmax_added_latency = 5\nmax_price_ratio = -1\nstay_big = 'ever'\n[cascade.tier.hard]\nstreams = 'off'\n[cache]\nttl = '5 parsecs'\nmax_bytes = -1\n\
        [log]\nformat = 'xml'\nlevel = 'loud'\n", &[]),
    ("a misspelled kind", "[providers.a]\nkind = 'olama'\n", &[]),
    ("no kind", "[providers.a]\nbase_url = 'http://a'\n", &[]),
    ("a strange kind", "[providers.a]\nkind = 'abacus'\n", &[]),
    ("no address", "[providers.a]\nkind = 'openai-compatible'\n", &[]),
    ("a bad address", "[providers.a]\nkind = 'ollama'\nbase_url = 'localhost:11434'\n", &[]),
    ("a credential in the address", "[providers.a]\nkind = 'ollama'\nbase_url = 'http://me:sk-1@host'\n", &[]),
    ("a bad name", "[providers.'a:b']\nkind = 'ollama'\n", &[]),
    ("no key", "[providers.a]\nkind = 'anthropic'\n", &[]),
    ("a key that is not there", "[providers.a]\nkind = 'anthropic'\napi_key_env = 'MY_KEY'\n", &[("ANTHROPIC_API_KEY", "sk-1")]),
    ("a key for a name", "[providers.a]\nkind = 'anthropic'\napi_key_env = 'sk-1234'\n", &[]),
    ("a key file that is not there", "[providers.a]\nkind = 'anthropic'\napi_key_file = '/no/where'\n", &[]),
    ("a key twice", "[providers.a]\nkind = 'anthropic'\napi_key = 'sk-1'\napi_key_env = 'A'\n", &[("A", "sk-2")]),
    ("an empty key", "[providers.a]\nkind = 'anthropic'\napi_key = ''\n", &[]),
    ("a key that cannot be sent", "[providers.a]\nkind = 'ollama'\napi_key = \"sk\\n-1\"\n", &[]),
    ("a header that is not the user's", "[providers.a.headers]\nhost = 'a'\n[providers.a]\nkind = 'ollama'\n", &[]),
    ("a bad header", "[providers.a]\nkind = 'ollama'\nheaders = { 'x y' = 'sk-1', ok = \"sk\\n-1\" }\n", &[]),
    ("a store that is none", "[affinity]\nstore = 'disk'\nmax_sessions = 0\n", &[]),
    ("a shared store that nobody holds", "[affinity]\nstore = 'redis'\n", &[]),
    ("no address of a Redis", "[redis]\nurl = 'cache:sk-1@host'\n", &[]),
    ("a tier of a misspelled provider", "[providers.local]\nkind = 'ollama'\n[tiers]\nsimple = 'locl:m'\n", &[]),
    ("a tier of no provider", "[tiers]\nsimple = 'there:m'\n", &[]),
    ("a tier of a provider without a key", "[tiers]\nsimple = 'openai:gpt-4o'\n", &[]),
    ("a model that leads nowhere", "[models]\n'gpt-*' = 'cheap'\n'*-mini' = 'auto'\nx = 'no:m'\n", &[]),
    ("open to the network", "[server]\nlisten = '0.0.0.0:8787'\n", &[]),
    ("open to the network by variable", "", &[("TIERWAY_LISTEN", "[::]:8787")]),
    ("one port for two", "[server]\nlisten = '127.0.0.1:1'\nadmin = '127.0.0.1:1'\n", &[]),
    ("keys", "[[keys]]\ntenant = 'a'\n[[keys]]\nkey = 'sk-1'\ntenant = 'b'\n[[keys]]\nkey = 'sk-1'\ntenant = 'c'\n", &[]),
    ("rules", "[[keys]]\nkey = 'sk-1'\ntenant = 'interns'\n[rules.'a b']\nat_least = 'complex'\n[rules.two]\nat_least = 'simple'\nat_most = 'medium'\n\
        [rules.none]\nphrases = []\nclients = ['emacs']\nclasses = ['important']\nheaders = { 'x y' = 'a' }\ntenants = ['intern']\n[rules.off]\nenabled = false\n", &[]),
    ("tenants of no key", "[[keys]]\nkey = 'sk-1'\ntenant = 'interns'\n[tenants.intrens]\ntiers = ['small']\nmodels = 'a:*'\n", &[]),
    ("a cascade without a small model", "[tiers]\nmedium = 'ollama:m'\n[cascade]\nenabled = true\n", &[]),
    ("a price without a half", "[providers.a]\nkind = 'ollama'\n[prices.'a:m']\ninput = -1\n[prices.m]\ninput = 1\noutput = 1\n", &[]),
    ("a baseline of nobody", "[savings]\nbaseline = 'opnai:gpt-4o'\n", &[]),
    ("variables", "", &[("TIER_SIMPLE", "gpt-4o"), ("PORT", "http"), ("PROMPT_CACHE_TTL_MS", "5m"), ("LYNKR_CASCADE_ENABLED", "maybe"),
        ("OLLAMA_ENDPOINT", "localhost"), ("TIER_MEDIUM", "nobody:m")]),
];
