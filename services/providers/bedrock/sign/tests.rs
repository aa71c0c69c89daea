//! Against the vectors of Amazon's signing test suite (aws-c-auth, Apache-2.0): the requests that are like ours.
use super::*;
use std::time::Duration;

/// 2015-08-30T12:36:00Z, at which the suite's requests are signed.
const THEN: Duration = Duration::from_secs(1_440_938_160);

fn credentials(token: Option<&str>) -> Credentials {
    Credentials::new(
        "AKIDEXAMPLE",
        "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        token.map(str::to_owned),
        None,
        "test",
    )
}

fn signed(method: &str, path: &str, body: &'static str, token: Option<&str>) -> Request<Bytes> {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("https://example.amazonaws.com{path}"))
        .body(Bytes::from_static(body.as_bytes()))
        .unwrap();
    let at = SystemTime::UNIX_EPOCH + THEN;
    sign(
        &mut request,
        &credentials(token),
        "us-east-1",
        "service",
        at,
    )
    .unwrap();
    request
}

#[test]
fn vectors() {
    const TOKEN: &str = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";
    for (name, method, path, token, signature) in [
        (
            "post-vanilla",
            "POST",
            "/",
            None,
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
        (
            "get-vanilla-with-session-token",
            "GET",
            "/",
            Some(TOKEN),
            "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
        ),
        (
            "get-unreserved",
            "GET",
            "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
            None,
            "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
        ),
    ] {
        let request = signed(method, path, "", token);
        let header = request.headers()["authorization"].to_str().unwrap();
        let names = if token.is_some() {
            "host;x-amz-date;x-amz-security-token"
        } else {
            "host;x-amz-date"
        };
        assert_eq!(
            header,
            format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders={names}, Signature={signature}"
            ),
            "{name}"
        );
        assert_eq!(request.headers()["x-amz-date"], "20150830T123600Z");
        assert!(request.headers()["authorization"].is_sensitive());
        let sent = request.headers().get("x-amz-security-token");
        assert_eq!(sent.map(|t| t.to_str().unwrap()), token);
    }
}

/// A model's id in a path, as botocore signs it (`SigV4Auth`, with its clock set to the same time).
#[test]
fn a_path_is_encoded_once_on_the_wire_and_twice_in_the_signature() {
    let mut request = Request::post(
        "https://bedrock-runtime.us-east-1.amazonaws.com/model/anthropic.claude-v1%3A0/converse",
    )
    .header("content-type", "application/json")
    .body(Bytes::from_static(b"{}"))
    .unwrap();
    let at = SystemTime::UNIX_EPOCH + THEN;
    sign(&mut request, &credentials(None), "us-east-1", "bedrock", at).unwrap();
    let header = request.headers()["authorization"].to_str().unwrap();
    assert_eq!(
        header,
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/bedrock/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=95bf928002d168b747df11a748e8033c0b8ce8c04d57ed27969eaffd85295ec1"
    );
}
