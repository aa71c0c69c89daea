use super::*;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, ContentBlock, ListToolsResult,
        PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool as Described,
        ToolAnnotations,
    },
    service::RequestContext,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
    },
};
use std::{
    convert::Infallible,
    sync::atomic::{AtomicUsize, Ordering},
};

/// A server whose list grows with each call of `grow`.
#[derive(Clone, Default)]
struct Growing(Arc<AtomicUsize>);

impl ServerHandler for Growing {
    fn get_info(&self) -> ServerConfig {
        let can = ServerCapabilities::builder()
            .enable_tools()
            .enable_tool_list_changed()
            .build();
        ServerConfig::new(can)
    }
    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let schema = Arc::new(rmcp::model::JsonObject::new());
        let looks = ToolAnnotations::new().read_only(true);
        let mut tools = vec![
            Described::new("wait", "Waits for ever.", schema.clone()),
            Described::new("grow", "Grows.", schema.clone()),
        ];
        for n in 0..self.0.load(Ordering::SeqCst) {
            let tool = Described::new(format!("more_{n}"), "More.", schema.clone());
            tools.push(tool.annotate(looks.clone()));
        }
        Ok(ListToolsResult::with_all_items(tools))
    }
    async fn call_tool(
        &self,
        params: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        match &*params.name {
            "wait" => std::future::pending().await,
            "grow" => {
                self.0.fetch_add(1, Ordering::SeqCst);
                let _ = context.peer.notify_tool_list_changed().await;
                Ok(CallToolResult::success(vec![ContentBlock::text("x".repeat(500))]).into())
            }
            _ => Err(ErrorData::invalid_params("no such tool", None)),
        }
    }
}

/// Serves on a free port; gives the address. Tokens are had there too, and asked for where it is `guarded`.
async fn serve(guarded: bool) -> String {
    let growing = Growing::default();
    let mcp = StreamableHttpService::new(
        move || Ok(growing.clone()),
        Arc::new(LocalSessionManager::default()),
        StreamableHttpServerConfig::default(),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = move |req: ::http::Request<Incoming>| {
        let mcp = mcp.clone();
        async move {
            let shown = req.headers().get("authorization").cloned();
            if req.uri().path() == "/token" {
                // me:secret
                assert_eq!(shown.unwrap(), "Basic bWU6c2VjcmV0");
                let token = r#"{"access_token":"t1","expires_in":600}"#;
                return Ok(::http::Response::new(Full::new(Bytes::from(token)).boxed()));
            }
            if guarded && shown.is_none_or(|shown| shown != "Bearer t1") {
                let no = ::http::Response::builder().status(401);
                let no = no.header("www-authenticate", "Bearer realm=tools");
                return Ok(no.body(Full::<Bytes>::default().boxed()).unwrap());
            }
            Ok::<_, Infallible>(mcp.handle(req).await)
        }
    };
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(service.clone());
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    format!("http://{address}/mcp")
}

#[tokio::test]
async fn a_server_at_an_address_is_kept_up_with() {
    let mut server = Server::http("grows", serve(false).await);
    server.timeout = Duration::from_millis(300);
    server.max_output = 100;
    let servers = Servers::start([server]);
    servers.ready(Duration::from_secs(5)).await;
    let tools = servers.tools();
    let names: Vec<&str> = tools.iter().map(|tool| &*tool.offered).collect();
    assert_eq!(names, ["mcp__grows__grow", "mcp__grows__wait"]);
    assert_eq!(&*tools[0].schema, r#"{"type":"object"}"#);

    let mut changes = servers.changes();
    changes.mark_unchanged();
    let call = |tool: &Tool, arguments: &str| Call {
        tool: tool.clone(),
        arguments: arguments.into(),
    };
    let grown = servers.call(call(&tools[0], "{}")).await;
    assert!(!grown.is_error && grown.text.len() <= 100 && grown.text.contains("left out"));
    let told = tokio::time::timeout(Duration::from_secs(5), changes.changed());
    told.await.unwrap().unwrap();
    let more = servers.tools();
    assert_eq!(&*more[1].offered, "mcp__grows__more_0");
    assert!(more[1].read_only && !more[0].read_only);

    let late = servers.call(call(&tools[1], "")).await;
    assert!(
        late.is_error && late.text.contains("did not answer within"),
        "{}",
        late.text
    );
    let unknown = servers.call(call(&more[1], "{}")).await;
    assert!(
        unknown.is_error && unknown.text.contains("no such tool"),
        "{}",
        unknown.text
    );
    let nonsense = servers.call(call(&tools[0], "{")).await;
    assert!(nonsense.is_error && nonsense.text.contains("not JSON"));
}

#[tokio::test]
async fn the_gateway_logs_in_where_a_server_asks_for_it() {
    let url = serve(true).await;
    let servers = Servers::start([Server::http("shut", &url)]);
    servers.ready(Duration::from_secs(5)).await;
    let (_, found) = servers.found().remove(0);
    let error = found.error.clone().unwrap();
    assert!(
        !found.connected && error.to_lowercase().contains("auth"),
        "{error}"
    );

    let mut server = Server::http("open", &url);
    if let Road::Http { login, .. } = &mut server.road {
        *login = Some(Login {
            token_url: url.replace("/mcp", "/token"),
            client_id: "me".into(),
            client_secret: crate::providers::Secret::new("secret"),
            scope: Some("tools".into()),
        });
    }
    let servers = Servers::start([server]);
    servers.ready(Duration::from_secs(5)).await;
    let (_, found) = servers.found().remove(0);
    assert!(found.connected, "{:?}", found.error);
}

#[tokio::test]
async fn a_server_that_is_none_says_why() {
    let mut server = Server::program("none", "/nonexistent/server", [""; 0]);
    server.timeout = Duration::from_millis(50);
    let servers = Servers::start([server]);
    servers.ready(Duration::from_secs(5)).await;
    let (_, found) = servers.found().remove(0);
    assert!(!found.connected && found.error.clone().unwrap().contains("not started"));
    let tool = Tool::new("none", "x", "", "{}");
    let output = servers
        .call(Call {
            tool,
            arguments: String::new(),
        })
        .await;
    assert!(
        output.is_error && output.text.contains("not connected"),
        "{}",
        output.text
    );
}

#[cfg(unix)]
#[tokio::test]
async fn a_program_has_a_clean_environment_and_its_last_words_are_heard() {
    let server = Server::program("sh", "/bin/sh", ["-c", "env >&2; exit 3"]);
    let server = server.env("GIVEN", crate::providers::Secret::new("yes"));
    let servers = Servers::start([server]);
    servers.ready(Duration::from_secs(5)).await;
    let (_, found) = servers.found().remove(0);
    let error = found.error.clone().unwrap();
    assert!(
        error.contains("GIVEN=yes") && !error.contains("CARGO"),
        "{error}"
    );
}
