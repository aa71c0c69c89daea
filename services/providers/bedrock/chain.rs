//! Where Amazon's tools look for credentials: the environment, profiles, a web identity, the container, the machine.
use crate::{chat::Pieces, upstream::Client};
use aws_config::{
    Region, default_provider::credentials::DefaultCredentialsChain, provider_config::ProviderConfig,
};
use aws_credential_types::{Credentials, provider::ProvideCredentials};
use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
    },
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use std::{error::Error, time::Duration};
use tokio::time::timeout;

/// What tells credentials may be this long.
const LIMIT: usize = 1024 * 1024;
/// How long it may take where nobody says.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks the chain. It is built anew each time, because it remembers the files that it has read.
pub(super) async fn ask(client: &Client, region: &str) -> Result<Credentials, String> {
    let region = Region::new(region.to_owned());
    let http = Http {
        client: client.clone(),
        patience: PATIENCE,
    };
    let config = ProviderConfig::without_region()
        .with_region(Some(region.clone()))
        .with_http_client(http);
    let chain = DefaultCredentialsChain::builder()
        .region(region)
        .configure(config)
        .build()
        .await;
    chain.provide_credentials().await.map_err(|error| {
        // Its own words name files and addresses; they are for the log.
        tracing::warn!(error = &error as &dyn Error, "no AWS credentials");
        "no AWS credentials: set AWS_BEARER_TOKEN_BEDROCK, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run under a role"
            .to_owned()
    })
}

/// Our own HTTP client, so that there is one TLS stack.
#[derive(Clone, Debug)]
struct Http {
    client: Client,
    patience: Duration,
}

impl HttpClient for Http {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        // The machine's own service is asked with a short patience: elsewhere nobody answers.
        let patience = match (settings.connect_timeout(), settings.read_timeout()) {
            (None, None) => self.patience,
            (connect, read) => connect.unwrap_or_default() + read.unwrap_or_default(),
        };
        SharedHttpConnector::new(Self {
            client: self.client.clone(),
            patience,
        })
    }
}

impl HttpConnector for Http {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Self { client, patience } = self.clone();
        HttpConnectorFuture::new(async move {
            match timeout(patience, send(client, request)).await {
                Ok(told) => told,
                Err(elapsed) => Err(ConnectorError::timeout(elapsed.into())),
            }
        })
    }
}

async fn send(client: Client, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let request = request
        .try_into_http1x()
        .map_err(|e| ConnectorError::user(e.into()))?;
    let request = request.map(|body| {
        let body = body.bytes().map(Bytes::copy_from_slice);
        Pieces::from(body.unwrap_or_default())
    });
    let answer = client
        .request(request)
        .await
        .map_err(|e| ConnectorError::io(e.into()))?;
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, LIMIT)
        .collect()
        .await
        .map_err(ConnectorError::io)?;
    let answer = http::Response::from_parts(head, SdkBody::from(body.to_bytes()));
    HttpResponse::try_from(answer).map_err(|e| ConnectorError::other(e.into(), None))
}
