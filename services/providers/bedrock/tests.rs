use super::*;
use crate::{
    chat::Kind as Refused,
    providers::{Kind, Settings},
    translate::Reasoning,
};

#[test]
fn paths_encode_the_model() {
    let path = |make: fn(&Ask<'_>) -> String, operation, model: &str, stream| {
        make(&Ask {
            operation,
            model,
            stream,
            settings: &Settings::default(),
        })
    };
    let generate = Operation::Generate;
    assert_eq!(
        path(converse_path, generate, "anthropic.claude-v1:0", false),
        "/model/anthropic.claude-v1%3A0/converse"
    );
    assert_eq!(
        path(converse_path, generate, "meta.llama3", true),
        "/model/meta.llama3/converse-stream"
    );
    let arn = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-x-v1:0";
    assert_eq!(
        path(invoke_path, generate, arn, true),
        "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fus.anthropic.claude-x-v1%3A0/invoke-with-response-stream"
    );
    for (model, counted) in [
        (arn, "anthropic.claude-x-v1%3A0"),
        ("global.anthropic.claude-x", "anthropic.claude-x"),
        ("anthropic.claude-x", "anthropic.claude-x"),
        (
            "arn:aws:bedrock:eu-west-1:1:application-inference-profile/abc",
            "arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Aapplication-inference-profile%2Fabc",
        ),
    ] {
        assert_eq!(
            path(invoke_path, Operation::CountTokens, model, false),
            format!("/model/{counted}/count-tokens")
        );
    }
}

#[test]
fn claude_is_spoken_to_in_its_own_dialect() {
    for (model, native) in [
        ("eu.anthropic.claude-sonnet-4-5-20250929-v1:0", true),
        ("amazon.nova-pro-v1:0", false),
        ("text-x", false),
    ] {
        assert_eq!(speaks(Dialect::Messages, model), native, "{model}");
        assert!(speaks(Dialect::Converse, model));
    }
}

#[test]
fn an_address_follows_the_region() {
    let in_region = |region: &str| {
        let region = Some(region.to_owned());
        Provider::new("p", Kind::Bedrock).settings(Settings {
            region,
            ..Settings::default()
        })
    };
    for (region, origin) in [
        (
            "eu-west-1",
            "https://bedrock-runtime.eu-west-1.amazonaws.com",
        ),
        (
            "cn-north-1",
            "https://bedrock-runtime.cn-north-1.amazonaws.com.cn",
        ),
    ] {
        assert_eq!(in_region(region).origin(), origin);
        in_region(region).check().unwrap();
    }
    let own = in_region("eu-west-1").base_url("http://h").unwrap();
    assert_eq!(own.origin(), "http://h");
    for wrong in ["", "a b", "us-east-1.evil.example", "us/east"] {
        let error = in_region(wrong).check().unwrap_err();
        assert!(error.what().starts_with("region:"), "{wrong}: {error}");
    }
}

#[test]
fn claude_is_told_to_think_as_anthropics_own_is() {
    let told = |model| {
        let provider = Provider::new("p", Kind::Bedrock);
        provider.capabilities(model).reasoning
    };
    for (model, reasoning) in [
        ("us.anthropic.claude-opus-4-6-v1", Reasoning::Effort),
        (
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            Reasoning::Budget,
        ),
        (
            "anthropic.claude-3-haiku-20240307-v1:0",
            Reasoning::Unsupported,
        ),
        ("openai.gpt-oss-120b-1:0", Reasoning::Effort),
        ("amazon.nova-pro-v1:0", Reasoning::Unsupported),
    ] {
        assert_eq!(told(model), reasoning, "{model}");
    }
}

#[test]
fn errors_are_read_by_header_and_body() {
    let provider = Provider::new("p", Kind::Bedrock);
    let mut headers = HeaderMap::new();
    let no = error(
        &provider,
        &headers,
        StatusCode::BAD_REQUEST,
        br#"{"__type":"com.amazon.coral.service#ThrottlingException","Message":"slow"}"#,
    );
    assert_eq!((no.kind(), no.message()), (Refused::RateLimit, "slow"));
    headers.insert(
        ERROR_TYPE,
        HeaderValue::from_static("AccessDeniedException:http://internal.amazon.com/"),
    );
    let no = error(
        &provider,
        &headers,
        StatusCode::FORBIDDEN,
        br#"{"message":"User: arn:aws:iam::123456789012:user/bob may not"}"#,
    );
    assert_eq!(
        (no.kind(), no.message()),
        (Refused::Permission, "User: arn:*** may not")
    );
    // A proxy in between knows nothing of Amazon's errors.
    let no = error(
        &provider,
        &HeaderMap::new(),
        StatusCode::BAD_GATEWAY,
        b"<html><title>oops</title></html>",
    );
    assert!(no.message().contains("oops"));
}

fn request(path: &str) -> Request<Bytes> {
    Request::post(format!(
        "https://bedrock-runtime.us-east-1.amazonaws.com{path}"
    ))
    .header("anthropic-beta", "a")
    .header("anthropic-version", "2023-06-01")
    .header("accept", "text/event-stream")
    .body(Bytes::from_static(b"{}"))
    .unwrap()
}

#[tokio::test]
async fn a_key_is_borne_and_a_callers_own_is_left() {
    let client = Client::new();
    let provider = Provider::new("p", Kind::Bedrock).api_key(crate::providers::Secret::new("k"));
    let sent = prove(
        &provider,
        &client,
        request("/model/m/converse-stream?beta=true"),
    )
    .await
    .unwrap();
    assert_eq!(sent.headers()["authorization"], "Bearer k");
    assert_eq!(
        sent.headers()["accept"],
        "application/vnd.amazon.eventstream"
    );
    assert_eq!(
        sent.uri().path_and_query().unwrap(),
        "/model/m/converse-stream"
    );
    assert!(!sent.headers().contains_key("anthropic-beta"));
    assert!(!sent.headers().contains_key("anthropic-version"));
    let mut own = request("/model/m/converse");
    own.headers_mut()
        .insert(AUTHORIZATION, HeaderValue::from_static("Bearer caller"));
    let sent = prove(&provider, &client, own).await.unwrap();
    assert_eq!(sent.headers()["authorization"], "Bearer caller");
}

#[cfg(feature = "bedrock")]
#[tokio::test]
async fn without_a_key_it_is_signed() {
    let provider = Provider::new("p", Kind::Bedrock);
    let known = || async {
        Ok(aws_credential_types::Credentials::new(
            "AKIDEXAMPLE",
            "s",
            Some("t".to_owned()),
            None,
            "test",
        ))
    };
    provider.credentials().get(known).await.unwrap();
    let sent = prove(&provider, &Client::new(), request("/model/m/converse"))
        .await
        .unwrap();
    let header = sent.headers()["authorization"].to_str().unwrap();
    assert!(header.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"));
    assert!(header.contains("/us-east-1/bedrock/aws4_request"));
    assert_eq!(sent.headers()["x-amz-security-token"], "t");
}
