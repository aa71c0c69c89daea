//! The yardstick: the least that a reverse proxy in hyper does. Bodies are streamed through, connections pooled, nothing is read.
use crate::upstream::listen;
use hyper::{Request, Uri, body::Incoming, header, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use std::net::SocketAddr;
use tokio::{net::TcpStream, runtime::Runtime};

type Upstream = Client<HttpConnector, Incoming>;

fn client() -> Upstream {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new()).build(connector)
}

async fn serve_connection(socket: TcpStream, client: Upstream, upstream: SocketAddr) {
    let forward = service_fn(move |mut request: Request<Incoming>| {
        let path = request.uri().path_and_query().unwrap().as_str();
        *request.uri_mut() = Uri::try_from(format!("http://{upstream}{path}")).unwrap();
        request.headers_mut().remove(header::HOST);
        client.request(request)
    });
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(socket), forward)
        .await;
}

/// Serves until killed; the address is the first line on standard output. `each_core`: on a runtime with a pool of connections for each
/// core, to which connections are dealt out; else on one runtime for all.
pub(crate) fn serve(upstream: SocketAddr, each_core: bool) {
    let runtime = Runtime::new().unwrap();
    let cores = std::thread::available_parallelism().unwrap().get();
    let own = |_| {
        let one = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        (one.unwrap(), client())
    };
    let workers: Vec<(Runtime, Upstream)> =
        (0..if each_core { cores } else { 0 }).map(own).collect();
    runtime.block_on(async {
        let shared = client();
        let listener = listen().await;
        let mut turn = 0;
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            socket.set_nodelay(true).unwrap();
            turn += 1;
            match workers.get(turn % workers.len().max(1)) {
                Some((worker, client)) => {
                    let (socket, client) = (socket.into_std().unwrap(), client.clone());
                    worker.spawn(async move {
                        let socket = TcpStream::from_std(socket).unwrap();
                        serve_connection(socket, client, upstream).await;
                    });
                }
                None => {
                    tokio::spawn(serve_connection(socket, shared.clone(), upstream));
                }
            }
        }
    });
}
