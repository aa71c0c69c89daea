use super::{
    Language::{self, Go, Java, JavaScript, Json, Python, Toml},
    parse::within,
    unparsable,
};
use std::time::Duration;

fn fails(language: Language, code: &str) -> bool {
    // Longer than in service, for a machine that is busy with other tests.
    within(Duration::from_secs(10), [(language, code)].into_iter())
}

#[test]
fn nobody_waits_for_a_parser() {
    // Broken code, which is told from sound code only by whoever reads to its end.
    let broken = "a ) b ] 'c } \" if for\n".repeat(1_400);
    assert!(!unparsable([(Go, &*broken)].into_iter()));
}

#[test]
fn what_can_be_parsed_passes() {
    for (language, code) in [
        (
            Python,
            "def f(x):\n    match x:\n        case 1: return f\"{x!r}\"\n",
        ),
        (Python, "    x = [i for i in range(3) if i]\n    return x\n"),
        (Python, "class A:\n    ...\n"),
        (
            JavaScript,
            "const f = async (x) => ({...x, y: await g()});\nexport default f;\n",
        ),
        (JavaScript, "{ \"a\": 1, b: [2] }"),
        (JavaScript, "render() { return <p>{this.x}</p>; }"),
        (
            Go,
            "package main\n\nfunc main() {\n\tfor i := range 3 {\n\t\tprintln(i)\n\t}\n}\n",
        ),
        (Go, "x, err := f()\nif err != nil {\n\treturn err\n}\n"),
        (
            Java,
            "public static int f(int x) {\n    return switch (x) { case 1 -> 2; default -> 3; };\n}\n",
        ),
        (Java, "@Override\npublic record P(int x) {}\n"),
        (Json, "{\"a\": [1, 2]}"),
        (Toml, "[a]\nb = 1\n"),
    ] {
        assert!(!fails(language, code), "{language:?}: {code}");
    }
}

#[test]
fn what_cannot_is_told() {
    for (language, code) in [
        (Python, "def f(x:\n    return x\n"),
        (Python, "for i in range(3)\n    print(i)\n"),
        (JavaScript, "function f( { return 1; }\n"),
        (JavaScript, "const x = [1, 2;\n"),
        (Go, "func main() {\n\tfmt.Println(\"a\"\n}\n"),
        (Java, "class A { int f() { return 1 } }\n"),
        (Json, "{\"a\": [1, 2}"),
        (Toml, "[a\nb = 1\n"),
    ] {
        assert!(fails(language, code), "{language:?}: {code}");
    }
}

#[cfg(all(feature = "syntax-rust", feature = "syntax-typescript"))]
#[test]
fn languages_that_cost_more() {
    use super::Language::{Rust, TypeScript};
    for (language, code, wrong) in [
        (
            Rust,
            "impl A { fn f(&self) -> Option<u8> { let Some(x) = self.0 else { return None }; Some(x) } }",
            false,
        ),
        (Rust, "Some(x) => x + 1,", true),
        (Rust, "let x = 1;\nx + 1\n", false),
        (Rust, "fn f( -> u8 { 1 }", true),
        (
            TypeScript,
            "interface A { b?: string[] }\nconst f = (a: A): number => a.b!.length;\n",
            false,
        ),
        (TypeScript, "type A = { b: };\n", true),
    ] {
        assert_eq!(fails(language, code), wrong, "{language:?}: {code}");
    }
}

#[test]
fn what_is_no_fault_is_let_pass() {
    for (language, code) in [
        (Python, ">>> f(1\n2\n"),
        (JavaScript, "function f() {\n  ...\n}\n"),
        (Python, "key = <YOUR_KEY>\n"),
        (Python, "-def f(:\n+def f():\n"),
        (Json, "{\"a\": 1} // so"),
    ] {
        assert!(!fails(language, code), "{language:?}: {code}");
    }
    // Too much to be looked at, whatever it is.
    assert!(!fails(Python, &"x = (\n".repeat(8_000)));
}

#[test]
fn a_question_may_name_a_language() {
    for (question, language) in [
        ("Write a Python function", Some(Python)),
        ("Write it in Java, please", Some(Java)),
        ("Translate this from Python to Java", None),
        ("Write a C++ function", None),
        ("Write a function", None),
    ] {
        assert_eq!(Language::asked(question), language, "{question}");
    }
}
